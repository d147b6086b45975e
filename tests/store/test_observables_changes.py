"""`store.changes`: what each transaction did, as one list."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import (
    MISSING,
    CellChange,
    Store,
    ValueChange,
)


def test_changes_come_as_one_list_of_what_each_transaction_did() -> None:
    store = Store().set_row("t", "r", {"a": 1, "b": 1})
    told: list[Any] = []
    store.changes().subscribe(told.append)
    assert told == []
    with store.transaction():
        store.set_value("v", 1).set_cell("t", "r", "a", [2]).del_cell("t", "r", "b").set_cell(
            "u", "r", "c", 1
        )
        store.set_cell("t", "r", "kept", 1).del_cell("t", "r", "kept")
    store.set_cell("t", "r", "a", 3)
    store.set_cell("t", "r", "a", 3)
    assert told == [
        [
            CellChange("t", "r", "a", 1, [2]),
            CellChange("t", "r", "b", 1, MISSING),
            CellChange("u", "r", "c", MISSING, 1),
            ValueChange("v", MISSING, 1),
        ],
        [CellChange("t", "r", "a", [2], 3)],
    ]


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        ({"table_id": "t"}, ["t/r/a", "t/s/a", "t/s/b"]),
        ({"row_id": "r"}, ["t/r/a", "u/r/a"]),
        ({"cell_id": "b"}, ["t/s/b"]),
        ({"table_id": "t", "row_id": "s", "cell_id": "a"}, ["t/s/a"]),
        ({"value_id": "v"}, ["v"]),
        ({"value_id": "v", "table_id": "u"}, ["u/r/a", "v"]),
        ({"table_id": "none"}, []),
        ({}, ["t/r/a", "t/s/a", "t/s/b", "u/r/a", "v", "w"]),
    ],
)
def test_changes_can_be_chosen_by_ids(ids: dict[str, str], wanted: list[str]) -> None:
    store = Store()
    told: list[Any] = []
    store.changes(**ids).subscribe(told.append)
    with store.transaction():
        store.set_tables({"t": {"r": {"a": 1}, "s": {"a": 1, "b": 1}}, "u": {"r": {"a": 1}}})
        store.set_values({"v": 1, "w": 1})
    named = [
        "/".join((it.table_id, it.row_id, it.cell_id)) if isinstance(it, CellChange) else it.value_id
        for changes in told
        for it in changes
    ]
    assert named == wanted
    assert len(told) == (1 if wanted else 0)
