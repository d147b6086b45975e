"""Ways to break what the deployments are checked for, one promise each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import apsw
import pytest

from replicell.persisters.crsqlite import database
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync.backplane import journal
from replicell.sync.backplane.interface import Entry
from replicell.sync.backplane.link import RoomLink
from replicell.sync.backplane.presence_relay import PresenceRelay
from replicell.sync.backplane.repair import Repairer
from replicell.sync.jobs import Batch, TakenIn, take_in
from replicell.sync.room import Room
from tests.simulation.cluster.code import Tally
from tests.simulation.cluster.log import NodeLog
from tests.simulation.sabotages import Sabotage, drop_a_row, lose_the_last_entry, note_more_than_there_is

__all__ = ["FOUND_AT_ONCE", "SABOTAGES"]


def _acknowledge_before_the_log_has_it(patch: pytest.MonkeyPatch) -> None:
    def at_once(self: Room, site_id: bytes, confirmed: Callable[[], None]) -> None:
        if self.replicator is not None:
            self.replicator.when_replicated(site_id, lambda: None)
        confirmed()

    patch.setattr(Room, "when_replicated", at_once)


def _skip_entries(patch: pytest.MonkeyPatch) -> None:
    honest = NodeLog.follow

    async def careless(self: NodeLog, after: int) -> AsyncGenerator[Sequence[Entry], None]:
        async for entries in honest(self, after):
            yield [entry for entry in entries if entry.sequence % 7] or entries

    patch.setattr(NodeLog, "follow", careless)


def _repair_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repairer, "compare", lambda *_: None)


def _apply_halves(patch: pytest.MonkeyPatch) -> None:
    held: dict[str, list[Change]] = {}

    def halving(
        conn: apsw.Connection, catalog: Catalog, batches: Sequence[Batch], *args: Any, **options: Any
    ) -> TakenIn:
        rows = [row for batch in batches for row in batch.rows]
        late = held.pop(conn.filename, [])
        half = len(rows) - len(rows) // 2
        held[conn.filename] = rows[half:]
        return take_in(conn, catalog, [batches[-1]._replace(rows=late + rows[:half])], *args, **options)

    patch.setattr(journal, "take_in", halving)


def _translate_too_high(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RoomLink, "translate", lambda _, conn, cursors: latest_version(conn) if cursors else 0)


def _never_forget_the_silent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PresenceRelay, "_forget_the_silent", lambda _: None)


def _stop_counting(patch: pytest.MonkeyPatch) -> None:
    honest = Tally._count
    calls = 0

    def tired(self: Tally) -> None:
        nonlocal calls
        calls += 1
        if calls < 5:
            honest(self)

    patch.setattr(Tally, "_count", tired)


SABOTAGES: Final[Mapping[str, tuple[Sabotage, int]]] = {
    "acknowledge before the log has it": (_acknowledge_before_the_log_has_it, 0),
    "skip entries of the log": (_skip_entries, 3),
    "repair nothing": (_repair_nothing, 2),
    "apply halves of transactions": (_apply_halves, 3),
    "translate cursors too high": (_translate_too_high, 4),
    "note more of a client than there is": (note_more_than_there_is, 1),
    "never forget the silent": (_never_forget_the_silent, 3),
    "stop counting": (_stop_counting, 0),
}
"""Each with the first seed to try: one of those that find it soon."""

FOUND_AT_ONCE: Final[Mapping[str, tuple[Sabotage, int, str]]] = {
    "acknowledge before the log has it": (
        _acknowledge_before_the_log_has_it,
        3,
        "acknowledged in room .*, and not in the log",
    ),
    "translate cursors too high": (_translate_too_high, 9, "notes in replicell_servers to .* but lacks"),
    "note more of a client than there is": (
        note_more_than_there_is,
        4,
        "notes in replicell_peers to have client.* (but lacks|which is at)",
    ),
    "take in less than came": (drop_a_row, 4, "notes in replicell_servers to .* but lacks"),
    "forget when opened": (
        partial(lose_the_last_entry, opener=database),
        9,
        "had before it was killed, and has no more",
    ),
}
"""Those that are found while the history goes on: each with a seed to begin with, and what is said of it."""
