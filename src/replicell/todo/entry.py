"""The line in which todos are typed: a new one, or another text for one that is there."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from replicell.todo.line import single_line
from replicell.todo.model import Todo, TodoList

__all__ = ["EntryLine", "Outcome"]

ADD_PROMPT, EDIT_PROMPT = "+ ", "✎ "


class Outcome(Enum):
    """What became of that which was typed."""

    NOTHING = "nothing"
    """It was blank, or nothing had been changed."""
    ADDED = "added"
    CHANGED = "changed"
    RESCUED = "rescued"
    """The todo that was edited had been deleted meanwhile, so that its text is a new todo."""


class EntryLine(Horizontal):
    """Takes what is typed to the list; what has been typed for a new todo waits while another is edited."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "app.enter", "Keep", priority=True),
        Binding("escape", "app.leave", "Back to the list", priority=True),
        Binding("ctrl+c", "app.quit", "Keep and quit", priority=True),
        Binding("up,down,tab,shift+tab", "app.leave", show=False, priority=True),
    ]

    def __init__(self, todos: TodoList) -> None:
        super().__init__(id="entry")
        self._todos = todos
        self._edited: Todo | None = None
        self._waiting_draft = ""
        self._prompt = Label(ADD_PROMPT, id="prompt")
        self._line = OrderlyInput(placeholder="What is to be done?", id="line", select_on_focus=False)

    def compose(self) -> ComposeResult:
        yield self._prompt
        yield self._line

    @property
    def is_editing(self) -> bool:
        """Whether a todo is edited, and not a new one typed."""
        return self._edited is not None

    def start_adding(self) -> None:
        """Put the typing cursor here."""
        self.screen.set_focus(self._line)

    def start_editing(self, todo: Todo) -> None:
        """Let the user change the text of `todo`."""
        if self._edited is None:
            self._waiting_draft = self._line.value
        self._edited = todo
        self._show(EDIT_PROMPT, todo.text)
        self.screen.set_focus(self._line)

    async def keep(self) -> tuple[Outcome, str]:
        """Take what is typed to the list; return what became of it, and the row id of the todo."""
        await self._line.catch_up()
        typed, edited = self._line.value, self._edited
        self._begin_anew()
        return self._take_to_list(typed, edited)

    async def keep_all(self) -> None:
        """Take everything typed to the list, also what waits while another todo is edited."""
        if self._line.is_mounted:
            await self.keep()
            await self.keep()

    def keep_rest(self) -> None:
        """Take to the list what is still here when the screen has gone."""
        self._take_to_list(self._line.value, self._edited)
        self._take_to_list(self._waiting_draft, None)

    async def give_up_edit(self) -> None:
        """Leave the todo that is edited as it is; a new todo's text stays here."""
        await self._line.catch_up()
        if self._edited is not None:
            self._begin_anew()

    def _take_to_list(self, typed: str, edited: Todo | None) -> tuple[Outcome, str]:
        if edited is None:
            row_id = self._todos.add(typed)
            return (Outcome.ADDED, row_id) if row_id else (Outcome.NOTHING, "")
        if typed == edited.text:
            return Outcome.NOTHING, edited.row_id
        if self._todos.rename(edited.row_id, typed):
            return Outcome.CHANGED, edited.row_id
        if edited.row_id in self._todos or not (row_id := self._todos.add(typed)):
            return Outcome.NOTHING, edited.row_id
        return Outcome.RESCUED, row_id

    def _begin_anew(self) -> None:
        self._edited = None
        self._show(ADD_PROMPT, self._waiting_draft)
        self._waiting_draft = ""

    def _show(self, prompt: str, text: str) -> None:
        self._prompt.update(prompt)
        self.set_class(prompt == EDIT_PROMPT, "-editing")
        self._line.value = text
        self._line.cursor_position = len(text)


class OrderlyInput(Input):
    """An input in which keys take effect in the order in which they were typed, however fast that was.

    Textual sends a key that edits, like backspace, up to the program and back, so that letters overtake it.
    """

    async def catch_up(self) -> None:
        """Return when all that was typed until now stands in the line."""
        is_caught_up = asyncio.Event()
        if self.call_later(is_caught_up.set):
            await is_caught_up.wait()

    async def on_key(self, event: events.Key) -> None:
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.node is self:
            event.stop()
            event.prevent_default()
            await self.run_action(active.binding.action)

    def on_paste(self, event: events.Paste) -> None:
        # Left to itself an input takes the first line and drops the others.
        event.stop()
        event.prevent_default()
        self.replace(single_line(event.text), *self.selection)
