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

    Time in which the loop's thread could have run but the scheduler let other programs run is left out, where
    the system tells (Linux): it says how busy the machine is, not what blocks the loop.
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
        last, waited = time.perf_counter(), self._waited()
        while True:
            await asyncio.sleep(PERIOD)
            now, waited_now = time.perf_counter(), self._waited()
            late = now - last - PERIOD - (waited_now - waited)
            self.longest = max(self.longest, late)
            last, waited = now, waited_now

    def _waited(self) -> float:
        return int(self._waits.read_text().split()[1]) / 1e9 if self._is_told else 0.0
