"""One run of a program: a store, a persister, a medium, and the steps of a plan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from replicell.persisters import CrSqliteDatabase, FileAccessError, Persister, Status
from replicell.persisters.errors import (
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    PersisterClosedError,
)
from replicell.store import MISSING, Store, create_store
from tests.persisters.faults.ledger import Register, Time, is_same, registers
from tests.persisters.faults.neighbours import CrSqliteNeighbour, Neighbour, merge_into
from tests.persisters.faults.pace import PacedLoop
from tests.persisters.faults.plan import CELLS, LOCAL, Life, Step
from tests.persisters.faults.rigs import DatabaseRig, make_rig
from tests.persisters.faults.sabotage import sabotaged

__all__ = ["LifeSpec", "Report", "UnsettledError", "live"]

Report = Callable[..., None]
"""Called with the name of a method of a history and its arguments."""

_EXPECTED = (
    DatabaseBusyError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    FileAccessError,
)
_ENDED = (DatabaseClosedError, PersisterClosedError)
_EXPECTED_NAMES = {"BusyError", "FullError", "IOError", "ReadOnlyError", "CantOpenError"}
_LONG_AGO = 10.0
_ROUNDS = 60
_ROUNDS_OF_PEACE = 4


class UnsettledError(AssertionError):
    """Something goes on for ever although nothing disturbs it."""


class LifeSpec(NamedTuple):
    """What a life needs to know.

    Args:
        medium: The name of the medium.
        folder: Where it is.
        number: Which life of the history this is.
        began: The time at which it begins.
        plan: What happens.
        is_last: Whether everything settles at its end.
        sabotage: What is broken on purpose, None for nothing.
    """

    medium: str
    folder: Path
    number: int
    began: Time
    plan: Life
    is_last: bool
    sabotage: str | None


def live(spec: LifeSpec, report: Report, neighbour: Neighbour, on_fatal: Callable[[], None]) -> None:
    """Live a life.

    Args:
        spec: What is to happen.
        report: Told what has happened.
        neighbour: Everybody else.
        on_fatal: Called at the point at which the process is to be killed; does not return then.
    """
    with _in_silence(), sabotaged(spec.sabotage), asyncio.Runner(loop_factory=PacedLoop) as runner:
        runner.run(_Run(spec, report, neighbour, on_fatal).run())


@contextmanager
def _in_silence() -> Iterator[None]:
    """Faults are what a life is made of; for the tests that follow in this process, logging is as before."""
    logger = logging.getLogger("replicell")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Run:
    def __init__(
        self, spec: LifeSpec, report: Report, neighbour: Neighbour, on_fatal: Callable[[], None]
    ) -> None:
        self._spec = spec
        self._report = report
        self._neighbour = neighbour
        self._on_fatal = on_fatal
        self._points = 0
        self._time = spec.began
        self._rig = make_rig(spec.medium, spec.folder / "medium", self._reach_point)
        self._store: Store = create_store()
        self._persister: Persister
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble: list[BaseException] = []
        self._is_ending = False
        self._stopping: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            await self._live()
        except BaseException:
            await self._give_up()
            raise

    async def _live(self) -> None:
        self._persister = await self._rig.open(
            self._store, {"on_error": self._on_error, "retry_delay": 0.01, "max_retry_delay": 1.0}
        )
        for step in self._spec.plan.early:
            await self._take(step)
        self._rig.begin_pacing()
        starting = self._start(
            self._persister.start_auto_persisting(),
            lambda: self._report("note_loaded", self._spec.began, self._time),
        )
        await self._pass_until(starting.done)
        for step in self._spec.plan.steps:
            await self._take(step)
        if self._spec.is_last:
            await self._settle()
        await self._end()

    async def _take(self, step: Step) -> None:
        self._time += 1
        self._report("note_step", self._time, str(step))
        self._reach_point()
        before = self._cells()
        await getattr(self, "_" + step.kind)(*step.args)
        if step.kind in LOCAL:
            self._note_edits(before)
        if self._trouble:
            raise self._trouble[0]

    def _reach_point(self) -> None:
        self._points += 1
        if self._points == self._spec.plan.fatal:
            self._on_fatal()

    # ------------------------------------------------------------------ the store is written

    async def _write(self, row_id: str, cell_id: str, value: Any) -> None:
        self._store.set_cell("todo", row_id, cell_id, value)

    async def _drop_cell(self, row_id: str, cell_id: str) -> None:
        self._store.del_cell("todo", row_id, cell_id)

    async def _drop_row(self, row_id: str) -> None:
        self._store.del_row("todo", row_id)

    async def _replace_row(self, row_id: str, row: dict[str, Any]) -> None:
        self._store.set_row("todo", row_id, row)

    async def _write_pair(self, name: str, value: Any) -> None:
        with self._store.transaction():
            self._store.set_cell("pets", name, "n", value).set_value(f"pair {name}", value)

    async def _write_value(self, value_id: str, value: Any) -> None:
        self._store.set_value(value_id, value)

    async def _transaction(self, steps: tuple[Step, ...]) -> None:
        with self._store.transaction():
            for step in steps:
                await getattr(self, "_" + step.kind)(*step.args)

    def _cells(self) -> dict[Register, Any]:
        tables, values = self._store.get_content()
        return dict(registers((tables, values)))

    def _note_edits(self, before: dict[Register, Any]) -> None:
        """Tell what is different now: only that is an edit, whatever was written on the way."""
        now = self._cells()
        for register in {**before, **now}:
            value = now.get(register, MISSING)
            if not is_same(before.get(register, MISSING), value):
                self._report("note_local", self._time, register, value, False)
        rows = {register[:2] for register in before} - {register[:2] for register in now}
        for table_id, row_id in rows:
            # What the store has not heard of stays if the row comes back before its deletion is saved.
            for cell_id in CELLS:
                register = Register(table_id, row_id, cell_id)
                if table_id == "todo" and register not in before:
                    self._report("note_local", self._time, register, MISSING, True)

    # ------------------------------------------------------------------ others write

    async def _foreign_write(self, row_id: str, cell_id: str, value: Any) -> None:
        if self._neighbour.write(row_id, cell_id, value):
            self._report("note_foreign", self._time, Register("todo", row_id, cell_id), value)

    async def _foreign_drop_cell(self, row_id: str, cell_id: str) -> None:
        if self._neighbour.drop_cell(row_id, cell_id):
            self._report("note_foreign", self._time, Register("todo", row_id, cell_id), MISSING)

    async def _foreign_drop_row(self, row_id: str) -> None:
        if self._neighbour.drop_row(row_id):
            self._report("note_foreign_deletion", self._time, row_id)

    async def _peer_write(self, row_id: str, cell_id: str, value: Any) -> None:
        self._peer().peer_write(row_id, cell_id, value)

    async def _peer_drop_row(self, row_id: str) -> None:
        self._peer().peer_drop_row(row_id)

    async def _push(self) -> None:
        self._peer().push()

    async def _merge(self) -> None:
        merge = self._peer().offer()
        if merge is not None and isinstance(self._rig, DatabaseRig):
            assert isinstance(self._rig.database, CrSqliteDatabase)
            called = self._time
            # It happens at some time until it is done: what it brings may stand there from now on.
            self._report("note_merge", called, merge.cells, merge.rows)
            self._start(
                merge_into(self._rig.database, merge),
                lambda: self._report("note_merge", self._time, merge.cells, merge.rows),
            )

    def _peer(self) -> CrSqliteNeighbour:
        assert hasattr(self._neighbour, "peer_write")
        return self._neighbour  # type: ignore[return-value]  # or what stands for it in another process

    # ------------------------------------------------------------------ the persister works

    async def _flush(self) -> None:
        called = self._time
        self._start(self._persister.flush(), lambda: self._report("note_flushed", called, self._time))

    async def _load(self) -> None:
        called = self._time
        self._start(self._persister.load(), lambda: self._report("note_loaded", called, self._time))

    async def _toggle_auto_load(self) -> None:
        is_on = self._persister.is_auto_loading()
        self._start(self._persister.stop_auto_load() if is_on else self._persister.start_auto_load())

    async def _toggle_auto_save(self) -> None:
        if not self._persister.is_auto_saving():
            self._start(self._persister.start_auto_save())
        else:
            self._stopping = self._start(self._persister.stop_auto_save())

    async def _turn(self, times: int) -> None:
        for _ in range(times * self._rig.turns_a_statement):
            await asyncio.sleep(0)

    async def _work(self, turns: int, operations: int | None) -> None:
        await self._turn(turns)
        self._rig.work(operations)

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PacedLoop)
        loop.now += seconds
        await asyncio.sleep(0)

    async def _fault(self, kind: str, spared: int) -> None:
        if kind == "lock":
            self._neighbour.lock()
        else:
            self._rig.break_down(kind, spared)

    async def _mend(self) -> None:
        self._neighbour.unlock()
        self._rig.mend()

    def _start(
        self, doing: Coroutine[Any, Any, object] | Awaitable[object], then: Callable[[], None] | None = None
    ) -> asyncio.Task[None]:
        """Let something happen beside everything else; it may fail as faults make it fail."""

        async def done() -> None:
            try:
                await doing
            except Exception as error:
                self._on_error(error)
                return
            try:
                if then is not None:
                    then()
            except Exception as error:
                self._trouble.append(error)

        task = asyncio.ensure_future(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_error(self, error: Exception) -> None:
        self._report("note_error", f"{type(error).__name__}: {error}")
        is_expected = isinstance(error, _EXPECTED) or type(error).__name__ in _EXPECTED_NAMES
        if not is_expected and not (self._is_ending and isinstance(error, _ENDED)):
            self._trouble.append(error)

    # ------------------------------------------------------------------ the end

    async def _settle(self) -> None:
        """Let everything come to rest by itself, with nothing that disturbs it any more."""
        self._time += 1
        self._report("note_step", self._time, "settle")
        await self._mend()
        await self._pass_until(lambda: not self._tasks)
        for is_on, start in (
            (self._persister.is_auto_loading, self._persister.start_auto_load),
            (self._persister.is_auto_saving, self._persister.start_auto_save),
        ):
            if not is_on():
                await self._pass_until(self._start(start()).done)
        await self._pass_until(lambda: self._persister.status is Status.IDLE)
        await self._foreign_write("1", "a", "last words")
        await self._pass_until(lambda: self._persister.status is Status.IDLE)
        content = self._store.get_content()
        self._time += 1
        self._report("note_settled", self._time, *content)

    async def _pass_until(self, condition: Callable[[], object]) -> None:
        """Let time pass, and work be done, until a condition holds and goes on to hold."""
        rounds_of_peace = 0
        for _ in range(_ROUNDS):
            self._rig.work(None)
            await self._turn(10)
            await self._wait(_LONG_AGO)
            if self._trouble:
                raise self._trouble[0]
            rounds_of_peace = rounds_of_peace + 1 if condition() else 0
            if rounds_of_peace == _ROUNDS_OF_PEACE:
                return
        raise UnsettledError(f"no rest after {_ROUNDS} rounds; {self._persister.status.name}")

    async def _end(self) -> None:
        self._time += 1
        self._is_ending = True
        self._neighbour.unlock()
        is_stopping = self._stopping is not None and not self._stopping.done()
        was_saving = self._persister.is_auto_saving() and not is_stopping
        try:
            await self._rig.close()
        except Exception as error:
            self._on_error(error)
        else:
            if was_saving:
                self._report("note_flushed", self._time, self._time)
        for task in list(self._tasks):
            await task
        if self._trouble:
            raise self._trouble[0]

    async def _give_up(self) -> None:
        """Leave no thread behind after a broken promise, whatever state everything is in."""
        self._neighbour.unlock()
        self._rig.mend()
        with suppress(Exception):
            await self._rig.close()
