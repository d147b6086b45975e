"""The compiled functions say what the careful ones say, whatever is in the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicell.store import InvalidCellError, Store, UnreadableRowError
from tests.store.typed.models import KINDS, Color, Kind, Todo

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from((0.5, 2.0, "", "red", "s", "x")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("title", "k")), inner, max_size=2)
    ),
    max_leaves=3,
)
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text("xy\U0001f600", max_size=3),
    "rank": st.integers(),
    "done": st.booleans(),
    "weight": st.floats(-5, 5) | st.integers(-5, 5),
    "note": st.none() | st.text("xy"),
    "color": st.sampled_from(("red", "blue")),
    "size": st.sampled_from(("s", "m")),
    "tags": st.lists(st.text("xy"), max_size=2),
    "steps": st.lists(st.fixed_dictionaries({"title": st.text("xy")}), max_size=2),
    "extra": st.dictionaries(st.sampled_from(("a", "b")), st.integers(), max_size=2),
}
ROWS = st.fixed_dictionaries(RIGHT) | st.fixed_dictionaries(
    {}, optional={name: cells | JSON for name, cells in RIGHT.items()}
)
VALUES = JSON | st.sampled_from((float("nan"), "\ufffd", Color.RED, object))


def outcome(action: Callable[[], Any]) -> Any:
    try:
        return repr(action())
    except (UnreadableRowError, InvalidCellError) as error:
        return type(error), error.cell_id, error.rule


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@settings(max_examples=100, deadline=None)
@given(row=ROWS)
def test_reading(kind: Kind, row: dict[str, Any]) -> None:
    store = Store()
    if not row:
        return
    store.set_row("t", "1", row)
    model: Any = kind.model
    table = store.table(model, "t")
    quick = outcome(lambda: table["1"])
    assert quick == outcome(lambda: table._read_with_care("1"))
    if isinstance(quick, str):
        read = table["1"]
        table["2"] = read
        assert outcome(lambda: table["2"]) == quick


@settings(max_examples=100, deadline=None)
@given(row=st.fixed_dictionaries({name: cells | VALUES for name, cells in RIGHT.items()}))
def test_writing(row: dict[str, Any]) -> None:
    store = Store()
    table = store.table(Todo)
    todo = Todo(**row)
    quick = outcome(lambda: table._accepted("1", todo))
    with_care = Store().table(Todo)
    with_care._write = with_care._codec.write
    assert quick == outcome(lambda: with_care._accepted("1", todo))
    if isinstance(quick, str):
        table["1"] = todo
        assert outcome(lambda: table["1"]) == repr(todo) or todo.weight == table["1"].weight
    else:
        assert outcome(lambda: table.__setitem__("1", todo)) == quick
        assert store.get_tables() == {}
