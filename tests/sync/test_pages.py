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

from replicell.sync.backplane import InProcessBackplane
from replicell.sync.counts import Counts
from replicell.sync.limits import Limits
from replicell.sync.pages import Pages
from replicell.sync.server import SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put

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
