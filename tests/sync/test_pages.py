"""What a server tells of itself over plain HTTP."""

from __future__ import annotations

import asyncio
import builtins
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from replicell.sync.backplane import InProcessBackplane
from replicell.sync.counts import Counts
from replicell.sync.limits import Limits
from replicell.sync.messages import Ack, Changes, Mark, Marked
from replicell.sync.pages import Pages
from replicell.sync.reception import Reception
from replicell.sync.server import SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put
from tests.sync.test_limits import joined
from tests.sync.test_server import HASTY, close_code, hear, tell
from tests.sync.test_time_limits import begun_request, watched_receptions

Samples = dict[tuple[str, ...], float]


async def fetch(server: SyncServer, path: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = Request(server.url.replace("ws://", "http://") + path, headers=headers)

    def ask() -> tuple[int, str]:
        try:
            with urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def figures(server: SyncServer, token: str | None = None) -> Samples:
    status, text = await fetch(server, "/metrics", token)
    assert status == HTTPStatus.OK
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def pages(folder: Path, backplane: InProcessBackplane | None = None) -> Pages:
    return Pages(
        folder=folder,
        backplane=backplane or InProcessBackplane(shared=False),
        counts=Counts(),
        rooms=list,
        cluster=lambda: None,
        metrics_token=None,
        labelled_rooms=0,
    )


async def test_a_server_that_serves_is_ready(open_server: OpenServer) -> None:
    server = await open_server(tokens=["secret"])

    assert await fetch(server, "/readyz") == (HTTPStatus.OK, "ready\n")


async def test_a_server_is_not_ready_before_it_serves_and_when_it_goes(tmp_path: Path) -> None:
    told = pages(tmp_path)
    assert await told.troubles() == ["starting"]
    told.phase = "serving"
    assert await told.troubles() == []
    told.phase = "shutting down"

    answer = await told.answer("/readyz", "")

    assert answer is not None
    assert (answer.status, answer.text) == (HTTPStatus.SERVICE_UNAVAILABLE, "shutting down\n")


async def test_a_server_whose_folder_is_gone_is_not_ready(tmp_path: Path) -> None:
    told = pages(tmp_path / "missing")
    told.phase = "serving"

    (trouble,) = await told.troubles()

    assert trouble.startswith("the rooms' folder cannot be written: ")
    alive = await told.answer("/healthz", "")
    assert alive is not None
    assert alive.status == HTTPStatus.OK


async def test_a_node_that_gets_nothing_acknowledged_is_not_ready_and_says_why(tmp_path: Path) -> None:
    hub = InProcessBackplane()
    told = pages(tmp_path, hub)
    told.phase = "serving"
    assert await told.troubles() == []

    hub.cut()

    assert await told.troubles() == ["the backplane was cut"]
    alive = await told.answer("/healthz", "")
    assert alive is not None
    assert alive.status == HTTPStatus.OK


async def test_the_figures_tell_of_clients_rooms_and_changes(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    first, second = await open_database("first"), await open_database("second")
    author = await open_client(first, f"{server.url}/room")
    reader = await open_client(second, f"{server.url}/room")
    await put(first, "1", "milk")
    await author.wait_until_synced(PATIENCE)
    await reader.wait_until_synced(PATIENCE)

    found = await figures(server)

    assert found["replicell_ready",] == 1
    assert found["replicell_clients",] == 2
    assert found["replicell_rooms_open",] == found["replicell_rooms",] == 1
    # Two columns beside the key.
    assert found["replicell_changes_in_total",] == 2
    assert found["replicell_changes_out_total",] == 2
    assert found["replicell_bytes_out_total",] > 100
    assert found["replicell_apply_seconds_count",] == 1
    assert 0 < found["replicell_apply_seconds_sum",] < PATIENCE
    assert found["replicell_apply_seconds_bucket", "+Inf"] == 1
    assert found["replicell_database_bytes",] == found["replicell_database_bytes_max",] > 10_000
    assert found["replicell_client_lag_seconds_max",] == 0
    assert found["replicell_clients_behind", "1"] == 0


async def test_the_figures_tell_what_was_refused_and_why(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(tokens=["secret"], limits=Limits(value_bytes=10))
    assert (await fetch(server, "/room", "wrong"))[0] == HTTPStatus.UNAUTHORIZED
    db = await open_database("first")
    client = await open_client(db, f"{server.url}/room", token="secret")
    await put(db, "1", "longer than ten letters")
    await client.wait_until_synced(PATIENCE)

    found = await figures(server)

    assert found["replicell_connections_refused_total", "401"] == 1
    assert found["replicell_changes_refused_total", "limit"] == 1


async def test_the_figures_tell_for_how_long_clients_have_not_confirmed_everything(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tick = Reception.tick
    monkeypatch.setattr(Reception, "tick", lambda *_: None)
    receptions = watched_receptions(monkeypatch)
    loop = asyncio.get_running_loop()
    server = await open_server(metrics_rooms=1)
    db = await open_database("author")
    author = await open_client(db, f"{server.url}/room")
    await author.wait_until_synced(PATIENCE)
    # It reads everything and confirms nothing.
    async with joined(f"{server.url}/room") as silent:
        await put(db, "1", "milk")
        await author.wait_until_synced(PATIENCE)
        changes = await hear(silent, Changes)
        tick(receptions[0], loop.time() - 20)

        found = await figures(server)
        assert found["replicell_clients",] == 2
        assert 20 <= found["replicell_client_lag_seconds_max",] < 100
        assert found["replicell_clients_behind", "10"] == 1
        assert found["replicell_clients_behind", "300"] == 0
        assert found["replicell_room_lag_seconds_max", "room"] >= 20

        await tell(silent, Ack(changes.until))
        await tell(silent, Mark(1))
        await hear(silent, Marked)
        found = await figures(server)
        assert found["replicell_client_lag_seconds_max",] == found["replicell_clients_behind", "1"] == 0


async def test_the_figures_tell_how_late_the_event_loop_is(open_server: OpenServer) -> None:
    server = await open_server()
    async with asyncio.timeout(PATIENCE):
        while not (found := await figures(server))["replicell_loop_delay_seconds_count",]:
            continue
    assert (
        found["replicell_loop_delay_seconds_bucket", "+Inf"] == found["replicell_loop_delay_seconds_count",]
    )
    assert 0 <= found["replicell_loop_delay_seconds_sum",] < PATIENCE


async def test_the_figures_tell_whom_the_server_has_sent_away_and_why(
    open_server: OpenServer, tmp_path: Path
) -> None:
    server = await open_server(limits=Limits(message_bytes=128 * 1024))
    (tmp_path / "rooms" / "bad.db").write_bytes(b"this is no database" * 1000)
    async with connect(f"{server.url}/room") as websocket:
        await websocket.send(b"no message")
        assert await close_code(websocket) == 4400
    async with connect(f"{server.url}/room") as websocket:
        await websocket.send(b"x" * (128 * 1024 + 1))
        assert await close_code(websocket) == 1009
    async with connect(f"{server.url}/bad") as websocket:
        assert await close_code(websocket) == 1011

    # The package counts its own ends a little after the client has heard of them.
    async with asyncio.timeout(PATIENCE):
        while ("replicell_connections_ended_total", "too_big") not in (found := await figures(server)):
            continue
    assert found["replicell_connections_ended_total", "malformed"] == 1
    assert found["replicell_connections_ended_total", "too_big"] == 1
    assert found["replicell_rooms_unopened_total",] == 1
    assert found["replicell_connections_refused_total", "internal"] == 1


async def test_the_figures_tell_of_those_who_were_too_slow(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receptions = watched_receptions(monkeypatch)
    server = await open_server(limits=HASTY, tokens=["secret"])
    slow_reader, slow_writer = await begun_request(server.port)
    async with connect(f"{server.url}/room") as stranger:
        assert await close_code(stranger) == 4408
    async with connect(f"{server.url}/room?token=secret") as client:
        assert await close_code(client) == 4408
    async with asyncio.timeout(PATIENCE):
        assert await slow_reader.read() == b""
    slow_writer.close()

    # Not over a connection, which such a server might end as well.
    answer = await receptions[0].pages.answer("/metrics", "")
    assert answer is not None
    lines = answer.text.splitlines()
    assert 'replicell_connections_refused_total{reason="timeout"} 2.0' in lines
    assert 'replicell_connections_ended_total{reason="timeout"} 1.0' in lines


async def test_the_figures_tell_of_those_for_whom_there_was_no_place(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await open_server(limits=Limits(connections=1))
    with monkeypatch.context() as patch:
        patch.setattr("replicell.sync.attendance._SPARE_SEATS", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()

    assert (await figures(server))["replicell_connections_refused_total", "overcrowded"] == 1


async def test_rooms_are_named_only_when_asked_for_and_only_so_many(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    silent, telling = await open_server(), await open_server(metrics_rooms=1)
    for name, server in (("a", silent), ("b", telling), ("c", telling), ("d", telling)):
        room = "team/crowded" if name in "cd" else name
        client = await open_client(await open_database(name), f"{server.url}/{room}")
        await client.wait_until_synced(PATIENCE)

    assert not [key for key in await figures(silent) if "room_" in key[0]]
    named = {key: value for key, value in (await figures(telling)).items() if "room_" in key[0]}
    assert named["replicell_room_clients", "team/crowded"] == 2
    assert len(named) == 3


async def test_the_figures_can_ask_for_a_token(open_server: OpenServer) -> None:
    server = await open_server(metrics_token="for prometheus")

    for token in (None, "wrong", "for prometheus!"):
        assert (await fetch(server, "/metrics", token))[0] == HTTPStatus.UNAUTHORIZED
    assert (await figures(server, "for prometheus"))["replicell_clients",] == 0


async def test_without_prometheus_client_the_figures_say_what_to_install(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await open_server()
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("replicell.sync.metrics"):
            raise ModuleNotFoundError("No module named 'prometheus_client'", name="prometheus_client")
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)

    status, text = await fetch(server, "/metrics")

    assert status == HTTPStatus.NOT_IMPLEMENTED
    assert 'pip install "replicell[server]"' in text
