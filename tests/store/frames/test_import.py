"""`store.set_table_from`: what may come in from a data frame, and what is refused in which words."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from replicell.store import (
    ArgumentError,
    FrameError,
    InvalidCellError,
    MissingPackageError,
    Store,
    WriteForbiddenError,
    create_middleware,
)

IDS = ["a", "b"]
CONTENT: dict[str, dict[str, Any]] = {"a": {"n": 1, "s": "x"}, "b": {"n": 2}}


def imported(frame: object, **options: Any) -> dict[str, Any]:
    return Store().set_table_from("t", frame, **options).get_table("t")


def column(array: Any) -> Any:
    return pa.table({"_id": [str(i) for i in range(len(array))], "x": array})


def cells(array: Any, **options: Any) -> list[Any]:
    return [row.get("x") for row in imported(column(array), nulls="none", **options).values()]


@pytest.mark.parametrize(
    "frame",
    [
        [{"_id": "a", "n": 1, "s": "x"}, {"_id": "b", "n": 2}],
        ({"_id": row_id, **row} for row_id, row in CONTENT.items()),
        {"_id": IDS, "n": [1, 2], "s": ["x", None]},
        {"_id": np.array(IDS), "n": np.array([1, 2]), "s": pd.Series(["x", None], dtype=object)},
        {"_id": pl.Series(IDS), "n": range(1, 3), "s": pa.array(["x", None])},
        pa.table({"_id": IDS, "n": [1, 2], "s": ["x", None]}),
        pa.record_batch({"_id": IDS, "n": [1, 2], "s": ["x", None]}),
        pl.DataFrame({"_id": IDS, "n": [1, 2], "s": ["x", None]}),
        pl.LazyFrame({"_id": IDS, "n": [1, 2], "s": ["x", None]}),
        pd.DataFrame({"_id": IDS, "n": [1, 2], "s": ["x", None]}),
        pd.DataFrame({"n": [1, 2], "s": ["x", None]}, index=pd.Index(IDS, name="_id")),
        nw.from_native(pl.DataFrame({"_id": IDS, "n": [1, 2], "s": ["x", None]})),
        Store().set_table("t", CONTENT).frame("t"),
    ],
)
def test_anything_that_holds_a_table_is_taken(frame: object) -> None:
    assert imported(frame) == CONTENT


def test_a_relation_of_duckdb_is_taken_and_its_sums_are_ints() -> None:
    with duckdb.connect() as connection:
        values = "(values ('a', 1, 'x'), ('b', 2, null)) as t(_id, n, s)"
        assert imported(connection.sql(f"select * from {values}")) == CONTENT
        total = connection.sql(f"select sum(n) as n from {values}")
        assert imported(total, id_column=None) == {"0": {"n": 3}}


def test_a_table_is_replaced_in_one_transaction() -> None:
    store = (
        Store().set_table("t", {"a": {"n": 0, "gone": True}, "z": {"n": 0}}).set_cell("other", "1", "x", 1)
    )
    transactions: list[Any] = []
    store.add_did_finish_transaction_listener(
        lambda store: transactions.append(store.get_transaction_changes())
    )
    store.set_table_from("t", pl.DataFrame({"_id": IDS, "n": [1, 2], "s": ["x", None]}))
    assert store.get_tables() == {"t": CONTENT, "other": {"1": {"x": 1}}}
    assert len(transactions) == 1
    store.set_table_from("t", pl.DataFrame({"_id": [], "n": []}))
    assert store.get_table_ids() == ["other"]


def test_it_joins_an_open_transaction_and_is_undone_with_it() -> None:
    store = Store().set_table("t", {"z": {"n": 0}})
    store.add_table_listener("t", lambda *_: None)
    with pytest.raises(RuntimeError, match="stop"), store.transaction():
        store.del_table("t").set_table_from("t", [{"_id": "z", "n": 5}, {"_id": "y", "n": 6}])
        raise RuntimeError("stop")
    assert store.get_tables() == {"t": {"z": {"n": 0}}}


def test_listeners_middleware_and_counts_see_what_comes() -> None:
    store = Store()
    heard: list[object] = []
    store.add_cell_listener("t", None, None, lambda store, *told: heard.append(told[1:4]))
    store.set_table_from("t", [{"_id": "a", "n": 1}])
    assert heard == [("a", "n", 1)]
    assert store.get_table_cell_ids("t") == ["n"]
    create_middleware(store).add_will_set_cell_callback(lambda t, r, c, cell: cell * 2)
    store.set_table_from("t", [{"_id": "a", "n": 5}])
    assert store.get_table("t") == {"a": {"n": 10}}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
        (pa.array(["x", "y"], pa.string_view()), ["x", "y"]),
        (pa.array([1, 2], pa.uint64()), [1, 2]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([1, None], pa.int8()), [1, None]),
        (pa.array([0.5, None], pa.float32()), [0.5, None]),
        (pa.array([np.float16(0.5)], pa.float16()), [0.5]),
        (pa.array([True, None]), [True, None]),
        (pa.nulls(2), [None, None]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"]), ["x", "x", "y"]),
        (pa.chunked_array([["x"], ["y"]]), ["x", "y"]),
        (pa.array([Decimal(5), None], pa.decimal128(38, 0)), [5, None]),
        (pa.array([Decimal("5.00")], pa.decimal128(10, 2)), [5]),
        (pa.array([[1], None, []], pa.large_list(pa.int32())), [[1], None, []]),
        (pa.array([[1, 2]], pa.list_(pa.int32(), 2)), [[1, 2]]),
        (pa.array([{"a": [1], "b": None}]), [{"a": [1], "b": None}]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [{"k": 1}]),
        (pa.array(["\ufffd1", "\ufffdtrue", "\ufffd[1]", "x"]), [1, True, [1], "x"]),
        (pa.array(['{"a":1}', "3", None], pa.json_()), [{"a": 1}, 3, None]),
        (pa.array([None], pa.date32()), [None]),
    ],
)
def test_columns_of_many_types_become_cells(array: Any, expected: list[Any]) -> None:
    read = cells(array)
    assert read == expected
    assert [type(cell) for cell in read] == [type(cell) for cell in expected]


MOMENT = datetime(2026, 11, 22, 12, 30, 0, 500_000)


@pytest.mark.parametrize(
    ("array", "refusal", "converted"),
    [
        (pa.array([1.5, float("nan")]), "nan at position 1: it is not finite", [1.5, None]),
        (pa.array([float("-inf")]), "-inf at position 0", [None]),
        (
            pa.array([None, date(2026, 1, 2)]),
            "'2026-01-02' at position 1: it is of type date32",
            [None, "2026-01-02"],
        ),
        (pa.array([MOMENT], pa.timestamp("us")), "ISO 8601", ["2026-11-22T12:30:00.500000"]),
        (pa.array([MOMENT], pa.timestamp("ms", "UTC")), "timestamp", ["2026-11-22T12:30:00.500Z"]),
        (pa.array([date(2026, 1, 2)], pa.date64()), "date64", ["2026-01-02"]),
        (pa.array([time(1, 2, 3)], pa.time32("s")), "time32", ["01:02:03"]),
        (pa.array([timedelta(seconds=90)], pa.duration("ms")), "seconds", [90.0]),
        (pa.array([Decimal("1.25")]), "decimal fraction", [1.25]),
    ],
)
def test_what_no_cell_can_hold_is_refused_or_converted_if_that_is_asked(
    array: Any, refusal: str, converted: list[Any]
) -> None:
    store = Store().set_table("t", CONTENT)
    with pytest.raises(FrameError, match=refusal) as caught:
        store.set_table_from("t", column(array))
    assert "column 'x'" in str(caught.value)
    assert "convert=True" in str(caught.value)
    assert store.get_table("t") == CONTENT
    assert cells(array, convert=True) == converted


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"x"]),
        pa.array([[b"x"]]),
        pa.array([[date(2026, 1, 2)]]),
        pa.array([{"a": Decimal("1.5")}]),
        pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64())),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.array([b"x" * 16], pa.uuid()),
        pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
        pa.array(["\ufffdx"]),
        pa.array(["\ufffc"]),
        pa.array(["{"], pa.json_()),
    ],
)
def test_what_cannot_be_converted_is_refused_always(array: Any) -> None:
    for convert in (False, True):
        with pytest.raises(FrameError, match="column 'x'"):
            imported(column(array), convert=convert)


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        (float("inf"), None),
        (MOMENT.replace(tzinfo=UTC), "2026-11-22T12:30:00.500000+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=1), 60.0),
        (Decimal("1.5"), 1.5),
    ],
    ids=str,
)
def test_pythons_own_lists_and_dicts_are_looked_at_as_closely(value: Any, converted: Any) -> None:
    for frame in ([{"_id": "a", "x": value}], {"_id": ["a"], "x": [value]}):
        with pytest.raises(FrameError, match=r"column 'x' has .* at position 0.*convert=True"):
            imported(frame)
        assert imported(frame, convert=True, nulls="none") == {"a": {"x": converted}}
    for hopeless in (b"x", object(), {1, 2}, "\ufffc", Decimal("nan")):
        with pytest.raises(FrameError, match=r"column 'x' has .* at position 0"):
            imported([{"_id": "a", "x": hopeless}], convert=True)
    assert imported([{"_id": "a", "x": np.int64(3), "y": np.bool_(True), "z": Decimal(3)}]) == {
        "a": {"x": 3, "y": True, "z": 3}
    }


@pytest.mark.parametrize(
    "kind", [pl.Enum(["a", "b"]), pl.Categorical(), pl.String()], ids=["Enum", "Categorical", "String"]
)
def test_categories_of_polars_are_strings(kind: Any) -> None:
    frame = pl.DataFrame({"_id": ["1", "2", "3"], "x": pl.Series(["a", None, "b"], dtype=kind)})
    assert imported(frame, nulls="none") == {"1": {"x": "a"}, "2": {"x": None}, "3": {"x": "b"}}
    listed = frame.with_columns(pl.concat_list("x"))
    assert imported(listed, nulls="none") == {"1": {"x": ["a"]}, "2": {"x": [None]}, "3": {"x": ["b"]}}
    assert imported(frame.clear()) == {}


def test_rows_picked_from_a_frame_of_pandas_do_not_bring_their_places_along() -> None:
    frame = pd.DataFrame({"_id": ["a", "b", "c"], "n": [1, 2, 3]}).iloc[[2, 0]]
    frame = pd.concat([frame, frame.iloc[:1].assign(_id="d")])
    assert imported(frame) == {"c": {"n": 3}, "a": {"n": 1}, "d": {"n": 3}}
    by_place = imported(frame.iloc[:2], id_column="__index_level_0__")
    assert by_place == {"2": {"_id": "c", "n": 3}, "0": {"_id": "a", "n": 1}}


def test_what_pandas_cannot_give_as_arrow_comes_as_columns() -> None:
    frame = pd.DataFrame({"_id": IDS, "n": pd.Series([1, "x"], dtype=object)})
    assert imported(frame.to_dict("list")) == {"a": {"n": 1}, "b": {"n": "x"}}


def test_pandas_own_nulls_are_nulls() -> None:
    frame = pd.DataFrame(
        {"_id": [1, 2], "n": [1.5, float("nan")], "c": pd.Series(["x", None], dtype="category")}
    )
    assert imported(frame) == {"1": {"n": 1.5, "c": "x"}}
    assert imported(frame, nulls="none")["2"] == {"n": None, "c": None}


def test_nulls_are_absent_or_none_as_is_asked() -> None:
    frame = {"_id": IDS, "x": [None, 1], "y": [None, None]}
    rows = [{"_id": "a", "x": None}, {"_id": "b", "x": 1}, {"_id": "c"}]
    assert imported(frame) == {"b": {"x": 1}}
    assert imported(frame, nulls="none") == {"a": {"x": None, "y": None}, "b": {"x": 1, "y": None}}
    assert imported(rows) == {"a": {"x": None}, "b": {"x": 1}}
    assert imported(rows, nulls="absent") == {"b": {"x": 1}}
    with pytest.raises(ArgumentError, match="'absent', 'none'"):
        imported(rows, nulls="null")


# --- row ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["x", ""], ["x", ""]),
        ([1, 2], ["1", "2"]),
        ([1.0, 20.0], ["1", "20"]),
        (["\ufffd1", "1"], ["\ufffd1", "1"]),
    ],
)
def test_row_ids_are_strings_or_whole_numbers(ids: list[Any], expected: list[str]) -> None:
    for frame in ({"key": ids, "x": [1, 2]}, pl.DataFrame({"key": ids, "x": [1, 2]})):
        assert list(imported(frame, id_column="key")) == expected


@pytest.mark.parametrize("bad", [None, True, 1.5, float("nan"), [1]], ids=str)
def test_anything_else_is_no_row_id(bad: Any) -> None:
    with pytest.raises(FrameError, match=r"column '_id' has .* at position 1, which can be no row id"):
        imported([{"_id": "a", "x": 1}, {"_id": bad, "x": 2}])
    with pytest.raises(FrameError, match="MISSING at position 1"):
        imported([{"_id": "a", "x": 1}, {"x": 2}])


def test_a_row_id_twice_is_refused_and_changes_nothing() -> None:
    store = Store().set_table("t", CONTENT)
    with pytest.raises(FrameError, match=r"row id '1' at positions 0 and 2"):
        store.set_table_from("t", pl.DataFrame({"_id": [1, 2, 1], "x": [1, 2, 3]}))
    assert store.get_table("t") == CONTENT


def test_a_frame_without_the_column_is_refused_and_rows_can_be_numbered() -> None:
    frame = pl.DataFrame({"id": IDS, "x": [1, 2]})
    with pytest.raises(FrameError, match=r"no column '_id' .* there are 'id', 'x'.*id_column=None"):
        imported(frame)
    assert imported(frame, id_column=None) == {"0": {"id": "a", "x": 1}, "1": {"id": "b", "x": 2}}
    assert imported([]) == {}
    store = Store().set_table_from("t", frame, id_column=None)
    assert store.add_row("t", {"x": 3}) == "2"


# --- the schema -------------------------------------------------------------------------------------------

SCHEMA: Any = {
    "t": {
        "text": {"type": "string", "required": True},
        "done": {"type": "boolean", "default": False},
        "rank": {"type": "number", "allowNull": True},
        "tags": {"type": ["array", "object"]},
        "size": {"enum": ["s", "m"]},
    }
}


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_under_a_schema_absent_cells_get_their_defaults_and_lost_types_come_back(strict: bool) -> None:
    store = Store(strict=strict).set_tables_schema(SCHEMA)
    store.set_table_from(
        "t",
        {
            "_id": ["a", "b", "c"],
            "text": ["x", "y", "z"],
            "done": [1, None, 0],
            "tags": ['["home"]', '{"a":1}', None],
            "size": ["s", None, "m"],
        },
    )
    assert store.get_table("t") == {
        "a": {"text": "x", "done": True, "tags": ["home"], "size": "s"},
        "b": {"text": "y", "done": False, "tags": {"a": 1}},
        "c": {"text": "z", "done": False, "size": "m"},
    }


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("text", ["x", 5], "row 'b', cell 'text': it must be of type string"),
        ("text", ["x", None], "row 'b', cell 'text': it is required"),
        ("done", [True, 2], "row 'b', cell 'done': it must be of type boolean"),
        ("rank", [1, True], "row 'b', cell 'rank': it must be of type number"),
        ("tags", ["[1]", "home"], "row 'b', cell 'tags'"),
        ("tags", ["[1]", "3"], "row 'b', cell 'tags'"),
        ("size", ["s", "xl"], r"row 'b', cell 'size': it must be one of \['s', 'm'\]"),
        ("other", [None, 1], "row 'b', cell 'other': the schema knows no such cell"),
    ],
)
def test_what_the_schema_forbids_is_refused_on_any_store(
    strict: bool, name: str, values: list[Any], rule: str
) -> None:
    store = Store(strict=strict).set_tables_schema(SCHEMA).set_row("t", "z", {"text": "before"})
    with pytest.raises(InvalidCellError, match=rf"table 't', {rule}"):
        store.set_table_from("t", {"_id": IDS, **({"text": ["x", "y"]} | {name: values})})
    assert store.get_table("t") == {"z": {"text": "before", "done": False}}
    with pytest.raises(InvalidCellError, match="table 'u': the schema knows no such table"):
        store.set_table_from("u", {"_id": IDS})


def test_a_column_without_a_cell_may_be_unknown_to_the_schema() -> None:
    store = Store(strict=True).set_tables_schema(SCHEMA)
    store.set_table_from("t", {"_id": IDS, "text": ["x", "y"], "other": [None, None]})
    assert store.get_row("t", "a") == {"text": "x", "done": False}


# --- what is no frame -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (5, "int is no data frame"),
        ("text", "str is no data frame"),
        (object(), "object is no data frame"),
        ([1, 2], "rows must be mappings.*position 0"),
        ({"a": {"x": 1}}, "column 'a' is of type dict.*set_table"),
        ({"a": "xyz"}, "column 'a' is of type str"),
        ({"a": 5}, "column 'a' is of type int"),
        ({"a": [1], "b": [1, 2]}, "of one length"),
        (pa.table([["a"], ["b"]], names=["x", "x"]), "two columns called 'x'"),
        (pl.Series("x", [1]), "Series cannot be read as an Arrow table: .*dict of its columns"),
        (
            pd.DataFrame({"_id": IDS, "n": pd.Series([1, "x"], dtype=object)}),
            r"DataFrame cannot be read as an Arrow table: .*column n .*frame\.to_dict\('list'\)",
        ),
    ],
)
def test_what_is_no_frame_is_refused(frame: object, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        imported(frame)


def test_a_write_from_a_listener_that_may_only_read_is_an_error() -> None:
    store = Store()
    store.add_value_listener("x", lambda store, *_: store.set_table_from("t", [{"_id": "a", "n": 1}]))
    with pytest.raises(WriteForbiddenError):
        store.set_value("x", 1)


@pytest.mark.parametrize("missing", ["pyarrow", "narwhals"])
def test_a_missing_package_is_named_and_python_needs_none(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "replicell.store.frames.arrow", raising=False)
    with pytest.raises(MissingPackageError, match=rf'{missing}.*pip install "replicell\[frames\]"'):
        imported(pl.LazyFrame({"_id": ["a"]}))
    assert imported([{"_id": "a", "n": 1}]) == {"a": {"n": 1}}
