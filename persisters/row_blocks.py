"""Many rows with the same cells, held column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from replicell.store.ids import Id

__all__ = ["ROWS_A_BLOCK", "RowBlock", "RowBlocks"]

ROWS_A_BLOCK: Final = 500
"""So few that whoever looks through a block can let other threads have their turns before the next."""

_INDEXED_AT_ONCE: Final = 2


class RowBlock:
    """Rows that have the same cells, column by column, which is small and quick to look through.

    Args:
        row_ids: The ids of the rows.
        cell_ids: The ids of the cells that each of them has.
        columns: The cells, in the order of their ids, each of all rows.

    >>> block = RowBlock(["1", "2"], ("text", "rank"), [("Milk", "Tea"), (1, 2)])
    >>> list(block)
    [('1', 'Milk', 1), ('2', 'Tea', 2)]
    """

    __slots__ = ("_there", "cell_ids", "columns", "row_ids")

    def __init__(
        self, row_ids: Sequence[Id], cell_ids: tuple[Id, ...], columns: Sequence[Sequence[Any]]
    ) -> None:
        self.row_ids = row_ids
        self.cell_ids = cell_ids
        self.columns = columns
        self._there: frozenset[Id] | None = None

    def row(self, row_id: Id) -> dict[Id, Any]:
        """Return the cells of one row."""
        place = self.row_ids.index(row_id)
        return {cell_id: column[place] for cell_id, column in zip(self.cell_ids, self.columns, strict=True)}

    def __contains__(self, row_id: object) -> bool:
        """Tell whether a row is in the block."""
        if self._there is None:
            self._there = frozenset(self.row_ids)
        return row_id in self._there

    def __len__(self) -> int:
        return len(self.row_ids)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Return row after row: its id, and its cells."""
        return zip(self.row_ids, *self.columns, strict=True)


class RowBlocks:
    """Blocks without a row in common.

    Adding one costs no look at its rows. The first who ask for rows have to look through the blocks, and
    each of them puts some into an index, so that nobody ever waits for all of it.
    """

    __slots__ = ("_blocks", "_indexed", "_not_indexed")

    def __init__(self) -> None:
        self._blocks: dict[RowBlock, None] = {}
        self._indexed: dict[object, RowBlock] = {}
        self._not_indexed: list[RowBlock] = []

    def add(self, block: RowBlock) -> None:
        """Add a block, none of whose rows is in another."""
        self._blocks[block] = None
        self._not_indexed.append(block)

    def remove(self, block: RowBlock) -> None:
        """Take a block out."""
        del self._blocks[block]

    def find(self, row_id: object) -> RowBlock | None:
        """Return the block in which a row is."""
        found = self._indexed.get(row_id)
        if found is None and self._not_indexed:
            found = next((block for block in self._not_indexed if row_id in block), None)
            for block in self._not_indexed[-_INDEXED_AT_ONCE:]:
                self._indexed.update(dict.fromkeys(block.row_ids, block))
            del self._not_indexed[-_INDEXED_AT_ONCE:]
        return found if found in self._blocks else None

    def pop(self) -> RowBlock:
        """Take out the last block, and keep nothing of it."""
        block, _ = self._blocks.popitem()
        if self._not_indexed and self._not_indexed[-1] is block:
            self._not_indexed.pop()
        elif self._indexed:
            for row_id in block.row_ids:
                self._indexed.pop(row_id, None)
        return block

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[RowBlock]:
        return iter(self._blocks)
