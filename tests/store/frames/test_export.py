"""`store.frame` and `queries.result_frame`: what the columns of a frame are."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from replicell.store import ArgumentError, Frame, FrameError, MissingPackageError, Store, create_queries


def types_of(frame: Frame) -> dict[str, str]:
    return {field.name: str(field.type) for field in frame.to_arrow().schema}


def store_of(*cells: Any) -> Store:
    """A store with one column of cells, `...` being absent ones."""
    rows = {str(i): {"other": 0} if cell is ... else {"x": cell} for i, cell in enumerate(cells)}
    return Store().set_table("t", rows)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ((True, False), "bool", [True, False]),
        ((1, -(2**63), 2**63 - 1), "int64", [1, -(2**63), 2**63 - 1]),
        ((1.5, 2.0), "double", [1.5, 2.0]),
        ((1, 1.5), "double", [1.0, 1.5]),
        (("a", "é"), "string", ["a", "é"]),
        ((None, ..., 3), "int64", [None, None, 3]),
        ((None, None), "null", [None, None]),
        (([1, 2], [], None), "list<item: int64>", [[1, 2], [], None]),
        (([], []), "list<item: string>", [[], []]),
        (({"a": 1}, {"a": None}), "struct<a: int64>", [{"a": 1}, {"a": None}]),
        (({"a": 1}, {"b": 2}), "string", ['\ufffd{"a":1}', '\ufffd{"b":2}']),
        (({}, {}), "string", ["\ufffd{}", "\ufffd{}"]),
        (([1], {"a": 1}), "string", ["\ufffd[1]", '\ufffd{"a":1}']),
        ((1, "a", True, 1.5, None), "string", ["\ufffd1", "a", "\ufffdtrue", "\ufffd1.5", None]),
        ((True, 1), "string", ["\ufffdtrue", "\ufffd1"]),
        ((2**63, 1), "string", [f"\ufffd{2**63}", "\ufffd1"]),
        ((2**53 + 1, 0.5), "string", [f"\ufffd{2**53 + 1}", "\ufffd0.5"]),
        (("a", [1]), "string", ["a", "\ufffd[1]"]),
        (("a", "\ud800"), "string", ["a", '\ufffd"\\ud800"']),
    ],
    ids=str,
)
def test_a_column_has_the_type_of_its_cells_or_is_text(cells: Any, kind: str, values: list[Any]) -> None:
    frame = store_of(*cells).frame("t", columns=["x"])
    assert types_of(frame) == {"_id": "string", "x": kind}
    assert frame.to_arrow()["x"].to_pylist() == values


def test_objects_are_nested_or_text_as_is_asked() -> None:
    store = store_of({"a": 1}, {"b": "x"})
    nested = store.frame("t", objects="nested").to_arrow()["x"]
    assert nested.to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert types_of(store_of([1]).frame("t", objects="text"))["x"] == "string"
    with pytest.raises(FrameError, match=r"column 'x' are too different.*objects=\"text\""):
        store_of([1], {"a": 1}).frame("t", objects="nested").to_arrow()
    with pytest.raises(ArgumentError, match="'auto', 'nested', 'text'"):
        store.frame("t", objects="json")  # type: ignore[arg-type]  # that is wrong


def test_the_schema_gives_columns_their_order_and_empty_ones_their_types() -> None:
    store = Store().set_tables_schema(
        {
            "t": {
                "text": {"type": "string"},
                "done": {"type": "boolean"},
                "rank": {"type": "number"},
                "tags": {"type": "array"},
                "size": {"enum": [1, 2]},
                "flag": {"enum": [True]},
                "any": {"type": ["string", "number"]},
            }
        }
    )
    expected = {
        "_id": "string",
        "text": "string",
        "done": "bool",
        "rank": "double",
        "tags": "string",
        "size": "double",
        "flag": "bool",
        "any": "string",
    }
    assert types_of(store.frame("t")) == expected
    store.set_row("t", "1", {"tags": ["x"], "rank": 3, "text": "a"})
    assert types_of(store.frame("t")) == {**expected, "tags": "list<item: string>", "rank": "int64"}


def test_without_a_schema_columns_come_in_the_order_of_their_first_use() -> None:
    store = Store().set_table("t", {"1": {"b": 1}, "2": {"a": 1, "b": 2}})
    assert store.frame("t").columns == ["_id", "b", "a"]
    assert store.frame("t", columns=["a", "none"]).to_arrow().to_pylist() == [
        {"_id": "1", "a": None, "none": None},
        {"_id": "2", "a": 1, "none": None},
    ]


def test_an_absent_table_is_an_empty_frame() -> None:
    frame = Store().frame("t")
    assert (len(frame), frame.columns, frame.to_dicts()) == (0, ["_id"], [])
    assert frame.to_polars().shape == (0, 1)
    assert Store().frame("t", id_column=None).to_arrow().shape == (0, 0)


def test_the_column_of_row_ids_is_named_or_left_out() -> None:
    store = Store().set_row("t", "r", {"_id": 5, "x": 1})
    with pytest.raises(FrameError, match=r"cell called '_id'.*id_column"):
        store.frame("t")
    assert store.frame("t", id_column="row").to_dicts() == [{"row": "r", "_id": 5, "x": 1}]
    assert store.frame("t", id_column=None).to_dicts() == [{"_id": 5, "x": 1}]
    assert store.frame("t", columns=["x"]).to_dicts() == [{"_id": "r", "x": 1}]


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=repr)
def test_what_arrow_cannot_name_is_refused(name: str) -> None:
    store = Store().set_cell("t", "1", name, 1)
    with pytest.raises(FrameError, match="cannot name a column"):
        store.frame("t").to_arrow()
    assert store.frame("t").to_dicts() == [{"_id": "1", name: 1}]
    # Within objects it is no name of a column, and there they are text.
    assert types_of(store_of({name: 1}).frame("t"))["x"] == "string"


def test_a_row_id_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(FrameError, match=r"row id '\\ud800'"):
        Store().set_cell("t", "\ud800", "x", 1).frame("t").to_arrow()


def test_every_library_takes_a_frame() -> None:
    frame = Store().set_table("t", {"1": {"n": 1, "s": "a"}, "2": {"n": 2}}).frame("t")
    rows = [{"_id": "1", "n": 1, "s": "a"}, {"_id": "2", "n": 2, "s": None}]
    assert pl.DataFrame(frame).to_dicts() == rows
    assert frame.to_polars().to_dicts() == rows
    assert pa.table(frame).to_pylist() == rows
    assert pa.table(frame).schema == pa.schema(frame)
    with duckdb.connect() as connection:
        assert connection.execute("select sum(n) from frame").fetchall() == [(3,)]
    assert nw.from_arrow(frame, backend="pyarrow").shape == (2, 3)
    assert pd.DataFrame.from_arrow(frame)["n"].tolist() == [1, 2]
    assert frame.to_pandas()["n"].tolist() == [1, 2]


def test_pandas_keeps_ints_with_nulls() -> None:
    assert str(store_of(1, None).frame("t").to_pandas()["x"].dtype) == "int64[pyarrow]"


def test_big_strings_and_many_rows_go_out() -> None:
    store = store_of("x" * 3_000_000, *["y"] * 5_000)
    column = store.frame("t").to_polars()["x"]
    assert (column.len(), column.str.len_bytes().max()) == (5_001, 3_000_000)


def test_a_frame_is_what_the_table_was_and_may_be_read_in_any_thread() -> None:
    store = store_of(1, 2)
    frame = store.frame("t")
    store.set_cell("t", "0", "x", 9).del_row("t", "1")
    with ThreadPoolExecutor(1) as other_thread:
        assert other_thread.submit(frame.to_arrow).result(10)["x"].to_pylist() == [1, 2]
    assert frame.to_arrow() is frame.to_arrow()
    assert frame.to_dicts() == [{"_id": "0", "x": 1}, {"_id": "1", "x": 2}]
    assert store.frame("t").to_dicts() == [{"_id": "0", "x": 9}]


def test_results_of_queries_come_in_their_order() -> None:
    store = Store().set_table("pets", {"a": {"age": 3}, "b": {"age": 1}, "c": {"age": 2, "tags": [1]}})
    queries = create_queries(store).set_query_definition(
        "young", "pets", lambda q: (q.select("age"), q.select("tags"), q.order_by("age"), q.limit(2))
    )
    frame = queries.result_frame("young", id_column="pet")
    assert frame.to_polars().rows() == [("b", 1, None), ("c", 2, [1])]
    assert frame.to_dicts() == [{"pet": "b", "age": 1}, {"pet": "c", "age": 2, "tags": [1]}]
    assert repr(frame) == "<Frame of 'young': 2 x 3>"
    assert queries.result_frame("none").to_dicts() == []


@pytest.mark.parametrize(
    ("missing", "method", "advice"),
    [
        ("pyarrow", "to_arrow", r'pip install "replicell\[frames\]"'),
        ("polars", "to_polars", "pip install polars"),
        ("pandas", "to_pandas", "pip install pandas"),
    ],
)
def test_a_missing_package_is_named(
    missing: str, method: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "replicell.store.frames.columns", raising=False)
    frame = store_of(1).frame("t")
    with pytest.raises(MissingPackageError, match=advice):
        getattr(frame, method)()
    assert frame.to_dicts() == [{"_id": "0", "x": 1}]
