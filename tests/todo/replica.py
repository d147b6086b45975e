"""A todo list with its database and its server, on a screen that tests can read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from replicell.todo.app import TodoApp
from replicell.todo.session import open_session
from tests.todo.screen import connection, lines, selected, texts, type_in, until

__all__ = ["Replica", "running"]


class Replica:
    """One running program, and what a user does with it."""

    def __init__(self, app: TodoApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def texts(self) -> list[str]:
        return texts(self.app)

    @property
    def todos(self) -> list[tuple[str, bool]]:
        return [(todo.text, todo.completed) for todo in self.app.todos]

    @property
    def selected(self) -> str | None:
        return selected(self.app)

    @property
    def connection(self) -> str:
        return connection(self.app)

    @property
    def cursor_line(self) -> str:
        """The line of the screen on which the cursor stands."""
        return next((line for line in lines(self.app) if line.startswith("▌")), "")

    async def add(self, *new: str) -> None:
        await self.to_entry()
        for text in new:
            await type_in(self.pilot, text)

    async def to_entry(self) -> None:
        await self.do("a")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def do(self, *keys: str) -> None:
        """Press keys that are meant for the list."""
        await self.press("escape", *keys)

    async def select(self, text: str) -> None:
        await self.do("home")
        for _ in range(self.texts.index(text)):
            await self.press("down")
        assert self.selected == text

    async def becomes(self, *todos: tuple[str, bool] | str) -> None:
        """Wait until the list is this, in this order; a text alone stands for an open todo."""
        expected = [(todo, False) if isinstance(todo, str) else todo for todo in todos]
        await until(self.pilot, lambda: self.todos == expected)

    async def is_connected_as(self, state: str) -> None:
        await until(self.pilot, lambda: self.connection.endswith(state))


@asynccontextmanager
async def running(
    database: Path, server: str | None = None, *, token: str | None = None, me: str = ""
) -> AsyncIterator[Replica]:
    """Run the program on a database."""
    async with open_session(database, server, token=token, me=me) as session:
        app = TodoApp(session, database.stem)
        async with app.run_test(notifications=True) as pilot:
            yield Replica(app, pilot)
