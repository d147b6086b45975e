"""How long and how fast: handshakes, idle connections and changes a second, at the limit."""

from __future__ import annotations

import asyncio
from pathlib import Path

from replicell.sync import Limits, SyncStatus
from replicell.sync.backoff import Backoff
from replicell.sync.messages import (
    Ack,
    Changes,
    Mark,
    Marked,
)
from tests.sync.certificates import make_certificate
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put, rows
from tests.sync.test_client import reached
from tests.sync.test_limits import cell, joined
from tests.sync.test_server import EPOCH, close_code, hear, tell


class TestTimes:
    async def test_a_connection_that_says_nothing_for_too_long_is_closed(
        self, open_server: OpenServer
    ) -> None:
        server = await open_server(limits=Limits(idle_seconds=0.1))
        async with joined(f"{server.url}/room") as websocket:
            assert await close_code(websocket) == 4407

    async def test_a_sync_client_that_was_idle_comes_back_when_it_has_something_to_say(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(limits=Limits(idle_seconds=0.1))
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room", backoff=Backoff(initial=0.01, refused=1000))
        await reached(sync, SyncStatus.SYNCED)
        await reached(sync, SyncStatus.OFFLINE)
        assert "nothing was said for 0.1 seconds" in sync.status_detail

        await put(db, "1", "x")
        await sync.wait_until_synced(PATIENCE)

    async def test_half_a_request_is_not_waited_for(self, open_server: OpenServer) -> None:
        server = await open_server(limits=Limits(handshake_seconds=0.1))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /room HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()

    async def test_a_tls_handshake_is_not_waited_for_either(
        self, open_server: OpenServer, tmp_path: Path
    ) -> None:
        certificate = await asyncio.to_thread(make_certificate, tmp_path)
        server = await open_server(limits=Limits(handshake_seconds=0.1), ssl=certificate.serving())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()

    async def test_as_many_changes_as_may_come_at_once_do_not_wait_and_more_do(
        self, open_server: OpenServer
    ) -> None:
        # What waits does so for hours.
        server = await open_server(limits=Limits(changes_per_second=0.001, burst_changes=20))
        async with joined(f"{server.url}/room") as websocket:
            for number in (1, 2):
                await tell(websocket, twenty_changes(number))
            acknowledged = await hear(websocket, Ack)
            await tell(websocket, Mark(1))
            assert (acknowledged.version, (await hear(websocket, Marked)).version) == (1, 1)

    async def test_changes_that_come_too_fast_wait_and_none_is_lost(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        loop = asyncio.get_running_loop()
        server = await open_server(limits=Limits(changes_per_second=100, burst_changes=20))
        async with joined(f"{server.url}/room") as websocket:
            began = loop.time()
            for number in (1, 2, 3):
                await tell(websocket, twenty_changes(number))
            while (await hear(websocket, Ack)).version < 3:
                continue
            # The burst let the first twenty pass; the other forty are good for 0.4 seconds.
            assert loop.time() - began >= 0.2
        db = await open_database("a")
        await (await open_client(db, f"{server.url}/room")).wait_until_synced(PATIENCE)
        assert len(await rows(db)) == 60


def twenty_changes(version: int) -> Changes:
    batch = [cell(f"{version} {index}", index, db_version=version) for index in range(20)]
    return Changes(EPOCH, version - 1, version, version, 0, True, batch)
