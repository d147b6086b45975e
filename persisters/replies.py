"""What other threads answer, for whoever goes on from there without a further turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

__all__ = ["Reply", "at_once"]

_T = TypeVar("_T")
_U = TypeVar("_U")


class Reply(asyncio.Future[_T]):
    """A future that can call a function in the very turn of the event loop in which it is settled.

    Other callbacks of a future, and who awaits it, have to wait for the next turn, which costs a look at all
    sockets.
    """

    _then: Callable[[asyncio.Future[_T]], object] | None = None
    _context: Context

    def call_at_once(self, then: Callable[[asyncio.Future[_T]], object]) -> None:
        """Have one function called with the reply as soon as it is settled, now if it is, or after it was
        cancelled."""
        if self.done():
            then(self)
            return
        self._then, self._context = then, copy_context()
        self.add_done_callback(then, context=self._context)

    def settle(self, result: Any, error: BaseException | None) -> Callable[[], object]:
        """Set a result or an error, unless the reply was cancelled.

        Returns:
            What the caller must call at the end of the same turn.
        """
        if self.done():
            return _nothing
        then, self._then = self._then, None
        if then is not None:
            self.remove_done_callback(then)
        if error is None:
            self.set_result(result)
        elif isinstance(error, StopIteration):
            self.set_exception(RuntimeError(f"the function raised {error!r}"))
        else:
            self.set_exception(error)
        # As asyncio does it: whoever goes on does so in the context in which it has asked for that.
        return _nothing if then is None else lambda: self._context.run(then, self)

    def mapped(self, transform: Callable[[_T], _U]) -> Reply[_U]:
        """Return a reply with what a function makes of the result."""
        reply: Reply[_U] = Reply(loop=self.get_loop())

        def settle(done: asyncio.Future[_T]) -> None:
            if done.cancelled():
                reply.cancel()
                return
            try:
                go_on = reply.settle(transform(done.result()), None)
            except BaseException as error:  # or whoever waits would wait for ever
                go_on = reply.settle(None, error)
            go_on()

        self.call_at_once(settle)
        return reply


def at_once(future: asyncio.Future[_T], then: Callable[[asyncio.Future[_T]], object]) -> None:
    """Have a function called when a future is settled, in the same turn of the event loop if it can be."""
    if isinstance(future, Reply):
        future.call_at_once(then)
    else:
        future.add_done_callback(then)


def _nothing() -> None:
    return
