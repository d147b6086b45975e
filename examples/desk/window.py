"""The window: an entry, the list, and how things stand with the server."""

from __future__ import annotations

import time
import tkinter
import uuid

from replicell import BlockingApp
from replicell.store import TablesSchema

__all__ = ["TABLES", "Window"]

TABLES: TablesSchema = {
    "todo": {
        "text": {"type": "string"},
        "completed": {"type": "boolean", "default": False},
        "created": {"type": "number"},
    }
}
"""The table of ``replicell todo``, so that both can share a room."""

STATUS_EVERY = 200
"""Milliseconds between looks at the status."""


class Window:
    """Shows the store's todos, and writes to the store; everything happens in Tk's thread.

    Args:
        root: The window.
        app: What keeps the store and shares it.
    """

    def __init__(self, root: tkinter.Tk | tkinter.Toplevel, app: BlockingApp) -> None:
        self._app = app
        self._store = app.store
        self._row_ids: list[str] = []
        root.title("Desk")
        root.geometry("420x360")
        self.entry = tkinter.Entry(root)
        self.entry.pack(fill="x", padx=8, pady=8)
        self.entry.bind("<Return>", self._add)
        self.list = tkinter.Listbox(root)
        self.list.pack(fill="both", expand=True, padx=8)
        self.list.bind("<Double-Button-1>", self._toggle)
        self.list.bind("<space>", self._toggle)
        self.list.bind("<Delete>", self._delete)
        self.status = tkinter.Label(root, anchor="w")
        self.status.pack(fill="x", padx=8, pady=4)
        self.entry.focus()
        self._store.add_table_listener("todo", lambda *_: self._show_list())
        self._show_list()
        self._show_status()

    def _show_list(self) -> None:
        todos = self._store.get_table("todo")
        self._row_ids = sorted(todos, key=lambda row_id: (todos[row_id].get("created") or 0, row_id))
        selected = self._selected()
        self.list.delete(0, "end")
        for row_id in self._row_ids:
            todo = todos[row_id]
            self.list.insert("end", f"{'☑' if todo['completed'] else '☐'} {todo.get('text', '')}")
        for index in selected:
            self.list.selection_set(index)

    def _show_status(self) -> None:
        problem, sync, detail = self._app.status
        server = "on this computer only" if sync is None else f"{sync.value} {detail}"
        self.status["text"] = str(problem) if problem else server
        self.status.after(STATUS_EVERY, self._show_status)

    def _add(self, _event: object) -> None:
        text = self.entry.get().strip()
        if text:
            self.entry.delete(0, "end")
            self._store.set_row("todo", uuid.uuid4().hex, {"text": text, "created": int(time.time() * 1000)})

    def _toggle(self, _event: object) -> None:
        for row_id in [self._row_ids[index] for index in self._selected()]:
            self._store.set_cell("todo", row_id, "completed", lambda done: not done)

    def _delete(self, _event: object) -> None:
        for row_id in [self._row_ids[index] for index in self._selected()]:
            self._store.del_row("todo", row_id)

    def _selected(self) -> tuple[int, ...]:
        selected: tuple[int, ...] = self.list.curselection()  # type: ignore[no-untyped-call]  # typeshed has no types for it
        return selected
