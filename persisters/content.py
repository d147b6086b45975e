"""What a medium gives when it is loaded, and what it says after it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from replicell.persisters.errors import UnreadableCellError, UnstorableCellError
from replicell.store.cells import EncodedCell
from replicell.store.ids import Id

__all__ = ["LoadedContent", "LoadedRow", "LoadedTable", "SaveResult"]

LoadedRow: TypeAlias = Mapping[Id, EncodedCell] | None
"""All cells of a row, encoded as in the store, or None for a row that was deleted."""


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
        forget: Called with rows that nobody needs any more, to empty them in ``rows`` without removing them;
            None if the medium needs them itself.
    """

    rows: Mapping[Id, LoadedRow]
    cell_ids: frozenset[Id]
    is_complete: bool
    is_slice: bool = False
    forget: Callable[[Mapping[Id, LoadedRow]], object] | None = None


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
        return not any(row for table in tables for row in table.rows.values())

    @property
    def row_count(self) -> int:
        """How many rows there are, deleted ones included."""
        return sum(len(table.rows) for table in self.tables.values())

    @property
    def is_complete(self) -> bool:
        """Whether a table was loaded with all its rows."""
        return any(table.is_complete for table in self.tables.values())

    def slices(self, size: int) -> Iterator[LoadedContent]:
        """Hand out everything in parts, and forget it on the way, so that it is held in memory only once.

        Tables that are not complete come first and in one piece. Rows that the medium never had are left to
        the caller.

        Args:
            size: Rows of a part at most.
        """
        others = {table_id: table for table_id, table in self.tables.items() if not table.is_complete}
        yield LoadedContent(others, self.values, self.unreadable)
        for table_id, table in self.tables.items():
            if not table.is_complete:
                continue
            entries = iter(table.rows.items())
            part = dict(islice(entries, size))
            while True:
                yield LoadedContent(
                    {table_id: LoadedTable(part, table.cell_ids, is_complete=True, is_slice=True)}
                )
                if table.forget is not None:
                    table.forget(part)
                part = dict(islice(entries, size))
                if not part:
                    break


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
