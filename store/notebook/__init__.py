"""What notebooks show: stores and what is derived from them as HTML, and widgets that stay live.

Objects show themselves as HTML without anything being installed or called. `LiveTable` and `LiveValue` need
anywidget, the extra ``notebook``, which is imported when one of them is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicell.store.notebook.representation import NotebookRepresentation

if TYPE_CHECKING:
    from replicell.store.notebook.widgets import LiveTable, LiveValue

__all__ = ["LiveTable", "LiveValue", "NotebookRepresentation"]


def __getattr__(name: str) -> Any:
    if name in ("LiveTable", "LiveValue"):
        # Imported here, so that everything else does without anywidget.
        from replicell.store.notebook import widgets

        return getattr(widgets, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
