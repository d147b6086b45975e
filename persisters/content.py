"""What a medium gives when it is loaded, and what it says after it was written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, TypeAlias

from replicell.persisters.errors import UnreadableCellError, UnstorableCellError
from replicell.store.cells import EncodedCell
from replicell.store.ids import Id

__all__ = ["LoadedContent", "LoadedRow", "LoadedTable", "RowForm", "RowParts", "SaveResult"]

LoadedRow: TypeAlias = Mapping[Id, EncodedCell] | None
"""All cells of a row, encoded as in the store, or None for a row that was deleted."""


class RowForm(Enum):
    """What is known of loaded rows."""

    UNCHECKED = "as the medium gave them"
    PLAIN = "as the store holds them, without objects and arrays"
    RICH = "as the store holds them, with objects or arrays"


class RowParts(Mapping[Id, LoadedRow]):
    """Rows in parts, each of which can be taken out and forgotten by itself.

    >>> rows = RowParts()
    >>> rows.add({"1": {"text": "Milk"}}, RowForm.PLAIN)
    >>> rows.add({"2": None}, RowForm.UNCHECKED)
    >>> rows["2"], len(rows), list(rows)
    (None, 2, ['1', '2'])
    >>> next(rows.take())
    ({'1': {'text': 'Milk'}}, <RowForm.PLAIN: 'as the store holds them, without objects and arrays'>)
    >>> dict(rows)
    {'2': None}
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: deque[tuple[dict[Id, LoadedRow], RowForm]] = deque()

    def add(self, rows: dict[Id, LoadedRow], form: RowForm) -> None:
        """Add rows none of which is there yet."""
        self._parts.append((rows, form))

    @property
    def form(self) -> RowForm:
        """What is known of all rows."""
        forms = {form for _, form in self._parts}
        if RowForm.UNCHECKED in forms:
            return RowForm.UNCHECKED
        return RowForm.RICH if RowForm.RICH in forms else RowForm.PLAIN

    def take(self) -> Iterator[tuple[dict[Id, LoadedRow], RowForm]]:
        """Take out one part after the other."""
        while self._parts:
            yield self._parts.popleft()

    def merged(self) -> dict[Id, LoadedRow]:
        """Return all rows in one dict, in which they are found faster."""
        rows: dict[Id, LoadedRow] = {}
        for part in self.parts():
            rows.update(part)
        return rows

    def clear(self) -> None:
        """Take out everything."""
        self._parts.clear()

    def parts(self) -> Iterator[dict[Id, LoadedRow]]:
        """Look at one part after the other."""
        return (rows for rows, _ in self._parts)

    def __getitem__(self, row_id: Id) -> LoadedRow:
        for rows in self.parts():
            if row_id in rows:
                return rows[row_id]
        raise KeyError(row_id)

    def __iter__(self) -> Iterator[Id]:
        for rows in self.parts():
            yield from rows

    def __len__(self) -> int:
        return sum(map(len, self.parts()))


@dataclass(slots=True)
class LoadedTable:
    """Rows as they stand in the medium.

    Args:
        rows: The rows that have changed, or all rows.
        cell_ids: The cells that the medium has a place for. A cell of the store that is not among them was
            never saved there, so that it is no deletion if the medium does not have it.
        is_complete: Whether ``rows`` are all rows that the medium has or has ever had. Rows of the store that
            are not among them were never saved there.
        is_slice: Whether ``rows`` are only some of all those, so that nothing follows for other rows.
        form: What is known of all ``rows``. Unless they are unchecked, there is no deleted row among them,
            none without cells, and the store may keep them as they are, with interned cell ids.
    """

    rows: Mapping[Id, LoadedRow]
    cell_ids: frozenset[Id]
    is_complete: bool
    is_slice: bool = False
    form: RowForm = RowForm.UNCHECKED

    @property
    def is_empty(self) -> bool:
        """Whether no row has a cell."""
        rows = self.rows
        return not any(
            any(part.values()) for part in (rows.parts() if isinstance(rows, RowParts) else [rows])
        )

    def slices(self, size: int) -> Iterator[LoadedTable]:
        """Hand out the rows in parts, one part without rows if there are none.

        Args:
            size: Rows of a part at most, if they are not in parts already, which are taken out.
        """
        is_first = True
        for rows, form in self.rows.take() if isinstance(self.rows, RowParts) else self._parts(size):
            yield LoadedTable(rows, self.cell_ids, self.is_complete, is_slice=True, form=form)
            is_first = False
        if is_first:
            yield LoadedTable({}, self.cell_ids, self.is_complete, is_slice=True)

    def _parts(self, size: int) -> Iterator[tuple[dict[Id, LoadedRow], RowForm]]:
        entries = iter(self.rows.items())
        while part := dict(islice(entries, size)):
            yield part, self.form


@dataclass(slots=True)
class LoadedContent:
    """What was loaded.

    Args:
        tables: By table id of the store.
        values: The values as the cells of one row, under the key ``""``; None if they have not changed or are
            not loaded.
        unreadable: What stands in the medium and cannot be loaded.
        version: Whatever the medium needs to know how far it has been loaded.
    """

    tables: Mapping[Id, LoadedTable] = field(default_factory=dict)
    values: LoadedTable | None = None
    unreadable: Iterable[UnreadableCellError] = ()
    version: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a row nor a value."""
        tables = [*self.tables.values(), *([] if self.values is None else [self.values])]
        return all(table.is_empty for table in tables)

    @property
    def row_count(self) -> int:
        """How many rows there are, deleted ones included."""
        return sum(len(table.rows) for table in self.tables.values())

    @property
    def is_complete(self) -> bool:
        """Whether a table was loaded with all its rows."""
        return any(table.is_complete for table in self.tables.values())

    def slices(self, size: int) -> Iterator[LoadedContent]:
        """Hand out everything in parts, rows that are in parts already in these, which are then forgotten.

        Tables that are not complete come first and in one piece. Rows that the medium never had are left to
        the caller.

        Args:
            size: Rows of a part at most.
        """
        others = {table_id: table for table_id, table in self.tables.items() if not table.is_complete}
        yield LoadedContent(others, self.values, self.unreadable)
        for table_id, table in self.tables.items():
            if table.is_complete:
                for part in table.slices(size):
                    yield LoadedContent({table_id: part})


@dataclass(slots=True)
class SaveResult:
    """What became of a save that did not fail.

    Args:
        loaded: What others had changed in the medium before, if it was looked for.
        unstorable: Cells that cannot be written; everything else was.
        incomplete_rows: Rows, as table id and row id, that somebody deleted in the medium while some of their
            cells were unsaved. If there are any, nothing was written: the rows must be saved whole.
        left_rows: Rows, likewise, that were written and are no longer among those to be loaded.
    """

    loaded: LoadedContent | None = None
    unstorable: Iterable[UnstorableCellError] = ()
    incomplete_rows: Iterable[tuple[Id, Id]] = ()
    left_rows: Iterable[tuple[Id, Id]] = ()
