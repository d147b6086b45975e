"""Waiting for conditions, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from replicell.store import Store


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the event loop run until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - these conditions have no event to wait for
            await asyncio.sleep(0.001)


async def until_store(store: Store, condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait, without polling, for a transaction of the store after which a condition holds."""
    if condition():
        return
    reached = asyncio.Event()

    def check(_: Store) -> None:
        if condition():
            reached.set()

    listener_id = store.add_did_finish_transaction_listener(check)
    try:
        async with asyncio.timeout(seconds):
            await reached.wait()
    finally:
        store.del_listener(listener_id)
