"""A server node as a process: ``replicell server --nats ...``."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from examples.cluster.nats_cluster import free_ports

__all__ = ["ServerNode"]

PATIENCE = 30.0


class ServerNode:
    """A node that can be killed, frozen and started again, on the same port.

    Args:
        folder: Where it keeps its rooms.
        nats: The addresses of the NATS servers; none for a server on its own.
        replicas: How many NATS servers keep everything.
    """

    def __init__(self, folder: Path, nats: list[str], replicas: int = 3) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self._nats = nats
        self._replicas = replicas
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The address that room names are appended to."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None, "the node is not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        options = ["--data-dir", str(self.folder), "--port", str(self.port), "--log-level", "error"]
        if self._nats:
            options += ["--nats", ",".join(self._nats), "--nats-replicas", str(self._replicas)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "replicell", "server", *options, stdout=PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line.startswith(b"listening on "):
            raise RuntimeError(f"the server node did not start; it said {line.decode()!r}")

    async def kill(self) -> None:
        """End it at once, as a power failure would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end."""
        await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it without ending it: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Lose its disk."""
        shutil.rmtree(self.folder)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
