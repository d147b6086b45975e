"""A server that is told to go: its clients are back with the next one, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import connect

from examples.cluster.nats_cluster import free_ports
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync import SyncClient
from replicell.sync.messages import PROTOCOL, Hello, Welcome, decode, encode
from replicell.sync.status import SyncStatus
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows


@asynccontextmanager
async def server_process(folder: Path, port: int, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server as people run it; killed at the end if it is still there."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "replicell",
            "server",
            "--data-dir",
            str(folder),
            "--port",
            str(port),
            *words,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        assert b"listening on" in line
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def terminate(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await process.wait()


async def test_clients_that_write_while_the_server_restarts_lose_nothing(
    open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    databases = [await open_database(name) for name in ("first", "second")]
    stop = asyncio.Event()
    written = [0, 0]

    async def write(which: int) -> None:
        while not stop.is_set():
            await put(databases[which], f"{which}-{written[which]}", "text")
            written[which] += 1
            await asyncio.sleep(0)

    async with AsyncExitStack() as running:
        process = await running.enter_async_context(server_process(tmp_path / "rooms", port))
        clients = [await open_client(db, f"ws://127.0.0.1:{port}/room") for db in databases]
        for client in clients:
            await client.wait_until_synced(PATIENCE)
        away = [asyncio.Event() for _ in clients]
        for client, gone in zip(clients, away, strict=True):
            tell_when_offline(client, gone)
        writers = [asyncio.create_task(write(which)) for which in range(2)]
        await eventually(databases[0], lambda: has_more_than(databases[0], 50))
        await terminate(process)
        assert process.returncode == 0
        async with asyncio.timeout(PATIENCE):
            for gone in away:
                await gone.wait()
        before = list(written)
        await eventually(databases[0], lambda: has_more_than(databases[0], before[0] + 20))

        await running.enter_async_context(server_process(tmp_path / "rooms", port))
        stop.set()
        await asyncio.gather(*writers)
        for client in clients:
            await client.wait_until_synced(PATIENCE)
        for db in databases:
            await eventually(db, partial(has_rows, db, sum(written)))
        assert await rows(databases[0]) == await rows(databases[1])


def tell_when_offline(client: SyncClient, gone: asyncio.Event) -> None:
    def listener(_: SyncClient, status: SyncStatus, __: str) -> None:
        if status is SyncStatus.OFFLINE:
            gone.set()

    client.add_status_listener(listener)


async def has_more_than(db: CrSqliteDatabase, count: int) -> bool:
    ((found,),) = await db.execute("SELECT count(*) FROM todo")
    return bool(found > count)


async def test_connections_are_closed_with_the_code_of_a_restart(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with server_process(tmp_path / "rooms", port) as process:
        async with connect(f"ws://127.0.0.1:{port}/room") as websocket:
            await websocket.send(encode(Hello(PROTOCOL, b"c" * 16, [], [])))
            assert isinstance(decode(await websocket.recv()), Welcome)
            await terminate(process)
            await websocket.wait_closed()

            assert websocket.close_code == 1012
        assert process.returncode == 0


def readiness(port: int) -> int | None:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            status: int = response.status
            return status
    except HTTPError as error:
        with error:
            return error.code
    except (URLError, OSError):
        return None


async def test_a_server_that_drains_says_that_it_is_not_ready_and_serves_on(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with server_process(tmp_path / "rooms", port, "--drain-seconds", "60") as process:
        assert await asyncio.to_thread(readiness, port) == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(readiness, port) != 503:
                pass

        async with connect(f"ws://127.0.0.1:{port}/room") as websocket:
            await websocket.send(encode(Hello(PROTOCOL, b"c" * 16, [], [])))
            assert isinstance(decode(await websocket.recv()), Welcome)


async def test_logs_as_json_name_room_and_client_and_no_token(
    open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    words = (
        "--log-format",
        "json",
        "--log-level",
        "debug",
        "--token",
        "sesame-open",
        "--limit-value-bytes",
        "5",
    )
    db = await open_database("first")
    await put(db, "1", "longer than five bytes")
    async with server_process(tmp_path / "rooms", port, *words, "--limit-value-bytes", "5") as process:
        client = await open_client(db, f"ws://127.0.0.1:{port}/team/plans?token=sesame-open")
        await client.wait_until_synced(PATIENCE)
        await client.close()
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()

    lines = [json.loads(line) for line in errors.decode().splitlines()]
    (refusal,) = [line for line in lines if line["message"].startswith("changes from client")]
    assert refusal["room"] == "team/plans"
    assert refusal["site_id"] == db.site_id.hex()
    assert (refusal["level"], refusal["logger"]) == ("warning", "replicell.sync.server")
    assert isinstance(refusal["connection"], int)
    assert "sesame-open" not in errors.decode()


@pytest.mark.parametrize("words", [["--config", "missing.toml"], ["--metrics-rooms", "-1"]])
async def test_a_setting_that_cannot_be_ends_the_program_with_a_sentence(words: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "replicell", "server", *words), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.decode().startswith("replicell: ")
    assert "Traceback" not in errors.decode()
