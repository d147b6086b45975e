"""A whole history: one life after the other, in processes that are killed, and what must hold in the end."""

from __future__ import annotations

import asyncio
import multiprocessing
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import apsw

from replicell.store import create_store
from tests.persisters.faults.ledger import (
    BrokenPromiseError,
    Content,
    Ledger,
    Register,
    Time,
    check_transactions,
)
from tests.persisters.faults.life import LifeSpec, live
from tests.persisters.faults.neighbours import Clocks, CrSqliteNeighbour, Neighbour, make_neighbour
from tests.persisters.faults.plan import Plan
from tests.persisters.media import MEDIA

__all__ = ["History"]

_SECONDS = 45.0


class History:
    """A history of one medium.

    Args:
        plan: What decides everything.
        folder: An empty folder.
        sabotage: What is broken on purpose, None for nothing.
    """

    def __init__(self, plan: Plan, folder: Path, sabotage: str | None = None) -> None:
        self.plan = plan
        self.folder = folder
        self.trace: list[str] = []
        self._sabotage = sabotage
        self._ledger = Ledger()
        self._life = 0
        self._time: Time = 0
        self._clocks: Clocks = {}
        self._settled: Content = ({}, {})
        self._neighbour: Neighbour = make_neighbour(plan.medium, folder)

    def run(self) -> None:
        """Run it.

        Raises:
            AssertionError: something is not as it must be.
        """
        try:
            if self.plan.is_prepared:
                self._neighbour.prepare()
            for number, life in enumerate(self.plan.lives):
                self._life = number
                is_last = number == len(self.plan.lives) - 1
                spec = LifeSpec(
                    self.plan.medium, self.folder, number, self._time, life, is_last, self._sabotage
                )
                self._neighbour.unlock()
                self.trace.append(f"life {number}, to be killed at {life.fatal}")
                if life.fatal is None:
                    live(spec, self.report, self._neighbour, _never)
                else:
                    self._live_and_die(spec)
                self._ledger.note_end(number, spec.began, self._time)
                self._time += 1
                self._check(f"after life {number}")
            self._check_agreement()
        finally:
            self._neighbour.close()

    # ------------------------------------------------------------------ processes

    def _live_and_die(self, spec: LifeSpec) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.persisters.faults.life"])
        ours, theirs = context.Pipe()
        process = context.Process(target=_live_apart, args=(spec, theirs))
        process.start()
        theirs.close()
        try:
            self._listen_to(ours)
        finally:
            process.kill()
            process.join()
            process.close()
            ours.close()

    def _listen_to(self, connection: Connection) -> None:
        while True:
            if not connection.poll(_SECONDS):
                raise TimeoutError("a life hangs")
            name, args = connection.recv()
            if name == "ended":
                return
            if name == "fatal":
                self.trace.append("killed")
                return
            if name == "failed":
                raise AssertionError(args[0])
            # Whoever tells something waits for the answer, or it would be looked at too late.
            answer = getattr(self if name.startswith("note_") else self._neighbour, name)(*args)
            connection.send(answer)

    # ------------------------------------------------------------------ what lives tell

    def report(self, name: str, *args: Any) -> None:
        """Take notice of what a life tells."""
        getattr(self, name)(*args)

    def note_step(self, time: Time, step: str) -> None:
        self._time = time
        self.trace.append(f"{time:6} {step}")
        content = self._neighbour.content() if self.plan.is_prepared else None
        if content is not None:
            check_transactions(content, f"at {time}")

    def note_local(self, time: Time, register: Register, value: Any, may_lose: bool) -> None:
        self._ledger.note_local(self._life, time, register, value, may_lose=may_lose)

    def note_foreign(self, time: Time, register: Register, value: Any) -> None:
        self._ledger.note_foreign(time, register, value)
        self.trace.append(f"       {register} is now {value!r}")

    def note_foreign_deletion(self, time: Time, row_id: str) -> None:
        self._ledger.note_foreign_deletion(time, row_id)
        self.trace.append("       done")

    def note_merge(self, time: Time, cells: list[tuple[str, str, Any]], rows: list[str]) -> None:
        for row_id in rows:
            self._ledger.note_foreign_deletion(time, row_id, may_lose=True)
        for row_id, cell_id, value in cells:
            self._ledger.note_foreign(time, Register("todo", row_id, cell_id), value, may_lose=True)
        self.trace.append(f"       merged {cells}, {rows}")

    def note_flushed(self, called: Time, done: Time) -> None:
        self._ledger.note_flushed(self._life, called, done)
        self.trace.append(f"       what was called at {called} is flushed")
        self._check(f"flushed at {done}")

    def note_loaded(self, called: Time, done: Time) -> None:
        self._ledger.note_loaded(called, done)
        self.trace.append(f"       what was called at {called} is loaded")

    def note_error(self, error: str) -> None:
        self.trace.append(f"       {error}")

    def note_settled(self, time: Time, tables: Any, values: Any) -> None:
        self._time = time
        self._settled = (tables, values)
        self._ledger.note_flushed(self._life, time, time)

    # ------------------------------------------------------------------ what must hold

    def _check(self, when: str) -> None:
        content = self._neighbour.content()
        if content is not None:
            self._ledger.check(content, when)
            self._check_clocks(when)

    def _loaded(self) -> Content:
        """Return what a program finds that has never seen the medium."""
        store = create_store()

        async def load() -> None:
            async with MEDIA[self.plan.medium](self.folder).open(store) as persister:
                await persister.load()

        asyncio.run(load())
        tables, values = store.get_content()
        return tables, values

    def _check_clocks(self, when: str) -> None:
        """An edit is lost only to one that is newer by the merge rule: the versions of a cell only grow."""
        clocks = self._neighbour.clocks()
        for place, before in self._clocks.items():
            life_of_row, version = clocks.get(place, (_NO_LIFE, 0))
            if (life_of_row, version) < before:
                raise BrokenPromiseError(
                    f"{when}: {place} has gone from {before} back to {life_of_row, version}"
                )
        self._clocks = clocks

    def _check_agreement(self) -> None:
        found = self._loaded()
        if found != self._settled:
            raise BrokenPromiseError(f"the store holds {self._settled}, its medium {found}")
        if found != self._neighbour.content():
            raise BrokenPromiseError(f"a new store finds {found}, others {self._neighbour.content()}")
        if isinstance(self._neighbour, CrSqliteNeighbour) and found[0].get("todo"):
            self._check_peer(self._neighbour)
        if self.plan.medium != "json file":
            self._check_file()

    def _check_peer(self, neighbour: CrSqliteNeighbour) -> None:
        """When the replica and the file have told each other everything, they are the same."""
        neighbour.exchange()
        peer, file = neighbour.peer_table(), self._loaded()[0].get("todo", {})
        if peer != file:
            raise BrokenPromiseError(f"the replica holds {peer}, the file {file}")

    def _check_file(self) -> None:
        connection = apsw.Connection(str(self.folder / "medium"))
        try:
            found = connection.execute("PRAGMA integrity_check").get
        finally:
            connection.close()
        if found != "ok":
            raise BrokenPromiseError(f"the file is corrupt: {found}")


_NO_LIFE = 1 << 60
"""Cells that have no version belong to a row that was deleted, which is a newer life than any of theirs."""


def _never() -> NoReturn:
    raise AssertionError("a life that is not to be killed has come to its fatal point")


def _live_apart(spec: LifeSpec, connection: Connection) -> None:
    """Live a life in a process of its own."""

    def ask(name: str, *args: Any) -> Any:
        connection.send((name, args))
        return connection.recv()

    def die() -> NoReturn:
        ask("fatal")
        raise AssertionError("nobody has killed this process")

    try:
        live(spec, ask, _Elsewhere(ask), die)  # type: ignore[arg-type]  # it has a neighbour's methods
        connection.send(("ended", ()))
    except BaseException:
        connection.send(("failed", (traceback.format_exc(),)))


class _Elsewhere:
    """A neighbour in another process."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)
