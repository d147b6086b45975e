"""The processes on the stage: the server and the replicas, started, steered, killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PATIENCE", "Actor", "ActorError", "ReplicaActor", "ServerActor"]

PATIENCE = 60.0
"""Seconds after which an answer that has not come means that something is broken."""

LINE_LIMIT = 64 * 2**20


class ActorError(Exception):
    """A process of the demo did not do what it was told; the message holds what it said last."""


class Actor:
    """A child process whose standard output is read line by line."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.name = name
        self.arguments = arguments
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            # Ctrl-C is for the storyteller, who ends the others in order.
            start_new_session=True,
        )

    @property
    def running(self) -> asyncio.subprocess.Process:
        if self.process is None:
            raise ActorError(f"{self.name} has not been started")
        return self.process

    async def read_line(self) -> str:
        assert self.running.stdout is not None
        line = await self.running.stdout.readline()
        if not line:
            raise ActorError(
                f"{self.name} ended with exit status {await self.running.wait()}; its words are above"
            )
        return line.decode()

    async def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        await self.running.wait()

    async def stop(self) -> None:
        """Ask the process to end by closing what it reads from; take it down if it does not."""
        if self.process is None or self.process.returncode is not None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            await self.kill()


class ServerActor(Actor):
    """The sync server, through the same command that a user runs."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("server")
        self.data_dir = data_dir
        self.port = 0

    async def start(self) -> None:
        """Start it, the second time on the port it had, and wait until it listens."""
        options = ("--port", str(self.port), "--data-dir", str(self.data_dir), "--log-level", "warning")
        self.arguments = ("-m", "replicell", "server", *options)
        await super().start()
        line = ""
        while "listening on" not in line:
            line = await asyncio.wait_for(self.read_line(), PATIENCE)
        self.port = int(line.split()[-1].rstrip("/").rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/demo"

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
        await super().stop()


class ReplicaActor(Actor):
    """A replica's process; what it last told of itself is in ``state``."""

    def __init__(self, name: str, database: Path, url: str, on_state: Callable[[], None]) -> None:
        super().__init__(name, "-m", "examples.demo.replica", "--db", str(database), "--server", url)
        self.database = database
        self.state: dict[str, Any] = {"todo": {}, "data_rows": 0, "data_sample": {}, "status": "away"}
        self.on_state = on_state
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self.listening = asyncio.create_task(self.listen())

    async def listen(self) -> None:
        try:
            while True:
                message = json.loads(await self.read_line())
                if message.pop("event") == "answer":
                    self.answers.put_nowait(message["value"])
                else:
                    self.state = message
                    self.on_state()
        except ActorError as error:
            self.state = {**self.state, "status": "away"}
            self.on_state()
            self.answers.put_nowait(error)

    async def tell(self, action: str, **details: Any) -> None:
        assert self.running.stdin is not None
        self.running.stdin.write(json.dumps({"do": action, **details}).encode() + b"\n")
        await self.running.stdin.drain()

    async def answer(self) -> Any:
        answer = await asyncio.wait_for(self.answers.get(), PATIENCE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def do(self, action: str, **details: Any) -> Any:
        """Have the replica do something and return its answer."""
        await self.tell(action, **details)
        return await self.answer()

    async def stop(self) -> None:
        await super().stop()
        if self.listening is not None:
            await self.listening
            self.listening = None
            # The end of its output was expected here, so it is no answer to anything.
            self.answers = asyncio.Queue()
