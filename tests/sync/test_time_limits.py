"""How long and how fast: handshakes, idle connections and changes a second, at the limit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.protocol import State

from replicell.sync import Limits, SyncStatus
from replicell.sync.backoff import Backoff
from replicell.sync.messages import (
    Ack,
    Changes,
    Mark,
    Marked,
)
from replicell.sync.pages import Answer
from replicell.sync.reception import Reception
from tests.sync.certificates import make_certificate
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put, rows
from tests.sync.test_client import reached
from tests.sync.test_limits import cell, joined
from tests.sync.test_server import EPOCH, HASTY, PATIENT, close_code, hear, tell


class TestTimes:
    async def test_a_connection_that_says_nothing_for_too_long_is_closed_and_one_that_talks_stays(
        self, open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        receptions = watched_receptions(monkeypatch)
        loop = asyncio.get_running_loop()
        server = await open_server(limits=Limits(idle_seconds=1000))
        async with (
            joined(f"{server.url}/room", site=b"s" * 16) as silent,
            joined(f"{server.url}/room", site=b"t" * 16) as talking,
        ):
            for websocket in (silent, talking):
                await tell(websocket, Mark(1))
                await hear(websocket, Marked)
            between = loop.time()
            await tell(talking, Mark(2))
            await hear(talking, Marked)

            receptions[0].tick(between + 999)
            for websocket in (silent, talking):
                await websocket.ping()
            assert (silent.state, talking.state) == (State.OPEN, State.OPEN)
            receptions[0].tick(between + 1000)
            assert await close_code(silent) == 4407
            await tell(talking, Mark(3))
            assert (await hear(talking, Marked)).number == 3

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

    async def test_half_a_request_is_not_waited_for(self, open_server: OpenServer, tmp_path: Path) -> None:
        patient = await open_server(data_dir=tmp_path / "patient", limits=PATIENT)
        hasty = await open_server(limits=HASTY)
        reader, writer = await begun_request(patient.port)
        hasty_reader, hasty_writer = await begun_request(hasty.port)
        async with asyncio.timeout(PATIENCE):
            assert await hasty_reader.read() == b""
            # Half a request as such is no reason: the other server still waits for the rest.
            writer.write(b"\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 ")
        hasty_writer.close()
        writer.close()

    async def test_a_tls_handshake_is_not_waited_for_either(
        self, open_server: OpenServer, tmp_path: Path
    ) -> None:
        certificate = await asyncio.to_thread(make_certificate, tmp_path)
        patient = await open_server(data_dir=tmp_path / "patient", limits=PATIENT, ssl=certificate.serving())
        hasty = await open_server(limits=HASTY, ssl=certificate.serving())
        _, writer = await asyncio.open_connection("127.0.0.1", patient.port)
        hasty_reader, hasty_writer = await asyncio.open_connection("127.0.0.1", hasty.port)
        async with asyncio.timeout(PATIENCE):
            assert await hasty_reader.read() == b""
            await writer.start_tls(certificate.trusting(), server_hostname="localhost")
        hasty_writer.close()
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


async def begun_request(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send all of a request but its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /room HTTP/1.1\r\nHost: x\r\n")
    return reader, writer


def watched_receptions(monkeypatch: pytest.MonkeyPatch) -> list[Reception]:
    """Return those that clients will have come to, in a list that grows."""
    found: list[Reception] = []
    receive = Reception.receive

    async def watched(reception: Reception, *args: Any) -> Answer | None:
        found.append(reception)
        return await receive(reception, *args)

    monkeypatch.setattr(Reception, "receive", watched)
    return found
