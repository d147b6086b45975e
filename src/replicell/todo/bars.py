"""The lines above and below the list: who this is and how the connection stands, how much there is to do."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from replicell.todo.connection import ConnectionState, Phase
from replicell.todo.line import single_line
from replicell.todo.model import TodoList

__all__ = ["StatusBar", "TitleBar"]

# Each has a shape of its own, as colours alone do not reach everybody.
MARKS = {
    Phase.LOCAL: "□",
    Phase.OFFLINE: "○",
    Phase.CONNECTING: "◌",
    Phase.SYNCING: "◐",
    Phase.SYNCED: "●",
    Phase.PAUSED: "‖",
    Phase.REFUSED: "✘",
}


class TitleBar(Horizontal):
    """The name on the left, who else is there and the state of the connection on the right."""

    def __init__(self, name: str) -> None:
        super().__init__(id="title-bar")
        self._title = Static(f"✔ {name}", id="title", markup=False)
        self._company = Static(id="company", markup=False)
        self._connection = Static(id="connection", markup=False)

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._company
        yield self._connection

    def show(self, state: ConnectionState, company: str = "") -> None:
        """Show the phase, and who else is there."""
        self._company.update(company)
        self._connection.update(f"{MARKS[state.phase]} {state.phase.value}")
        self._connection.set_classes(f"-{state.phase.name.lower()}")


class StatusBar(Horizontal):
    """The counts on the left; on the right why the connection stands as it does, or what went wrong."""

    def __init__(self) -> None:
        super().__init__(id="status-bar")
        self._counts = Static(id="counts", markup=False)
        self._reason = Static(id="reason", markup=False)

    def compose(self) -> ComposeResult:
        yield self._counts
        yield self._reason

    def show_counts(self, todos: TodoList) -> None:
        """Show how many todos are open and how many are done."""
        self._counts.update(f"{todos.open_count} open, {todos.done_count} done")

    def show_reason(self, text: str, *, is_failure: bool) -> None:
        """Show one line of explanation, in the colour of an error if it is one."""
        self._reason.update(single_line(text))
        self._reason.set_class(is_failure, "-failure")
