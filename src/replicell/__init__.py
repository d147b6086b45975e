"""Reactive tables for Python that live in memory, rest in SQLite and replicate between machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicell.errors import ReplicellError

if TYPE_CHECKING:
    from replicell.app import App, BlockingApp, open, open_blocking

__all__ = ["App", "BlockingApp", "ReplicellError", "__version__", "open", "open_blocking"]

__version__ = "0.1.0"

_FROM_APP = ("App", "BlockingApp", "open", "open_blocking")


def __getattr__(name: str) -> Any:
    # Imported when it is asked for, so that a store alone needs neither SQLite nor websockets.
    if name in _FROM_APP:
        from replicell import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM_APP})
