"""A client with the addresses of several servers that share its room."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from replicell.sync.backoff import Backoff
from replicell.sync.backplane import InProcessBackplane
from replicell.sync.client import SyncClient
from replicell.sync.errors import RefusedError, SyncError
from replicell.sync.server import SyncServer
from replicell.sync.status import SyncStatus
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows
from tests.sync.test_client import reached

NEVER = Backoff(initial=1e6, maximum=1e6, refused=1e6, random=lambda: 1.0)
"""Whoever rests, even once, does not come back while the test lasts."""
NOBODY = "ws://127.0.0.1:1"
"""A server that is not there."""


@pytest.fixture
async def pair(open_server: OpenServer, tmp_path: Path) -> tuple[SyncServer, SyncServer]:
    """Two servers that share their rooms."""
    backplane = InProcessBackplane()
    one = await open_server(data_dir=tmp_path / "one", backplane=backplane)
    two = await open_server(data_dir=tmp_path / "two", backplane=backplane)
    return one, two


async def test_when_its_server_goes_it_goes_on_with_the_next_one_without_a_rest(
    pair: tuple[SyncServer, SyncServer], open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = pair
    a, b = await open_database("a"), await open_database("b")
    sync = await open_client(a, [f"{one.url}/room", f"{two.url}/room"], backoff=NEVER)
    other = await open_client(b, f"{two.url}/room")
    await put(a, "1", "before")
    await sync.wait_until_synced(PATIENCE)
    assert sync.url == f"{one.url}/room"

    await one.close()
    await put(a, "2", "after")
    await sync.wait_until_synced(PATIENCE)

    assert (sync.status, sync.url) == (SyncStatus.SYNCED, f"{two.url}/room")
    await other.wait_until_synced(PATIENCE)
    assert await rows(b) == {"1": "before", "2": "after"}
    await put(b, "3", "from the other")
    await eventually(a, lambda: has_rows(a, 3))


async def test_a_server_that_is_not_there_at_the_start_is_passed_over(
    pair: tuple[SyncServer, SyncServer], open_database: OpenDatabase, open_client: OpenClient
) -> None:
    db = await open_database("a")
    seen: list[tuple[SyncStatus, str]] = []
    sync = SyncClient(db, [f"{NOBODY}/room", f"{pair[1].url}/room"], backoff=NEVER)
    sync.add_status_listener(lambda _, status, detail: seen.append((status, detail)))
    async with sync:
        await sync.wait_until_synced(PATIENCE)

    refused = "127.0.0.1:1: cannot connect: connection refused, no server listens there"
    assert seen[:2] == [(SyncStatus.CONNECTING, ""), (SyncStatus.CONNECTING, refused)]
    assert SyncStatus.OFFLINE not in [status for status, _ in seen]


async def test_it_is_offline_when_none_of_them_is_there_and_comes_back_to_whichever_comes(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    port = server.port
    await server.close()
    db = await open_database("a")
    sync = await open_client(db, [f"{NOBODY}/room", f"ws://127.0.0.1:{port}/room"])
    await reached(sync, SyncStatus.OFFLINE)
    await put(db, "1", "x")

    await open_server(port=port)
    await sync.wait_until_synced(PATIENCE)

    assert sync.url == f"ws://127.0.0.1:{port}/room"


async def test_a_server_that_refuses_it_does_not_keep_it_from_the_others(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    old = await open_server(data_dir=tmp_path / "old", tokens=["yesterday"])
    new = await open_server(data_dir=tmp_path / "new", tokens=["today"])
    urls = [f"{old.url}/room", f"{new.url}/room"]

    sync = await open_client(await open_database("a"), urls, token="today", backoff=NEVER)
    await sync.wait_until_synced(PATIENCE)

    assert sync.url == urls[1]
    stranger = await open_client(await open_database("b"), urls, token="never")
    await reached(stranger, SyncStatus.REFUSED)
    with pytest.raises(RefusedError, match="401"):
        await stranger.wait_until_synced(PATIENCE)


async def test_several_addresses_name_the_same_room(open_database: OpenDatabase) -> None:
    db = await open_database("a")

    with pytest.raises(SyncError, match="ws://one/plans and ws://two/notes name different rooms"):
        SyncClient(db, ["ws://one/plans?token=secret", "ws://two/notes"])
    assert SyncClient(db, ["ws://one/my%2droom", "ws://two/my-room"]).urls == (
        "ws://one/my%2droom",
        "ws://two/my-room",
    )


async def test_an_address_that_is_given_twice_counts_once(open_database: OpenDatabase) -> None:
    sync = SyncClient(await open_database("a"), ["ws://one/room", "ws://one/room"])

    assert sync.urls == ("ws://one/room",)
    assert sync.url == "ws://one/room"


@pytest.mark.parametrize("urls", [[], ["ws://one/room", "nowhere"], [""], None, b"ws://one/room"])
async def test_addresses_that_are_none_are_refused_at_once(open_database: OpenDatabase, urls: object) -> None:
    with pytest.raises(SyncError, match="ws://host:port/room"):
        SyncClient(await open_database("a"), urls)  # type: ignore[arg-type]  # on purpose


async def test_certificates_are_for_addresses_that_have_some(open_database: OpenDatabase) -> None:
    with pytest.raises(SyncError, match="ssl is for wss:// addresses, and ws://two/room is none"):
        SyncClient(
            await open_database("a"),
            ["wss://one/room", "ws://two/room?token=secret"],
            ssl=ssl.create_default_context(),
        )
