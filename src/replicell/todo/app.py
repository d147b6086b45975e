"""The screen of ``replicell todo``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from replicell.todo.bars import StatusBar, TitleBar
from replicell.todo.connection import Phase
from replicell.todo.entry import EntryLine, Outcome
from replicell.todo.question import DeleteAllQuestion
from replicell.todo.session import TodoSession
from replicell.todo.themes import DARK, LIGHT
from replicell.todo.view import TodoView

__all__ = ["TodoApp"]


class TodoApp(App[None]):
    """Shows a todo list and its connection, and lets them be worked with by keys.

    Args:
        session: the list and what keeps it; whatever changes there, the screen follows.
        name: what the title bar says.
        is_dark: whether the terminal's background is dark.
    """

    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "Quit", show=False, priority=True)]

    def __init__(self, session: TodoSession, name: str = "todo", *, is_dark: bool = True) -> None:
        super().__init__()
        self.todos = session.todos
        self._storage = session.storage
        self._connection = session.connection
        self.title = name
        self._title_bar = TitleBar(name)
        self._view = TodoView(self.todos)
        self._entry = EntryLine(self.todos)
        self._status_bar = StatusBar()
        self._is_follow_due = False
        self._unsubscribes: list[Callable[[], None]] = []
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = (DARK if is_dark else LIGHT).name

    def compose(self) -> ComposeResult:
        yield self._title_bar
        yield self._view
        yield self._entry
        yield self._status_bar
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._unsubscribes = [
            self.todos.on_change(self._follow_soon),
            self._storage.on_change(self._follow_soon),
            self._connection.on_change(self._follow_soon),
        ]
        self._follow()
        if self.todos:
            self._go_to_list()
        else:
            self._entry.start_adding()

    def on_unmount(self) -> None:
        for unsubscribe in self._unsubscribes:
            unsubscribe()

    def action_add(self) -> None:
        self._entry.start_adding()

    def action_edit(self) -> None:
        if todo := self._view.selected:
            self._entry.start_editing(todo)

    async def action_enter(self) -> None:
        was_editing = self._entry.is_editing
        outcome, row_id = await self._entry.keep()
        self._view.select(row_id)
        if was_editing:
            self._go_to_list()
        if outcome is Outcome.RESCUED:
            self.notify("The todo had been deleted meanwhile; its new text is a new todo.")

    async def action_leave(self) -> None:
        await self._entry.give_up_edit()
        self._go_to_list()

    def action_sync(self) -> None:
        # Saying goodbye to a server that does not answer takes seconds, for which the screen shall not wait.
        self.run_worker(self._connection.toggle(), group="sync")

    async def action_delete_all(self) -> None:
        if self.todos:
            await self.push_screen(DeleteAllQuestion(self.todos), self._delete_all)

    def action_theme(self) -> None:
        self.theme = (LIGHT if self.theme == DARK.name else DARK).name

    async def action_quit(self) -> None:
        await self.end()

    async def end(self) -> None:
        """Leave, as soon as what stands in the entry line is in the list: nothing typed is lost."""
        await self._entry.keep_all()
        self.exit()

    def keep_rest(self) -> None:
        """Take to the list what the entry line still holds when the screen has gone, for whatever reason."""
        self._entry.keep_rest()

    def _go_to_list(self) -> None:
        self.screen.set_focus(self._view)

    def _delete_all(self, is_sure: bool | None) -> None:
        if is_sure:
            self.todos.clear()

    def _follow_soon(self) -> None:
        """Draw once for all that happens before the screen's next turn."""
        if not self._is_follow_due:
            self._is_follow_due = True
            self.call_later(self._follow)

    def _follow(self) -> None:
        self._is_follow_due = False
        self._view.follow()
        self._title_bar.show(self._connection.state, self._connection.company)
        self._status_bar.show_counts(self.todos)
        self._show_reason()
        if isinstance(self.screen, DeleteAllQuestion):
            self.screen.follow()

    def _show_reason(self) -> None:
        phase, reason = self._connection.state
        if problem := self._storage.problem:
            self._status_bar.show_reason(problem, is_failure=True)
        else:
            self._status_bar.show_reason(reason, is_failure=phase is Phase.REFUSED)
