"""The handle that is given for a listener."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Subscription"]


class Subscription:
    """A listener's registration, which lasts until it is cancelled; also a context manager.

    >>> calls = []
    >>> with Subscription(lambda: calls.append("gone")) as subscription:
    ...     subscription.is_active
    True
    >>> subscription.cancel()  # a second time changes nothing
    >>> calls
    ['gone']
    """

    __slots__ = ("_cancel",)

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel: Callable[[], None] | None = cancel

    @property
    def is_active(self) -> bool:
        """Whether the listener is still called."""
        return self._cancel is not None

    def cancel(self) -> None:
        """Stop the listener from being called; may be called more than once."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
