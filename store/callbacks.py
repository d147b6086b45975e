"""What may listen: anything that can be called, coroutine functions where a transaction is settled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from replicell.store.errors import ArgumentError

__all__ = ["as_listener", "check_plain_function", "name_of"]


def as_listener(callback: Any, kind: str, *, may_write: bool = False) -> Callable[..., Any]:
    """Return what is to be called when there is something to tell: the callback, or what schedules it.

    Args:
        callback: What the user gave.
        kind: The kind of listener it is to be, for errors.
        may_write: Whether it is called before the transaction is settled, so that it cannot wait.

    Raises:
        ArgumentError: If it cannot be called, or is a coroutine function where it would have to write.
    """
    if not callable(callback):
        raise ArgumentError(f"a listener must be callable, but {callback!r} was given; ids come before it")
    listener: Callable[..., Any] = callback
    if not _is_coroutine_function(listener):
        return listener
    if may_write:
        is_hook = kind.endswith("_transaction")
        otherwise = "use on_did_finish_transaction" if is_hook else "listen without mutator=True"
        raise ArgumentError(
            f"{name_of(callback)} is a coroutine function, which runs when a transaction is over, so it "
            f"cannot be a {kind} listener that may write to the transaction. Give a plain function, or "
            f"{otherwise}."
        )
    # Imported here, so that a store without coroutine functions does without asyncio.
    from replicell.store.coroutines import Scheduled

    return Scheduled(listener, f"{kind} listener {name_of(callback)}")


def check_plain_function(callback: object, kind: str) -> None:
    """See that something can be called, and answers at once.

    Args:
        callback: What the user gave.
        kind: What it is to be, for errors.

    Raises:
        ArgumentError: If it cannot be called, or is a coroutine function, whose answer comes later.
    """
    if not callable(callback):
        raise ArgumentError(f"{kind} must be callable, but {callback!r} was given")
    if _is_coroutine_function(callback):
        raise ArgumentError(
            f"{name_of(callback)} is a coroutine function, but {kind} must answer at once. Give a plain "
            "function."
        )


def name_of(callback: object) -> str:
    """Name a callback for an error, as its author would look for it.

    >>> name_of(name_of)
    'name_of'
    """
    return getattr(callback, "__qualname__", None) or repr(callback)


def _is_coroutine_function(callback: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        getattr(type(callback), "__call__", None)  # noqa: B004  # whether it is a coroutine function is asked
    )
