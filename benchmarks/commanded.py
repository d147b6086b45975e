"""A process that takes commands: a JSON line each, answered with one, until its input ends."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["obey"]


async def obey(owner: object) -> None:
    """Perform each command with the owner's coroutine method of that name.

    They are not awaited one by one: a command may wait for what another one causes.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    print(json.dumps({"answer": "ready"}), flush=True)
    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            command = json.loads(line)
            name = command.pop("command")
            tasks.create_task(_answer(name, getattr(owner, name), command))


async def _answer(command: str, perform: Callable[..., Awaitable[Any]], options: dict[str, Any]) -> None:
    print(json.dumps({"command": command, "answer": await perform(**options)}), flush=True)
