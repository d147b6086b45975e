"""Rows in blocks are found again, however many of the blocks have been looked through."""

from __future__ import annotations

from weakref import ref

import pytest

from replicell.persisters.row_blocks import RowBlock, RowBlocks


def block_of(*row_ids: str) -> RowBlock:
    return RowBlock(row_ids, ("text", "rank"), [row_ids, range(len(row_ids))])


def test_a_block_holds_rows() -> None:
    block = RowBlock(["1", "2"], ("text", "rank"), [("Milk", "Tea"), (1, 2)])
    assert (len(block), list(block)) == (2, [("1", "Milk", 1), ("2", "Tea", 2)])
    assert block.row("2") == {"text": "Tea", "rank": 2}
    assert ["2" in block, "3" in block] == [True, False]


def test_every_row_is_found_in_whatever_order_one_asks() -> None:
    parts = [block_of(*(f"{part}.{row}" for row in range(3))) for part in range(9)]
    blocks = RowBlocks()
    for part in parts:
        blocks.add(part)
    for row in (2, 0, 1):
        for number, part in enumerate(parts):
            assert blocks.find("unknown") is None
            assert blocks.find(f"{number}.{row}") is part


@pytest.mark.parametrize("lookups", [0, 1, 5])
def test_rows_of_a_block_that_was_taken_out_are_not_found(lookups: int) -> None:
    first, second, third = block_of("1", "2"), block_of("3"), block_of("4")
    blocks = RowBlocks()
    for block in (first, second, third):
        blocks.add(block)
    for _ in range(lookups):
        blocks.find("3")
    blocks.remove(first)
    assert blocks.pop() is third
    assert [blocks.find(row_id) for row_id in "1234"] == [None, None, second, None]
    assert (len(blocks), list(blocks)) == (1, [second])


class Column(list[str]):
    """Cells that one can tell the end of."""


def test_nothing_is_kept_of_a_block_that_was_taken_out_as_the_last() -> None:
    blocks = RowBlocks()
    for row_id in "123":
        blocks.add(RowBlock([row_id], ("text",), [Column("x")]))
    columns = [ref(block.columns[0]) for block in blocks]
    for row_id in "123":
        blocks.find(row_id)
    blocks.pop()
    assert [column() is None for column in columns] == [False, False, True]
