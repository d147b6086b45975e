"""Rooms that nobody is in cost nothing, and are there again when somebody comes."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from pathlib import Path

import pytest

from replicell.sync import ServerRoom, SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put

DESCRIPTORS = Path("/proc/self/fd")


def open_files(folder: Path) -> list[str]:
    found: list[str] = []
    for link in DESCRIPTORS.iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


async def unloaded(server: SyncServer, folder: Path, memory: weakref.ref[ServerRoom]) -> None:
    async with asyncio.timeout(PATIENCE):
        while (
            server.rooms
            or memory() is not None
            or any(str(folder) in thread.name for thread in threading.enumerate())
        ):
            await asyncio.to_thread(gc.collect)


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="only Linux tells which files a process has open")
async def test_an_idle_room_gives_its_thread_files_and_memory_back(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    folder = tmp_path / "rooms"
    server = await open_server(room_idle_seconds=0.0)
    first, second = await open_database("first"), await open_database("second")
    await put(first, "1", "milk")
    client = await open_client(first, f"{server.url}/room")
    await client.wait_until_synced(PATIENCE)
    assert open_files(folder)
    async with server.open_room("room") as room:
        memory = weakref.ref(room)
    del room

    await client.close()
    await unloaded(server, folder, memory)

    assert open_files(folder) == []
    await open_client(second, f"{server.url}/room")
    await eventually(second, lambda: has_rows(second, 1))
    assert server.rooms == ["room"]
