"""What leaves a store as a data frame comes back the same, through every library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicell.store import Frame, Store


def through_duckdb(frame: Frame) -> Any:
    with duckdb.connect() as connection:
        return connection.sql("select * from frame").to_arrow_table()


LIBRARIES: dict[str, Callable[[Frame], Any]] = {
    "itself": lambda frame: frame,
    "pyarrow": pa.table,
    "record batches": lambda frame: pa.RecordBatchReader.from_stream(frame),
    "polars": pl.DataFrame,
    "polars, lazily": lambda frame: pl.DataFrame(frame).lazy(),
    "pandas on Arrow": lambda frame: frame.to_pandas(),
    "duckdb": through_duckdb,
    "narwhals": lambda frame: nw.from_arrow(frame, backend="polars"),
    "polars, as a dict": lambda frame: pl.DataFrame(frame).to_dict(),
}


def is_ordinary(text: str) -> bool:
    return text[:1] not in ("\ufffd", "\ufffc")


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "booleans": st.booleans(),
    "ints": st.integers(-(2**63), 2**63 - 1),
    "huge ints": st.integers(-(2**200), 2**200),
    "floats": st.floats(allow_nan=False, allow_infinity=False),
    "numbers": st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False),
    "strings": st.text(st.characters(exclude_categories=())).filter(
        lambda s: s[:1] != "\ufffd" and s != "\ufffc"
    ),
}
ANYTHING = st.one_of(*SCALARS.values())
RICH: dict[str, st.SearchStrategy[Any]] = {
    "lists": st.lists(SCALARS["ints"] | st.none(), max_size=3),
    "lists of strings": st.lists(SCALARS["strings"], max_size=3),
    "lists of lists": st.lists(st.lists(st.booleans(), max_size=2), max_size=2),
    "objects": st.fixed_dictionaries({"a": SCALARS["ints"], "b": st.text("xyz")}),
    "lists of objects": st.lists(st.fixed_dictionaries({"a": st.none() | st.booleans()}), max_size=2),
    "other objects": st.dictionaries(st.sampled_from(("a", "b", "")), ANYTHING, max_size=3),
}
CELLS: dict[str, st.SearchStrategy[Any]] = {
    **SCALARS,
    **RICH,
    "anything": ANYTHING | st.one_of(*RICH.values()),
}
NAMES = st.sampled_from(("a", "b c", "é", "1", "_x", "longer name", "'\""))
"""What every library can call a column; DuckDB neither tells "a" from "A" nor leaves a name empty."""
IDS = st.text(st.characters(codec="utf-8"), max_size=4)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Rows whose cells are absent here and there, each column of one kind."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    rows = st.fixed_dictionaries({}, optional={name: CELLS[kind] for name, kind in kinds.items()})
    return draw(st.dictionaries(IDS, rows.filter(bool), max_size=5))


def content(store: Store) -> list[Any]:
    """The table as it is held, in the order of the rows; 1 and 1.0 are the same, 1 and True are not."""
    return [
        (row_id, {cell_id: (isinstance(cell, bool), cell) for cell_id, cell in row.items()})
        for row_id, row in store.get_encoded_table("t").items()
    ]


@pytest.mark.parametrize("library", LIBRARIES)
@settings(max_examples=25, deadline=None)
@given(table=tables())
def test_a_table_comes_back_the_same(library: str, table: dict[str, Any]) -> None:
    store = Store()
    if table:
        store.set_table("t", table)
    there = LIBRARIES[library](store.frame("t"))
    back = Store().set_cell("t", "before", "x", 1).set_table_from("t", there)
    assert content(back) == content(store)


@settings(max_examples=30, deadline=None)
@given(table=tables(), objects=st.sampled_from(("auto", "text")), nulls=st.sampled_from(("absent", None)))
def test_rows_as_dicts_come_back_with_their_nones(table: dict[str, Any], objects: Any, nulls: Any) -> None:
    for row in table.values():
        row["none"] = None
    store = Store()
    if table:
        store.set_table("t", table)
    rows = store.frame("t", objects=objects).to_dicts()
    assert rows == [{"_id": row_id, **row} for row_id, row in store.get_table("t").items()]
    back = Store().set_table_from("t", rows)
    assert content(back) == content(store)


@settings(max_examples=25, deadline=None)
@given(table=tables())
def test_without_a_library_that_knows_none_from_absent_none_is_absent(table: dict[str, Any]) -> None:
    store = Store()
    if table:
        store.set_table("t", table)
    expected = content(store)
    for row_id in table:
        store.set_cell("t", row_id, "none", None)
    assert content(Store().set_table_from("t", store.frame("t"))) == expected
    if table:
        nulls = Store().set_table_from("t", store.frame("t"), nulls="none")
        every = dict.fromkeys(store.get_table_cell_ids("t"))
        assert nulls.get_table("t") == {
            row_id: {**every, **row} for row_id, row in store.get_table("t").items()
        }


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "text": SCALARS["strings"],
                "done": st.booleans(),
                "rank": SCALARS["numbers"],
                "tags": RICH["lists"],
                "more": RICH["other objects"],
            },
        ),
        max_size=5,
    )
)
def test_under_a_schema_a_table_comes_back_the_same(rows: list[dict[str, Any]]) -> None:
    schema: Any = {
        "t": {
            "text": {"type": "string"},
            "done": {"type": "boolean", "default": False},
            "rank": {"type": "number"},
            "tags": {"type": "array"},
            "more": {"type": "object"},
            "never": {"type": "string"},
        }
    }
    store = Store(strict=True).set_tables_schema(schema)
    if rows:
        store.set_table("t", {str(index): row for index, row in enumerate(rows)})
    for frame in (store.frame("t"), store.frame("t", objects="text")):
        back = Store(strict=True).set_tables_schema(schema).set_table_from("t", pl.DataFrame(frame))
        assert content(back) == content(store)
