"""How long an event loop is kept from what it has to do."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Heartbeat"]

PERIOD = 0.001


class Heartbeat:
    """Beats every millisecond while a block runs, and knows the longest time by which a beat came late.

    What other programs on the machine cause is left out: of a late beat counts only as much as this process
    has computed meanwhile, on whatever thread, and not while the loop's thread stood in the scheduler's queue
    (which Linux tells).
    """

    def __init__(self) -> None:
        self.longest = 0.0
        """In seconds."""
        self._waits = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._is_told = self._waits.exists()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(2 * PERIOD)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        last, computed, waited = time.perf_counter(), time.process_time(), self._waited()
        while True:
            await asyncio.sleep(PERIOD)
            now, computed_now, waited_now = time.perf_counter(), time.process_time(), self._waited()
            late = now - last - PERIOD - (waited_now - waited)
            self.longest = max(self.longest, min(late, computed_now - computed))
            last, computed, waited = now, computed_now, waited_now

    def _waited(self) -> float:
        return int(self._waits.read_text().split()[1]) / 1e9 if self._is_told else 0.0
