"""The question before everything is deleted."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from replicell.todo.model import TodoList

__all__ = ["DeleteAllQuestion"]


class DeleteAllQuestion(ModalScreen[bool]):
    """Asks whether all todos shall go, and says how many these are, also when more arrive meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False, priority=True),
        Binding("n,escape,q", "answer(False)", show=False, priority=True),
        Binding("left,up", "app.focus_previous", show=False, priority=True),
        Binding("right,down", "app.focus_next", show=False, priority=True),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, todos: TodoList) -> None:
        super().__init__()
        self._todos = todos

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Static(id="words", markup=False)
            with Horizontal(id="answers"):
                yield Button("Delete (y)", id="yes", variant="error", compact=True)
                yield Button("Keep (n)", id="no", compact=True)

    def on_mount(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Say how many todos there are now."""
        count = len(self._todos)
        every = "the one todo" if count == 1 else f"all {count} todos"
        self.query_one("#words", Static).update(f"Delete {every}, here and on every replica?")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)
