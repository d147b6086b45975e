"""Letting Tk look now and then whether there is something to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from replicell.persisters.subscription import Subscription

if TYPE_CHECKING:
    import tkinter

__all__ = ["call_from_tk"]


def call_from_tk(widget: tkinter.Misc, function: Callable[[], object], interval: float) -> Subscription:
    """Have Tk call a function again and again while its main loop runs.

    Args:
        widget: Any widget; destroying it ends this.
        function: What it raises goes where Tk reports the errors of callbacks, and ends nothing.
        interval: Seconds between two calls.

    Returns:
        A subscription whose ``cancel()`` ends it.
    """
    milliseconds = max(1, round(interval * 1000))
    timer = ""

    def call() -> None:
        nonlocal timer
        timer = widget.after(milliseconds, call)
        function()

    def cancel() -> None:
        # Tk is loaded if there is a widget; elsewhere it may be missing.
        from tkinter import TclError

        with contextlib.suppress(TclError):  # The widget is gone, and the timer with it.
            widget.after_cancel(timer)

    timer = widget.after(milliseconds, call)
    return Subscription(cancel)
