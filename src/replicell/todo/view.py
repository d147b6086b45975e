"""The list on the screen: it draws the lines that can be seen, and its cursor keeps to a todo."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from replicell.todo.model import Todo, TodoList

__all__ = ["TodoView"]

CURSOR_WIDTH, MARK_WIDTH = 2, 2
CURSOR, OPEN, DONE = "▌ ", "○ ", "✔ "
EMPTY = "Nothing to do. The line below takes the first todo."


class TodoView(ScrollView, can_focus=True):
    """Shows a `TodoList`; follow it with `follow`.

    The cursor belongs to a row id: whatever is added, deleted or moved around it, here or by another replica,
    it stays on its todo. When that one is deleted it goes to the one that takes its place.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "todo-view--cursor",
        "todo-view--open-mark",
        "todo-view--done-mark",
        "todo-view--done",
        "todo-view--empty",
    }
    # Priority bindings are carried out key by key; others could be overtaken by the keys typed after them.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, priority=True),
        Binding("down,j", "move(1)", "Down", show=False, priority=True),
        Binding("home,g", "move_to(0)", "First", show=False, priority=True),
        Binding("end,G", "move_to(-1)", "Last", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("space,enter", "tick", "Toggle", key_display="space", priority=True),
        Binding("a,i,tab", "app.add", "Add", key_display="a", priority=True),
        Binding("e", "app.edit", "Edit", priority=True),
        Binding("d,delete", "delete", "Delete", key_display="d", priority=True),
        Binding("D", "app.delete_all", "Delete all", priority=True),
        Binding("s", "app.sync", "Sync on/off", priority=True),
        Binding("t", "app.theme", "Dark or light", show=False, priority=True),
        Binding("q", "app.quit", "Quit", priority=True),
    ]

    def __init__(self, todos: TodoList) -> None:
        super().__init__(id="todos")
        self._todos = todos
        self._selected: Todo | None = None

    @property
    def selected(self) -> Todo | None:
        """The todo under the cursor; None when there is no todo."""
        if self._selected is None:
            self._selected = self._todo_at(0)
        else:
            same = self._todos.get(self._selected.row_id)
            self._selected = same or self._todo_at(self._todos.position(self._selected))
        return self._selected

    def select(self, row_id: str) -> None:
        """Put the cursor on a todo, if it is there, and scroll to where it can be seen."""
        if todo := self._todos.get(row_id):
            self._select(todo)

    def follow(self) -> None:
        """Show the list as it is now."""
        self._measure()
        self._show_cursor()
        self.refresh()

    def on_mount(self) -> None:
        self._measure()

    def on_resize(self) -> None:
        self._measure()
        self._show_cursor()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        position = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if position < len(self._todos):
            line = self._draw(self._todos[position], width)
        elif position == 0:
            line = self._draw_emptiness()
        else:
            line = Strip([])
        return line.adjust_cell_length(width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        position = event.y + self.scroll_offset.y
        if position < len(self._todos):
            self._select(self._todos[position])
            if CURSOR_WIDTH <= event.x < CURSOR_WIDTH + MARK_WIDTH:
                self.action_tick()

    def action_move(self, by: int) -> None:
        self._select(self._todo_at(self._cursor + by))

    def action_move_to(self, position: int) -> None:
        self._select(self._todo_at(position % max(len(self._todos), 1)))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(self.size.height - 1, 1))

    def action_tick(self) -> None:
        if todo := self.selected:
            self._todos.toggle(todo.row_id)

    def action_delete(self) -> None:
        if todo := self.selected:
            self._todos.delete(todo.row_id)

    @property
    def _cursor(self) -> int:
        return self._todos.position(todo) if (todo := self.selected) else 0

    def _todo_at(self, position: int) -> Todo | None:
        """Return the todo there, or the nearest one: None when there is none at all."""
        return self._todos[min(max(position, 0), len(self._todos) - 1)] if len(self._todos) else None

    def _select(self, todo: Todo | None) -> None:
        self._selected = todo
        self._show_cursor()
        self.refresh()

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._todos))

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False)

    def _draw_emptiness(self) -> Strip:
        style = self.rich_style + self._style("todo-view--empty")
        return Strip([Segment(" " * CURSOR_WIDTH + EMPTY, style)])

    def _draw(self, todo: Todo, width: int) -> Strip:
        is_selected = todo == self.selected
        line = self._style("todo-view--cursor") if is_selected else self.rich_style
        mark = self._style("todo-view--done-mark" if todo.completed else "todo-view--open-mark")
        words = self._style("todo-view--done") if todo.completed else Style.null()
        text = Text(todo.text or "(no text)", no_wrap=True)
        text.truncate(max(width - CURSOR_WIDTH - MARK_WIDTH - 1, 1), overflow="ellipsis")
        return Strip(
            [
                Segment(CURSOR if is_selected else " " * CURSOR_WIDTH, line),
                Segment(DONE if todo.completed else OPEN, line + mark),
                Segment(text.plain, line + words),
            ]
        ).extend_cell_length(width, line)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=name != "todo-view--cursor")
