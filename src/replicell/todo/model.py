"""The todo list: what can be done with it, and its order, on any store."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import NamedTuple

from replicell.store import CellLike, Store, TablesSchema, create_store
from replicell.todo.line import single_line
from replicell.todo.listeners import Listeners

__all__ = ["SCHEMA", "TABLE", "Todo", "TodoList", "create_todo_store"]

TABLE = "todo"
SCHEMA: TablesSchema = {
    TABLE: {
        "text": {"type": "string"},
        "completed": {"type": "boolean", "default": False},
        "created": {"type": "number"},
    }
}

MOST_CLOCK_SKEW = 24 * 60 * 60 * 1000
FEW = 100
"""Changes in one transaction up to which moving single todos is quicker than sorting all."""


class Todo(NamedTuple):
    """A row of the list; todos compare as they are sorted: open before done, then older before newer."""

    completed: bool
    created: float
    row_id: str
    text: str


def create_todo_store() -> Store:
    """Return an empty store that takes todos and nothing else.

    Example:
        >>> create_todo_store().set_row("todo", "1", {"text": "Buy milk", "created": 1}).get_row("todo", "1")
        {'text': 'Buy milk', 'created': 1, 'completed': False}
    """
    return create_store().set_tables_schema(SCHEMA)


class TodoList:
    """The todos of a store in their order, which is kept up to date change by change.

    Whoever writes to the store, this program or a replica far away, the list follows; a change costs what it
    touches, not what there is.

    Args:
        store: holds the table ``todo``, see `SCHEMA`.
        now: the time in seconds since 1970; new todos remember it.

    Example:
        >>> todos = TodoList(create_todo_store())
        >>> milk, bread = todos.add("Buy milk"), todos.add("Bake bread")
        >>> todos.toggle(milk)
        >>> [(todo.text, todo.completed) for todo in todos]
        [('Bake bread', False), ('Buy milk', True)]
        >>> todos.open_count, todos.done_count
        (1, 1)
    """

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._todos = {row_id: self._read(row_id) for row_id in store.get_row_ids(TABLE)}
        self._order = sorted(self._todos.values())
        self._changed_ids: set[str] = set()
        self._listeners = Listeners()
        self._store_listener_ids = (
            store.add_row_listener(TABLE, None, self._note_row),
            store.add_did_finish_transaction_listener(self._follow),
        )

    def close(self) -> None:
        """Stop following the store."""
        for listener_id in self._store_listener_ids:
            self._store.del_listener(listener_id)

    def add(self, text: str) -> str | None:
        """Add an open todo after all others and return its row id, or None when `text` is blank.

        The id is a random UUID, so that replicas which cannot see each other never choose the same one.
        """
        if not (text := single_line(text)):
            return None
        row_id = str(uuid.uuid4())
        todo: dict[str, CellLike] = {"text": text, "completed": False, "created": self._next_created()}
        self._store.set_row(TABLE, row_id, todo)
        return row_id

    def toggle(self, row_id: str) -> None:
        """Tick a todo off, or open it again; one that is gone stays gone."""
        if todo := self._todos.get(row_id):
            self._store.set_cell(TABLE, row_id, "completed", not todo.completed)

    def rename(self, row_id: str, text: str) -> bool:
        """Give a todo another text; return whether it has it now: False if it is gone or `text` is blank."""
        text = single_line(text)
        if not text or row_id not in self._todos:
            return False
        self._store.set_cell(TABLE, row_id, "text", text)
        return True

    def delete(self, row_id: str) -> None:
        """Delete a todo, here and in time everywhere."""
        self._store.del_row(TABLE, row_id)

    def clear(self) -> None:
        """Delete all todos in one transaction."""
        self._store.del_table(TABLE)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Todo]:
        return iter(self._order)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._todos

    def __getitem__(self, position: int) -> Todo:
        return self._order[position]

    def get(self, row_id: str) -> Todo | None:
        """Return the todo with that id, or None."""
        return self._todos.get(row_id)

    def position(self, todo: Todo) -> int:
        """Return where `todo` stands in the order, or where it would stand if it is gone."""
        return bisect_left(self._order, todo)

    @property
    def open_count(self) -> int:
        """How many todos are not ticked off."""
        return bisect_left(self._order, True, key=lambda todo: todo.completed)

    @property
    def done_count(self) -> int:
        """How many todos are ticked off."""
        return len(self) - self.open_count

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each transaction that changed a todo; return the function that ends this."""
        return self._listeners.add(listener)

    def _next_created(self) -> int:
        # A replica whose clock runs ahead may have written, and a new todo still comes last; but a clock that
        # is far off must not carry away everybody else's.
        now = int(self._now() * 1000)
        return max(now, min(int(self._newest_created()) + 1, now + MOST_CLOCK_SKEW))

    def _newest_created(self) -> float:
        lasts = (self._order[count - 1] for count in (self.open_count, len(self)) if count)
        return max((todo.created for todo in lasts), default=0)

    def _read(self, row_id: str) -> Todo:
        # Any replica, of any program, may have written the row: each cell may be absent.
        row = self._store.get_row(TABLE, row_id)
        text, created = row.get("text"), row.get("created")
        return Todo(
            completed=row.get("completed") is True,
            created=created if isinstance(created, int | float) else 0,
            row_id=row_id,
            text=single_line(text) if isinstance(text, str) else "",
        )

    def _note_row(self, _store: Store, _table_id: str, row_id: str, _get_cell_change: object) -> None:
        self._changed_ids.add(row_id)

    def _follow(self, _store: Store) -> None:
        if not self._changed_ids:
            return
        changed_ids, self._changed_ids = self._changed_ids, set()
        if len(changed_ids) < FEW:
            self._move(changed_ids)
        else:
            self._sort_again(changed_ids)
        self._listeners.call()

    def _move(self, changed_ids: set[str]) -> None:
        for row_id in changed_ids:
            if old := self._todos.pop(row_id, None):
                del self._order[bisect_left(self._order, old)]
            if self._store.has_row(TABLE, row_id):
                self._todos[row_id] = self._read(row_id)
                insort(self._order, self._todos[row_id])

    def _sort_again(self, changed_ids: set[str]) -> None:
        for row_id in changed_ids:
            self._todos.pop(row_id, None)
            if self._store.has_row(TABLE, row_id):
                self._todos[row_id] = self._read(row_id)
        self._order = sorted(self._todos.values())
