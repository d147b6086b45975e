"""What the tests of the screen have in common: reading it, typing on it and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from replicell.todo.app import TodoApp
from replicell.todo.connection import Connection, LocalOnly
from replicell.todo.model import TodoList, create_todo_store
from replicell.todo.session import TodoSession
from replicell.todo.storage import Storage
from replicell.todo.view import TodoView

__all__ = [
    "app_with",
    "connection",
    "counts",
    "line",
    "lines",
    "reason",
    "selected",
    "texts",
    "type_in",
    "until",
]

PATIENCE = 30.0


def app_with(
    *texts_: str, connection: Connection | None = None, storage: Storage | None = None, name: str = "todo"
) -> TodoApp:
    """Return a program on a store that nothing keeps, with these todos in it."""
    todos = TodoList(create_todo_store())
    for text in texts_:
        todos.add(text)
    session = TodoSession(todos, storage or Storage(), connection or LocalOnly())
    return TodoApp(session, name)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the program go on until `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still not so:\n{chr(10).join(lines(pilot.app))}"
        await pilot.pause(0.01)


async def type_in(pilot: Pilot[None], text: str, *, and_press: str = "enter") -> None:
    """Type into the entry line, which has to have the focus."""
    assert isinstance(pilot.app.focused, Input)
    await pilot.press(*(key_of(character) for character in text), and_press)


def key_of(character: str) -> str:
    return "space" if character == " " else character


def lines(app: App[None]) -> list[str]:
    """Return what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def texts(app: TodoApp) -> list[str]:
    return [todo.text for todo in app.todos]


def selected(app: TodoApp) -> str | None:
    todo = app.query_one(TodoView).selected
    return todo and todo.text


def line(app: TodoApp) -> str:
    return app.query_one("#line", Input).value


def connection(app: TodoApp) -> str:
    return str(app.screen_stack[0].query_one("#connection", Static).render())


def counts(app: TodoApp) -> str:
    return str(app.screen_stack[0].query_one("#counts", Static).render())


def reason(app: TodoApp) -> str:
    return str(app.screen_stack[0].query_one("#reason", Static).render())
