"""One commit for what several clients of a room have sent meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, Final

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.sync.actions import Emit
from replicell.sync.envelopes import join_parts
from replicell.sync.jobs import Job, TakenIn

__all__ = ["Intake", "Merge", "merge_together"]

Merge = Callable[..., TakenIn | None]
"""Merges one client's changes, see `take_in`: called with the connection and, where it is not alone in its
transaction, with the version before that."""

_SMALL: Final = 50
"""So many changes of one client at most are merged together with others'; of more a transaction of their own
costs little, and the author need not get them back."""
_MOST_CHANGES: Final = 500
"""How many are merged in one transaction, so that nobody waits for long."""
_DISK_FAILURES: Final = (
    apsw.BusyError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.InterruptError,
    apsw.NoMemError,
)


class Intake:
    """Commits clients' changes one after the other, and those that come during a commit all at once in the
    next.

    Who comes alone does not wait. A client whose changes fail fails alone, unless the commit itself does.

    Args:
        emit: Takes the jobs.
        catalog: The catalogue of the room's database.
    """

    def __init__(self, emit: Emit, catalog: Catalog) -> None:
        self._emit = emit
        self._catalog = catalog
        self._waiting: deque[Job[Any]] = deque()
        self._is_committing = False

    def add(self, job: Job[Any]) -> None:
        """Run a job whose function is a `Merge`."""
        # Told in the context of now, so that logs name its client, whoever has brought the commit about.
        context = copy_context()
        told: Job[Any] = Job(
            job.mode,
            job.function,
            lambda outcome: context.run(job.done, outcome),
            lambda error: context.run(job.failed, error),
            job.changes,
            job.batches,
        )
        self._waiting.append(told)
        if not self._is_committing:
            self._commit()

    def _commit(self) -> None:
        group = [self._waiting.popleft()]
        size = group[0].changes
        while (
            self._waiting
            and max(group[-1].changes, self._waiting[0].changes) <= _SMALL
            and size + self._waiting[0].changes <= _MOST_CHANGES
        ):
            group.append(self._waiting.popleft())
            size += group[-1].changes
        self._is_committing = True
        merge = partial(merge_together, catalog=self._catalog, merges=[job.function for job in group])
        self._emit(Job("write", merge, partial(self._committed, group), partial(self._failed, group)))

    def _committed(self, group: list[Job[Any]], outcomes: list[TakenIn | Exception | None]) -> None:
        # The database works on while the clients of this commit are told.
        self._go_on()
        for job, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.failed(outcome)
            else:
                job.done(outcome)

    def _failed(self, group: list[Job[Any]], error: BaseException) -> None:
        self._go_on()
        for job in group:
            job.failed(error)

    def _go_on(self) -> None:
        self._is_committing = False
        if self._waiting:
            self._commit()


def merge_together(
    conn: apsw.Connection, catalog: Catalog, merges: Sequence[Merge]
) -> list[TakenIn | Exception | None]:
    """Merge what several clients have sent, in one transaction (write).

    Args:
        conn: The room's database.
        catalog: Its catalogue.
        merges: One for each client.

    Returns:
        What became of each. The changes of all of them are in the frames of the first that had any, to be
        shared as one version.
    """
    if len(merges) == 1:
        return [merges[0](conn)]
    before = catalog.latest_version(conn)
    outcomes = [_merge_apart(conn, merge, before) for merge in merges]
    new = [taken for taken in outcomes if isinstance(taken, TakenIn) and taken.after > taken.before]
    if len(new) < 2:
        return outcomes
    first, *others = new
    frames = join_parts([frame for taken in new for frame in taken.frames])
    after = max(taken.after for taken in new)
    shared = first._replace(after=after, frames=frames, is_shared=True)
    told = {id(taken): taken._replace(before=after, after=after, frames=[]) for taken in others}
    told[id(first)] = shared
    return [told.get(id(outcome), outcome) for outcome in outcomes]


def _merge_apart(conn: apsw.Connection, merge: Merge, before: int) -> TakenIn | Exception | None:
    conn.execute("SAVEPOINT replicell_client")
    try:
        outcome: TakenIn | Exception | None = merge(conn, since=before)
    except _DISK_FAILURES:
        raise
    except Exception as error:
        conn.execute("ROLLBACK TO replicell_client; SELECT crsql_internal_sync_bit(0)")
        outcome = error
    conn.execute("RELEASE replicell_client")
    return outcome
