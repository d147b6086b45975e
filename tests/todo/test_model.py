from __future__ import annotations

import random

import pytest

from replicell.store import CellLike, Store
from replicell.todo.model import SCHEMA, Todo, TodoList, create_todo_store


@pytest.fixture
def store() -> Store:
    return create_todo_store()


@pytest.fixture
def todos(store: Store) -> TodoList:
    return TodoList(store)


def texts(todos: TodoList) -> list[str]:
    return [todo.text for todo in todos]


def add(todos: TodoList, text: str) -> str:
    row_id = todos.add(text)
    assert row_id is not None
    return row_id


class TestAdding:
    def test_a_new_todo_is_open_and_last(self, todos: TodoList) -> None:
        add(todos, "Buy milk")
        row_id = add(todos, "Bake bread")
        assert texts(todos) == ["Buy milk", "Bake bread"]
        assert todos[1].row_id == row_id
        assert not todos[1].completed

    def test_it_is_a_row_of_the_store(self, store: Store) -> None:
        todos = TodoList(store, now=lambda: 12.5)
        row_id = add(todos, " Buy\nmilk ")
        assert store.get_tables() == {
            "todo": {row_id: {"text": "Buy milk", "completed": False, "created": 12_500}}
        }

    @pytest.mark.parametrize("text", ["", "   ", "\n", "\ufffd"])
    def test_a_blank_one_is_not_added(self, todos: TodoList, store: Store, text: str) -> None:
        assert todos.add(text) is None
        assert not store.has_tables()

    def test_two_replicas_never_choose_the_same_id(self) -> None:
        lists = [TodoList(create_todo_store(), now=lambda: 1.0) for _ in range(2)]
        ids = [add(todos, "the same") for todos in lists for _ in range(100)]
        assert len(set(ids)) == 200

    def test_todos_of_one_moment_keep_their_order(self, store: Store) -> None:
        todos = TodoList(store, now=lambda: 1.0)
        for number in range(20):
            add(todos, str(number))
        assert texts(todos) == [str(number) for number in range(20)]

    def test_it_comes_after_those_of_a_replica_whose_clock_runs_ahead(self, store: Store) -> None:
        todos = TodoList(store, now=lambda: 1_000.0)
        store.set_row("todo", "theirs", {"text": "theirs", "created": 1_060_000})
        add(todos, "mine")
        assert texts(todos) == ["theirs", "mine"]

    @pytest.mark.parametrize("absurd", [1e300, 2**63 - 1, 9_999_999_999_999])
    def test_an_absurd_time_does_not_spread(self, store: Store, absurd: float) -> None:
        todos = TodoList(store, now=lambda: 1_000.0)
        store.set_row("todo", "theirs", {"text": "theirs", "created": absurd, "completed": True})
        created = store.get_cell("todo", add(todos, "mine"), "created")
        assert created == 1_000_000 + 24 * 60 * 60 * 1000


class TestOrder:
    def test_open_ones_come_first_then_older_ones(self, todos: TodoList) -> None:
        first, second, third = (add(todos, text) for text in ("first", "second", "third"))
        todos.toggle(second)
        assert texts(todos) == ["first", "third", "second"]
        todos.toggle(first)
        assert texts(todos) == ["third", "first", "second"]
        todos.toggle(second)
        assert texts(todos) == ["second", "third", "first"]
        assert third == todos[1].row_id

    def test_it_is_the_same_on_every_replica_whatever_came_first(self) -> None:
        rows: dict[str, dict[str, CellLike]] = {
            str(number): {"text": f"t{number}", "created": number % 3} for number in range(10)
        }
        orders = []
        for seed in range(5):
            store = create_todo_store()
            todos = TodoList(store)
            for row_id in random.Random(seed).sample(sorted(rows), len(rows)):
                store.set_row("todo", row_id, rows[row_id])
            orders.append([todo.row_id for todo in todos])
        assert orders == [["0", "3", "6", "9", "1", "4", "7", "2", "5", "8"]] * 5

    def test_a_list_begins_with_what_the_store_holds(self, store: Store) -> None:
        store.set_table(
            "todo",
            {
                "b": {"text": "done", "created": 1, "completed": True},
                "a": {"text": "open", "created": 2, "completed": False},
            },
        )
        assert texts(TodoList(store)) == ["open", "done"]

    @pytest.mark.parametrize("seed", range(5))
    def test_following_single_changes_gives_the_same_as_sorting_anew(self, store: Store, seed: int) -> None:
        chance = random.Random(seed)
        todos = TodoList(store, now=lambda: chance.randrange(1, 1000))
        for step in range(300):
            ids = [todo.row_id for todo in todos]
            action = chance.choice(["add", "add", "toggle", "rename", "delete", "many"])
            if action == "add" or not ids:
                add(todos, f"todo {step}")
            elif action == "toggle":
                todos.toggle(chance.choice(ids))
            elif action == "rename":
                todos.rename(chance.choice(ids), f"renamed {step}")
            elif action == "delete":
                todos.delete(chance.choice(ids))
            elif step % 10 == 0:
                set_many(store, chance)
        assert list(todos) == list(TodoList(store))
        assert len(todos) == store.get_row_count("todo")


def set_many(store: Store, chance: random.Random) -> None:
    with store.transaction():
        for number in range(150):
            store.set_row(
                "todo",
                f"many{number}",
                {"text": "many", "created": chance.randrange(1000), "completed": chance.random() < 0.5},
            )


class TestChanging:
    def test_toggle_ticks_off_and_opens_again(self, todos: TodoList) -> None:
        row_id = add(todos, "Buy milk")
        todos.toggle(row_id)
        assert (todos.open_count, todos.done_count) == (0, 1)
        todos.toggle(row_id)
        assert (todos.open_count, todos.done_count) == (1, 0)

    def test_rename_keeps_the_place(self, todos: TodoList) -> None:
        first, _ = add(todos, "first"), add(todos, "second")
        assert todos.rename(first, " 1st ")
        assert texts(todos) == ["1st", "second"]

    def test_rename_to_nothing_changes_nothing(self, todos: TodoList) -> None:
        row_id = add(todos, "Buy milk")
        assert not todos.rename(row_id, "  ")
        assert texts(todos) == ["Buy milk"]

    def test_what_is_gone_is_not_brought_back_in_part(self, todos: TodoList, store: Store) -> None:
        row_id = add(todos, "Buy milk")
        todos.delete(row_id)
        todos.toggle(row_id)
        assert not todos.rename(row_id, "Buy soy milk")
        todos.delete(row_id)
        assert len(todos) == 0
        assert store.get_tables() == {}

    def test_clear_deletes_all(self, todos: TodoList, store: Store) -> None:
        for number in range(200):
            add(todos, str(number))
        todos.clear()
        assert list(todos) == []
        assert (todos.open_count, todos.done_count) == (0, 0)
        assert store.get_tables() == {}


class TestLookingUp:
    def test_by_id_and_by_position(self, todos: TodoList) -> None:
        first, second = add(todos, "first"), add(todos, "second")
        assert first in todos
        assert todos.get(second) == todos[1]
        assert todos.position(todos[1]) == 1
        assert "nobody" not in todos
        assert todos.get("nobody") is None

    def test_the_position_of_one_that_is_gone_is_that_of_its_successor(self, todos: TodoList) -> None:
        _, second, _ = (add(todos, text) for text in ("first", "second", "third"))
        gone = todos[1]
        todos.delete(second)
        assert todos.position(gone) == 1
        assert todos[1].text == "third"


class TestForeignRows:
    """Rows that another program wrote: cells may be absent, text may be anything."""

    def test_absent_cells_are_blank(self, todos: TodoList, store: Store) -> None:
        store.set_row("todo", "x", {"created": 5})
        assert list(todos) == [Todo(completed=False, created=5, row_id="x", text="")]

    def test_a_text_cannot_steer_the_terminal(self, todos: TodoList, store: Store) -> None:
        store.set_row("todo", "x", {"text": "\x1b[2J\x1b]0;title\x07", "created": 5})
        assert texts(todos) == ["[2J ]0;title"]

    def test_other_tables_and_cells_are_not_todos(self, todos: TodoList, store: Store) -> None:
        store.set_row("other", "x", {"text": "no"})
        store.set_row("todo", "y", {"text": "yes", "created": 1, "priority": 3})
        assert texts(todos) == ["yes"]
        assert sorted(SCHEMA["todo"]) == ["completed", "created", "text"]


class TestListening:
    def test_a_listener_is_called_once_a_transaction(self, todos: TodoList, store: Store) -> None:
        calls: list[list[str]] = []
        todos.on_change(lambda: calls.append(texts(todos)))
        with store.transaction():
            store.set_row("todo", "a", {"text": "a", "created": 1})
            store.set_row("todo", "b", {"text": "b", "created": 2})
        todos.toggle("a")
        assert calls == [["a", "b"], ["b", "a"]]

    def test_what_changes_nothing_is_not_told(self, todos: TodoList) -> None:
        row_id = add(todos, "a")
        calls: list[int] = []
        todos.on_change(lambda: calls.append(1))
        todos.rename(row_id, "a")
        todos.delete("nobody")
        assert calls == []

    def test_it_ends_when_asked(self, todos: TodoList) -> None:
        calls: list[int] = []
        unsubscribe = todos.on_change(lambda: calls.append(1))
        unsubscribe()
        add(todos, "a")
        assert calls == []

    def test_a_closed_list_follows_no_more(self, todos: TodoList, store: Store) -> None:
        todos.close()
        store.set_row("todo", "a", {"text": "a", "created": 1})
        assert list(todos) == []
        stats = store.get_listener_stats()
        assert (stats["row"], stats["transaction"]) == (0, 0)
