"""Ways to break what the histories of both families are checked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch
from replicell.sync import client_session, server_session
from replicell.sync.jobs import Batch, TakenIn, take_in
from replicell.sync.ledger import store_peer
from tests.simulation.oracle import has_table

__all__ = ["Sabotage", "drop_a_row", "lose_the_last_entry", "note_more_than_there_is"]

Sabotage = Callable[[pytest.MonkeyPatch], None]


def note_more_than_there_is(patch: pytest.MonkeyPatch) -> None:
    """A server believes to have more of a client than has come."""

    def generous(conn: apsw.Connection, cursor: Cursor) -> None:
        store_peer(conn, Cursor(cursor.site_id, cursor.epoch, cursor.version + 2, cursor.begun))

    patch.setattr(server_session, "store_peer", generous)


def drop_a_row(patch: pytest.MonkeyPatch) -> None:
    """A client takes in less than has come."""

    def forgetful(
        conn: apsw.Connection, catalog: Catalog, batches: Sequence[Batch], *args: Any, **options: Any
    ) -> TakenIn:
        shorter = [batch._replace(rows=batch.rows[:-1]) for batch in batches]
        return take_in(conn, catalog, shorter, *args, **options)

    patch.setattr(client_session, "take_in", forgetful)


def lose_the_last_entry(patch: pytest.MonkeyPatch, opener: object) -> None:
    """A file that is opened has lost something.

    Args:
        patch: Ends it.
        opener: The module that begins epochs when it opens files.
    """

    def forgetful(conn: apsw.Connection) -> bytes:
        if has_table(conn, "log"):
            conn.execute("DELETE FROM log WHERE id = (SELECT max(id) FROM log)")
        return begin_epoch(conn)

    patch.setattr(opener, "begin_epoch", forgetful)
