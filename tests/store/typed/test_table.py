"""`store.table(Model)`: rows as instances of a model, the same for every library."""

from __future__ import annotations

import pickle
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from replicell.store import (
    MISSING,
    AbsentError,
    InvalidCellError,
    ModelError,
    SchemaDataLossError,
    Store,
    TypedTable,
    UnreadableRowError,
    WriteForbiddenError,
    WrongThreadError,
    create_middleware,
)
from tests.store.typed.models import KINDS, Color, Kind, Todo, TodoModel, fields_of_todo

CELLS: dict[str, Any] = {
    "text": "Buy milk",
    "rank": 3,
    "done": True,
    "weight": 1.5,
    "note": None,
    "color": "blue",
    "size": "m",
    "tags": ["home"],
    "steps": [{"title": "go", "minutes": 5}],
    "extra": {"a": 1},
}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    given: Kind = request.param
    return given


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def todos(store: Store, kind: Kind) -> TypedTable[Any]:
    model: Any = kind.model
    return store.table(model, "todo")


def full(kind: Kind) -> Any:
    return kind.model(
        text="Buy milk",
        rank=3,
        done=True,
        weight=1.5,
        note=None,
        color=Color.BLUE,
        size="m",
        tags=["home"],
        steps=[kind.step(title="go", minutes=5)],
        extra={"a": 1},
    )


# --- reading ----------------------------------------------------------------------------------------------


def test_a_row_is_an_instance_of_the_model(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    store.set_row("todo", "1", CELLS)
    assert todos["1"] == full(kind)
    assert type(todos["1"]) is type(full(kind))


def test_a_row_is_read_the_same_by_its_number(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    store.set_row("todo", "1", CELLS)
    assert todos[1] == todos["1"]
    assert todos.get(1) == todos["1"]


def test_absent_cells_read_as_the_defaults(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    store.set_row("todo", "1", {"text": "Buy milk", "rank": 3})
    assert todos["1"] == kind.model(text="Buy milk", rank=3)


def test_cells_that_the_model_does_not_know_are_passed_over(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    store.set_row("todo", "1", {**CELLS, "owner": "ann"})
    assert todos["1"] == full(kind)


def test_what_is_read_may_be_changed_without_touching_the_store(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    store.set_row("todo", "1", CELLS)
    fields_of_todo(todos["1"])["tags"].append("work")
    assert store.get_cell("todo", "1", "tags") == ["home"]


def test_an_absent_row_is_a_key_error_that_names_it(todos: TypedTable[Any]) -> None:
    with pytest.raises(AbsentError, match="table 'todo' has no row 'x'") as caught:
        todos["x"]
    assert isinstance(caught.value, KeyError)
    assert todos.get("x") is None
    assert todos.get("x", 5) == 5
    assert "x" not in todos


@pytest.mark.parametrize(
    ("cell_id", "cell"),
    [
        ("text", 5),
        ("text", MISSING),
        ("text", None),
        ("text", ["Buy"]),
        ("rank", "3"),
        ("rank", 3.5),
        ("rank", True),
        ("done", 1),
        ("done", "yes"),
        ("weight", True),
        ("weight", "1.5"),
        ("note", 5),
        ("color", "green"),
        ("size", "xl"),
        ("tags", "home"),
        ("tags", ["home", 5]),
        ("steps", [{"minutes": 5}]),
        ("steps", [{"title": "go", "minutes": "5"}]),
        ("extra", {"a": "1"}),
        ("extra", []),
    ],
    ids=str,
)
def test_a_row_that_the_model_cannot_have_is_an_error_that_says_which_cell(
    store: Store, todos: TypedTable[Any], cell_id: str, cell: Any, kind: Kind
) -> None:
    store.set_row("todo", "1", {name: c for name, c in {**CELLS, cell_id: cell}.items() if c is not MISSING})
    with pytest.raises(UnreadableRowError) as caught:
        todos["1"]
    error = caught.value
    assert (error.table_id, error.row_id, error.cell_id) == ("todo", "1", cell_id)
    assert error.value == cell or error.value is MISSING or cell_id in ("tags", "steps", "extra")
    assert str(error).startswith(f"table 'todo', row '1', cell '{cell_id}'")
    assert "store.get_row" in str(error)
    with pytest.raises(UnreadableRowError):
        list(todos.values())
    assert "1" in todos
    restored = pickle.loads(pickle.dumps(error))
    assert str(restored) == str(error)


def test_whole_numbers_do_for_floats_and_whole_floats_for_ints(store: Store, todos: TypedTable[Any]) -> None:
    store.set_row("todo", "1", {"text": "x", "rank": 3.0, "weight": 2})
    fields = fields_of_todo(todos["1"])
    assert (fields["rank"], fields["weight"]) == (3, 2.0)
    assert (type(fields["rank"]), type(fields["weight"])) == (int, float)


# --- writing ----------------------------------------------------------------------------------------------


def test_assigning_stores_the_cells(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    todos["1"] = full(kind)
    assert store.get_row("todo", "1") == CELLS
    assert todos["1"] == full(kind)


def test_assigning_replaces_a_row_in_one_transaction(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    todos["1"] = full(kind)
    heard: list[object] = []
    store.add_cell_listener("todo", None, None, lambda store, *told: heard.append(told[2:4]))
    todos["1"] = kind.model(**{**fields_of_todo(full(kind)), "rank": 4, "done": False})
    assert heard == [("rank", 4), ("done", False)]


def test_assigning_leaves_cells_alone_that_the_model_does_not_know(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    store.set_row("todo", "1", {**CELLS, "owner": {"name": "ann"}})
    todos["1"] = kind.model(**{**fields_of_todo(full(kind)), "tags": []})
    assert store.get_row("todo", "1") == {**CELLS, "tags": [], "owner": {"name": "ann"}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 5),
        ("text", None),
        ("text", "\ufffd{}"),
        ("rank", "3"),
        ("done", 1),
        ("weight", float("nan")),
        ("weight", "much"),
        ("note", 5),
        ("color", "green"),
        ("size", "xl"),
        ("tags", "home"),
        ("tags", [5]),
        ("steps", [5]),
        ("extra", {"a": "x"}),
        ("extra", {"a": object}),
    ],
    ids=str,
)
def test_assigning_what_the_model_forbids_is_an_error_and_changes_nothing(
    store: Store, todos: TypedTable[Any], kind: Kind, name: str, value: Any
) -> None:
    todos["1"] = full(kind)
    fields = {**fields_of_todo(full(kind)), name: value}
    # Also who has pydantic check nothing is found out.
    given = TodoModel.model_construct(**fields) if kind is KINDS["pydantic"] else kind.model(**fields)
    for write in (lambda: todos.__setitem__("1", given), lambda: todos.add(given)):
        with pytest.raises(InvalidCellError) as caught:
            write()
        assert (caught.value.table_id, caught.value.cell_id) == ("todo", name)
        assert f"cell {name!r}: " in str(caught.value)
        assert "Nothing was changed" in str(caught.value)
    assert store.get_tables() == {"todo": {"1": CELLS}}


@pytest.mark.parametrize("kind", [KINDS[name] for name in ("dataclass", "TypedDict", "msgspec")], ids=str)
def test_true_is_no_int(store: Store, kind: Kind) -> None:
    """As pydantic writes JSON, True becomes 1 in an int field before anybody could object."""
    model: Any = kind.model
    with pytest.raises(InvalidCellError, match="cell 'rank'"):
        store.table(model, "todo")["1"] = kind.model(**{**fields_of_todo(full(kind)), "rank": True})


def test_assigning_something_else_is_an_error(todos: TypedTable[Any], kind: Kind) -> None:
    for other in (5, None, object(), Store()):
        with pytest.raises(InvalidCellError, match="table 'todo', row '1'"):
            todos["1"] = other
    assert len(todos) == 0


def test_add_gives_a_row_an_id_of_its_own(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    assert [todos.add(full(kind)), todos.add(full(kind))] == ["0", "1"]
    assert store.get_row("todo", "1") == CELLS


def test_deleting(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    todos["1"] = full(kind)
    del todos["1"]
    assert not store.has_table("todo")
    with pytest.raises(KeyError):
        del todos["1"]


def test_update_changes_some_cells(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    todos["1"] = full(kind)
    store.set_cell("todo", "1", "owner", "ann")
    heard: list[object] = []
    store.add_cell_listener("todo", None, None, lambda store, *told: heard.append(told[2:4]))
    todos.update("1", rank=4, color=Color.RED, steps=[])
    assert heard == [("rank", 4), ("color", "red"), ("steps", [])]
    assert store.get_row("todo", "1") == {**CELLS, "rank": 4, "color": "red", "steps": [], "owner": "ann"}


def test_update_deletes_a_cell_that_the_model_can_do_without(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    todos["1"] = full(kind)
    todos.update("1", note=MISSING, rank=5)
    assert store.get_row("todo", "1") == {n: c for n, c in {**CELLS, "rank": 5}.items() if n != "note"}
    with pytest.raises(InvalidCellError, match="cell 'text'"):
        todos.update("1", text=MISSING)


@pytest.mark.parametrize(
    ("name", "value"), [("rank", "x"), ("done", 7), ("tags", [5]), ("owner", "ann")], ids=str
)
def test_update_with_what_the_model_forbids_is_an_error_and_changes_nothing(
    store: Store, todos: TypedTable[Any], kind: Kind, name: str, value: Any
) -> None:
    todos["1"] = full(kind)
    with pytest.raises(InvalidCellError, match=f"table 'todo', row '1', cell '{name}'"):
        todos.update("1", text="other", **{name: value})
    assert store.get_row("todo", "1") == CELLS


def test_update_mends_a_row_that_cannot_be_read(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    store.set_row("todo", "1", {**CELLS, "rank": "three"})
    todos.update("1", rank=3)
    assert todos["1"] == full(kind)


def test_update_of_an_absent_row_is_a_key_error(todos: TypedTable[Any]) -> None:
    with pytest.raises(AbsentError):
        todos.update("x", rank=1)


def test_update_takes_several_rows_as_a_dict_does(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    transactions: list[str] = []
    store.add_did_finish_transaction_listener(lambda store: transactions.append("done"))
    todos.update({"1": full(kind)}, two=full(kind))
    todos.update([("3", full(kind))])
    todos.update(four=full(kind))
    assert list(todos) == ["1", "two", "3", "four"]
    assert len(transactions) == 3


def test_one_bad_row_among_several_leaves_all_out(todos: TypedTable[Any], kind: Kind) -> None:
    with pytest.raises(InvalidCellError, match="row '2'"):
        todos.update({"1": full(kind), "2": 5})
    assert len(todos) == 0


# --- a mapping --------------------------------------------------------------------------------------------


def test_it_is_a_mutable_mapping(todos: TypedTable[Any], kind: Kind) -> None:
    assert isinstance(todos, MutableMapping)
    todos["b"] = todos["a"] = full(kind)
    assert list(todos) == list(todos.keys()) == ["b", "a"]
    assert list(todos.values()) == [full(kind), full(kind)]
    assert dict(todos.items()) == {"a": full(kind), "b": full(kind)} == todos
    assert len(todos) == 2
    assert ("a" in todos, "c" in todos, None in todos) == (True, False, False)
    assert todos.pop("a") == full(kind)
    assert todos.setdefault("b", full(kind)) == full(kind)
    assert todos.setdefault("c", full(kind)) == full(kind)
    todos.clear()
    assert (len(todos), bool(todos)) == (0, False)


def test_clear_is_one_transaction(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    todos.update({"1": full(kind), "2": full(kind)})
    transactions: list[str] = []
    store.add_did_finish_transaction_listener(lambda store: transactions.append("done"))
    todos.clear()
    assert (store.get_tables(), transactions) == ({}, ["done"])


def test_it_is_live_and_there_may_be_several(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    other: TypedTable[Any] = store.table(todos.model, "todo")
    other["1"] = full(kind)
    assert todos["1"] == full(kind)
    store.set_cell("todo", "1", "rank", 9)
    assert fields_of_todo(other["1"])["rank"] == fields_of_todo(todos["1"])["rank"] == 9


def test_it_says_what_it_is(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    name = getattr(kind.model, "__name__", "")
    assert repr(todos) == f"<TypedTable of {name}: 'todo', 0 rows>"
    todos["1"] = full(kind)
    assert repr(todos) == f"<TypedTable of {name}: 'todo', 1 row>"
    assert (todos.model, todos.table_id, todos.get_store()) == (kind.model, "todo", store)


# --- with the rest of the store ---------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_the_schema_holds_too_and_what_it_forbids_is_an_error_on_any_store(kind: Kind, strict: bool) -> None:
    schema: Any = {"text": {"type": "string"}, "rank": {"enum": [1, 2]}, "owner": {"type": "string"}}
    for name in ("done", "weight", "note", "color", "size", "tags", "steps", "extra"):
        schema[name] = {"type": ["string", "number", "boolean", "array", "object"], "allowNull": True}
    store = Store(strict=strict).set_tables_schema({"todo": schema})
    model: Any = kind.model
    todos = store.table(model, "todo")
    with pytest.raises(InvalidCellError, match=r"cell 'rank': it must be one of \[1, 2\]"):
        todos["1"] = full(kind)
    todos["1"] = kind.model(**{**fields_of_todo(full(kind)), "rank": 1})
    with pytest.raises(InvalidCellError, match="cell 'rank'"):
        todos.update("1", rank=3)
    assert store.get_cell("todo", "1", "rank") == 1
    with pytest.raises(InvalidCellError, match="the schema knows no such table"):
        store.table(model, "other")["1"] = full(kind)
    required: Any = {"todo": {**schema, "owner": {"type": "string", "required": True}}}
    with pytest.raises(InvalidCellError, match="cell 'owner': it is required"):
        Store(strict=strict).set_tables_schema(required).table(model, "todo")["1"] = todos["1"]
    short: Any = {"todo": {"text": {"type": "string"}}}
    with pytest.raises(InvalidCellError, match="the store's schema knows no such cell"):
        Store(strict=strict).set_tables_schema(short).table(model, "todo")["1"] = todos["1"]


def test_middleware_may_alter_and_veto(store: Store, todos: TypedTable[Any], kind: Kind) -> None:
    create_middleware(store).add_will_set_cell_callback(
        lambda table_id, row_id, cell_id, cell: (
            MISSING if row_id == "0" else f"{cell}!" if cell_id == "text" else cell
        )
    )
    todos["1"] = full(kind)
    assert fields_of_todo(todos["1"])["text"] == "Buy milk!"
    with pytest.raises(InvalidCellError, match="vetoed"):
        todos.add(full(kind))


def test_a_write_from_a_listener_that_may_only_read_is_an_error_rather_than_nothing(
    store: Store, todos: TypedTable[Any], kind: Kind
) -> None:
    writes = [
        lambda: todos.__setitem__("2", full(kind)),
        lambda: todos.add(full(kind)),
        lambda: todos.update("1", rank=4),
        lambda: todos.__delitem__("1"),
        todos.clear,
    ]
    refused: list[WriteForbiddenError] = []

    def listener(*_: object) -> None:
        for write in writes:
            try:
                write()
            except WriteForbiddenError as error:
                refused.append(error)

    store.add_cell_listener("todo", None, "rank", listener)
    todos["1"] = full(kind)
    assert len(refused) == len(writes)
    assert list(todos) == ["1"]


def test_another_thread_is_refused(todos: TypedTable[Any], kind: Kind) -> None:
    todos["1"] = full(kind)
    uses = [
        lambda: todos["1"],
        lambda: todos.get("1"),
        lambda: list(todos),
        lambda: len(todos),
        lambda: todos.__setitem__("1", full(kind)),
        lambda: todos.add(full(kind)),
        lambda: todos.update("1", rank=4),
    ]
    with ThreadPoolExecutor(1) as other_thread:
        for use in uses:
            with pytest.raises(WrongThreadError):
                other_thread.submit(use).result(10)


# --- the table and its schema -----------------------------------------------------------------------------


def test_the_table_is_named_after_the_model_unless_it_is_given(store: Store) -> None:
    @dataclass
    class HTTPRequestLog:
        path: str

    assert store.table(HTTPRequestLog).table_id == "http_request_log"
    assert store.table(Todo).table_id == "todo"
    assert store.table(Todo, 5).table_id == "5"


def test_by_default_no_schema_is_set(store: Store, todos: TypedTable[Any]) -> None:
    assert not store.has_tables_schema()
    store.set_cell("todo", "1", "rank", "whatever").set_cell("other", "1", "x", 1)
    assert store.get_table_ids() == ["todo", "other"]


def test_with_a_schema_the_model_holds_for_all_who_write(store: Store, kind: Kind) -> None:
    model: Any = kind.model
    todos = store.table(model, "todo", schema=True)
    store.set_row("todo", "1", {"text": "x", "rank": "high"})
    assert len(todos) == 0
    todos["1"] = full(kind)
    assert store.get_row("todo", "1") == CELLS
    store.set_cell("todo", "1", "rank", "high")
    assert store.get_cell("todo", "1", "rank") == 3


def test_a_schema_is_added_to_the_one_there_is(store: Store) -> None:
    before: Any = {"todo": {"owner": {"type": "string"}}, "pets": {"age": {"type": "number"}}}
    store.set_tables_schema(before).set_cell("todo", "1", "owner", "ann").set_cell("pets", "1", "age", 3)

    @dataclass
    class Todo:
        text: str = ""

    store.table(Todo, schema=True)
    assert store.get_tables() == {"todo": {"1": {"owner": "ann", "text": ""}}, "pets": {"1": {"age": 3}}}
    assert store.get_tables_schema_json() == (
        '{"todo":{"owner":{"type":"string"},"text":{"type":"string","default":""}},"pets":{"age":{"type":"number"}}}'
    )


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_a_schema_never_drops_data(strict: bool) -> None:
    for content in (
        {"other": {"1": {"x": 1}}},
        {"todo": {"1": {"text": "x", "rank": 1, "unknown": 1}}},
        {"todo": {"1": {"text": "x", "rank": "high"}}},
        {"todo": {"1": {"text": "x"}}},
    ):
        store = Store(strict=strict).set_tables(content)
        with pytest.raises(SchemaDataLossError):
            store.table(Todo, schema=True)
        assert (store.get_tables(), store.has_tables_schema()) == (content, False)


@pytest.mark.parametrize("model", [5, "Todo", int, Store, list[int], Todo("x", 1)], ids=repr)
def test_what_is_no_model_is_refused(store: Store, model: Any) -> None:
    with pytest.raises(ModelError):
        store.table(model)


def test_a_model_without_fields_is_refused(store: Store) -> None:
    @dataclass
    class Empty:
        pass

    with pytest.raises(ModelError, match="Empty has no fields"):
        store.table(Empty)
