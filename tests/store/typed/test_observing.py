"""Typed rows as reactivex Observables."""

from __future__ import annotations

from dataclasses import dataclass

from replicell.store import Store, UnreadableRowError


@dataclass
class Todo:
    text: str
    done: bool = False


def test_a_row_is_observed_from_now_on_and_none_while_it_is_absent() -> None:
    store = Store()
    todos = store.table(Todo)
    seen: list[Todo | None] = []
    with todos.observe("1").subscribe(seen.append):
        todos["1"] = Todo("Buy milk")
        todos.update("1", done=True)
        todos["2"] = Todo("other")
        del todos["1"]
    todos["1"] = Todo("unheard")
    assert seen == [None, Todo("Buy milk"), Todo("Buy milk", done=True), None]


def test_a_row_is_told_once_a_transaction_and_only_if_it_differs() -> None:
    store = Store()
    todos = store.table(Todo)
    todos["1"] = Todo("Buy milk")
    seen: list[Todo | None] = []
    with todos.observe(1).subscribe(seen.append), store.transaction():
        todos.update("1", text="Buy bread")
        todos.update("1", text="Buy water")
    todos["1"] = Todo("Buy water")
    assert seen == [Todo("Buy milk"), Todo("Buy water")]


def test_the_table_is_observed_as_rows_by_id() -> None:
    store = Store()
    todos = store.table(Todo)
    seen: list[dict[str, Todo]] = []
    with todos.observe().subscribe(seen.append):
        todos["1"] = Todo("Buy milk")
        todos["2"] = Todo("Drink it")
        todos.clear()
    assert seen == [{}, {"1": Todo("Buy milk")}, {"1": Todo("Buy milk"), "2": Todo("Drink it")}, {}]


def test_what_is_observed_may_be_changed_without_harm() -> None:
    store = Store()
    todos = store.table(Todo)
    todos["1"] = Todo("Buy milk")
    seen: list[str] = []

    def spoil(todo: Todo | None) -> None:
        assert todo is not None
        seen.append(todo.text)
        todo.text = "spoiled"

    with todos.observe("1").subscribe(spoil):
        todos.update("1", done=True)
        todos.update("1", text="spoiled")
    assert seen == ["Buy milk", "Buy milk", "spoiled"]


def test_a_subscriber_may_write() -> None:
    store = Store()
    todos = store.table(Todo)

    def finish(todo: Todo | None) -> None:
        if todo is not None and not todo.done:
            todos.update("1", done=True)

    with todos.observe("1").subscribe(finish):
        todos["1"] = Todo("Buy milk")
    assert todos["1"].done


def test_a_row_that_the_model_cannot_have_ends_the_observable_with_the_error() -> None:
    store = Store()
    todos = store.table(Todo)
    todos["1"] = Todo("Buy milk")
    errors: list[Exception] = []
    one = todos.observe("1").subscribe(on_error=errors.append)
    every = todos.observe().subscribe(on_error=errors.append)
    store.set_cell("todo", "1", "done", "yes")
    store.set_cell("todo", "1", "done", "no")
    assert [type(error) for error in errors] == [UnreadableRowError, UnreadableRowError]
    one.dispose()
    every.dispose()
