"""What a medium gives when it is loaded, and what it says after it was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """

    rows: Mapping[Id, LoadedRow]
    cell_ids: frozenset[Id]
    is_complete: bool


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


@dataclass(slots=True)
class SaveResult:
    """What became of a save that did not fail.

    Args:
        loaded: What others had changed in the medium before, if it was looked for.
        unstorable: Cells that cannot be written; everything else was.
        incomplete_rows: Rows, as table id and row id, that somebody deleted in the medium while some of their
            cells were unsaved. If there are any, nothing was written: the rows must be saved whole.
    """

    loaded: LoadedContent | None = None
    unstorable: Iterable[UnstorableCellError] = ()
    incomplete_rows: Iterable[tuple[Id, Id]] = ()
