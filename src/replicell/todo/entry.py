"""The line in which todos are typed: a new one, or another text for one that is there."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from replicell.todo.model import Todo, TodoList

__all__ = ["EntryLine"]

ADD_PROMPT, EDIT_PROMPT = "+ ", "✎ "


class EntryLine(Horizontal):
    """Takes what is typed to the list; what has been typed for a new todo waits while another is edited."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Keep", priority=True),
        Binding("escape", "leave", "Back to the list"),
        Binding("ctrl+c", "app.quit", "Keep and quit", priority=True),
        Binding("up,down", "to_list", show=False),
    ]

    class Entered(Message):
        """What was typed is in the list.

        Attributes:
            row_id: the todo that has the text.
            is_edit: whether it was there before, so that the work in this line is done.
            is_rescue: whether it is a new todo as the edited one had been deleted meanwhile.
        """

        def __init__(self, row_id: str, *, is_edit: bool, is_rescue: bool) -> None:
            super().__init__()
            self.row_id = row_id
            self.is_edit = is_edit
            self.is_rescue = is_rescue

    class Left(Message):
        """The user goes back to the list."""

    def __init__(self, todos: TodoList) -> None:
        super().__init__(id="entry")
        self._todos = todos
        self._edited: Todo | None = None
        self._waiting_draft = ""
        self._prompt = Label(ADD_PROMPT, id="prompt")
        self._line = Input(placeholder="What is to be done?", id="line", select_on_focus=False)

    def compose(self) -> ComposeResult:
        yield self._prompt
        yield self._line

    def start_adding(self) -> None:
        """Put the typing cursor here."""
        self._line.focus()

    def start_editing(self, todo: Todo) -> None:
        """Let the user change the text of `todo`."""
        if self._edited is None:
            self._waiting_draft = self._line.value
        self._edited = todo
        self._show(EDIT_PROMPT, todo.text)
        self._line.focus()

    def keep(self) -> Entered | None:
        """Take what is typed to the list, if there is something, and return what became of it."""
        typed, edited = self._line.value, self._edited
        self._finish()
        if edited is None:
            row_id = self._todos.add(typed)
            return self.Entered(row_id, is_edit=False, is_rescue=False) if row_id else None
        return self._keep_edit(edited, typed)

    def keep_all(self) -> None:
        """Take everything typed to the list, also what waits while another todo is edited."""
        if self._line.is_mounted:
            self.keep()
            self.keep()

    def action_enter(self) -> None:
        was_edit = self._edited is not None
        if entered := self.keep():
            self.post_message(entered)
        elif was_edit:
            self.post_message(self.Left())

    def action_leave(self) -> None:
        """Go back to the list; an edit is given up, a new todo's text waits here."""
        if self._edited is not None:
            self._finish()
        self.post_message(self.Left())

    def action_to_list(self) -> None:
        self.post_message(self.Left())

    def _keep_edit(self, edited: Todo, typed: str) -> Entered | None:
        if typed == edited.text:
            return None
        if self._todos.rename(edited.row_id, typed):
            return self.Entered(edited.row_id, is_edit=True, is_rescue=False)
        if edited.row_id in self._todos or not (row_id := self._todos.add(typed)):
            return None
        return self.Entered(row_id, is_edit=True, is_rescue=True)

    def _finish(self) -> None:
        """Make the line ready for the next todo."""
        self._edited = None
        self._show(ADD_PROMPT, self._waiting_draft)
        self._waiting_draft = ""

    def _show(self, prompt: str, text: str) -> None:
        self._prompt.update(prompt)
        self.set_class(prompt == EDIT_PROMPT, "-editing")
        self._line.value = text
        self._line.cursor_position = len(text)
