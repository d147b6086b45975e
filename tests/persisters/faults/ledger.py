"""Who has written what and when, and what may therefore stand in the medium.

Each cell is a register. A write takes place at some moment between the time it was made and the time it is
known to be done: at once for others' writes, by the next `flush` for those of the store. A value may stand in
the medium if no write that certainly happened lies wholly after the write of that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from replicell.store.missing import MISSING
from tests.persisters.faults.plan import CELLS, PAIRS

__all__ = [
    "BrokenPromiseError",
    "Content",
    "Ledger",
    "Register",
    "Time",
    "check_transactions",
    "is_same",
    "pair",
    "registers",
]

Time: TypeAlias = float
"""Counts the steps of a history."""

Content: TypeAlias = tuple[Mapping[str, Mapping[str, Mapping[str, Any]]], Mapping[str, Any]]
"""The tables and values of a store."""

_NOT_YET = float("inf")


class BrokenPromiseError(AssertionError):
    """A persister has not done what it promises."""


class Register(NamedTuple):
    """A cell; a value has an empty table and row."""

    table_id: str
    row_id: str
    cell_id: str

    def __str__(self) -> str:
        return "/".join(filter(None, self))


@dataclass(slots=True, eq=False)
class _Write:
    """One write.

    Args:
        value: What it left, `MISSING` for a deletion.
        made: When it was made.
        life: The life whose store made it, None for somebody else.
        may_lose: Whether it may have no effect although it happened.
        is_certain: Whether it is known to have happened.
        done: When it was certain to have happened, or could no longer happen.
    """

    value: Any
    made: Time
    life: int | None
    may_lose: bool = False
    is_certain: bool = False
    done: Time = _NOT_YET


@dataclass(slots=True)
class _RowDeletion:
    row_id: str
    time: Time


@dataclass(slots=True)
class Ledger:
    """All writes of a history."""

    _writes: dict[Register, list[_Write]] = field(default_factory=dict)
    _deletions: list[_RowDeletion] = field(default_factory=list)
    _loads: list[tuple[Time, Time]] = field(default_factory=list)
    _lives: list[tuple[Time, Time]] = field(default_factory=list)

    # ------------------------------------------------------------------ what happens

    def note_local(
        self, life: int, time: Time, register: Register, value: Any, *, may_lose: bool = False
    ) -> None:
        """The store was written, and will be saved."""
        self._at(register).append(_Write(value, time, life, may_lose))

    def note_flushed(self, life: int, called: Time, done: Time) -> None:
        """`flush` has said that everything which had been written when it was called is saved."""
        for write in self._all():
            if write.life == life and write.made <= called and write.done == _NOT_YET:
                write.is_certain, write.done = not write.may_lose, done

    def note_loaded(self, called: Time, done: Time) -> None:
        """`load` has said that the store has what was in the medium when it was called."""
        self._loads.append((called, done))

    def note_foreign(self, time: Time, register: Register, value: Any, *, may_lose: bool = False) -> None:
        """Somebody else has written.

        Args:
            time: When.
            register: The cell.
            value: What it holds now.
            may_lose: Whether the write may have lost to what was there, as merges do.
        """
        self._at(register).append(_Write(value, time, None, may_lose, not may_lose, time))

    def note_foreign_deletion(self, time: Time, row_id: str, *, may_lose: bool = False) -> None:
        """Somebody else has deleted a row of the table ``todo``."""
        self._deletions.append(_RowDeletion(row_id, time))
        for cell_id in CELLS:
            self.note_foreign(time, Register("todo", row_id, cell_id), MISSING, may_lose=may_lose)

    def note_end(self, life: int, began: Time, time: Time) -> None:
        """A life is over, so what it has not saved by now it never will."""
        self._lives.append((began, time))
        for write in self._all():
            if write.life == life and write.done == _NOT_YET:
                write.done = time

    # ------------------------------------------------------------------ what must hold

    def check(self, content: Content, when: str) -> None:
        """Compare what stands in the medium with what may stand there.

        Raises:
            BrokenPromiseError: something else stands there.
        """
        restored = list(self._restored_rows())
        there = dict(registers(content))
        for register in self._writes:
            found = there.get(register, MISSING)
            allowed = self._allowed(register, restored)
            if not any(is_same(found, value) for value in allowed):
                raise BrokenPromiseError(f"{when}: {register} is {found!r}; it can only be one of {allowed}")
        for register in there:
            if register not in self._writes:
                raise BrokenPromiseError(f"{when}: {register} is there, and nobody has written it")
        check_transactions(content, when)

    def _allowed(self, register: Register, restored: Iterable[tuple[str, Time, Time]]) -> list[Any]:
        nothing = _Write(MISSING, -1, None, False, True, -1)
        writes = [nothing, *self._writes[register]]
        spans = [
            (start, end)
            for row_id, start, end in restored
            if register.table_id == "todo" and register.row_id == row_id
        ]
        certain = [
            write
            for write in writes
            if write.is_certain
            and not (write.life is None and any(start <= write.made <= end for start, end in spans))
        ]
        return [write.value for write in writes if not any(_is_after(later, write) for later in certain)]

    def _restored_rows(self) -> Iterator[tuple[str, Time, Time]]:
        """Find rows that were saved back whole, because somebody deleted them under unsaved edits.

        Yields:
            The row, and from when to when what others wrote to it may have been overwritten by what the store
            had held.
        """
        for deletion in self._deletions:
            known = self._known_to_store(deletion.time)
            edits = [
                write
                for cell_id in CELLS
                for write in self._writes.get(Register("todo", deletion.row_id, cell_id), ())
                if write.life is not None and write.done >= deletion.time and write.made <= known
            ]
            if edits:
                start = max((called for called, done in self._loads if done <= deletion.time), default=-1.0)
                yield deletion.row_id, start, max(write.done for write in edits)

    def _known_to_store(self, time: Time) -> Time:
        """Return when the store has certainly heard of what stood in the medium at a time."""
        heard = [done for called, done in self._loads if called >= time]
        ends = [end for began, end in self._lives if end >= time]
        return min([*heard, *ends], default=_NOT_YET)

    def _at(self, register: Register) -> list[_Write]:
        return self._writes.setdefault(register, [])

    def _all(self) -> Iterator[_Write]:
        for writes in self._writes.values():
            yield from writes


def _is_after(later: _Write, write: _Write) -> bool:
    if later.life is not None and later.life == write.life:
        return later.made > write.made
    return later.made > write.done


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two cells are the same, 1 and 1.0 and True being different."""
    return type(one) is type(other) and bool(one == other)


def registers(content: Content) -> Iterator[tuple[Register, Any]]:
    """Return all cells and values with what they hold."""
    tables, values = content
    for table_id, table in tables.items():
        for row_id, row in table.items():
            for cell_id, cell in row.items():
                yield Register(table_id, row_id, cell_id), cell
    for value_id, value in values.items():
        yield Register("", "", value_id), value


def pair(name: str) -> tuple[Register, Register]:
    """Return a cell and a value, in tables of their own, which are only ever written together."""
    return Register("pets", name, "n"), Register("", "", f"pair {name}")


def check_transactions(content: Content, when: str) -> None:
    """Find half of a transaction of the store."""
    tables, values = content
    for name in PAIRS:
        cell = tables.get("pets", {}).get(name, {}).get("n", MISSING)
        value = values.get(f"pair {name}", MISSING)
        if not is_same(cell, value):
            raise BrokenPromiseError(f"{when}: half of a transaction: {cell!r} is beside {value!r}")
