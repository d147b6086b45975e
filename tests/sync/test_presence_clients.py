"""Presence over real sockets: clients that see each other come, change and leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from replicell.sync import (
    Identity,
    Limits,
    Peer,
    PresenceError,
    StaticTokens,
    SyncClient,
    SyncError,
    SyncStatus,
)
from replicell.sync.messages import (
    Mark,
    Marked,
    Peers,
    Ready,
    Welcome,
    decode,
)
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, rows
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, hear, tell


async def seen(sync: SyncClient, true: Callable[[], Any]) -> None:
    """Wait until a condition about a client's peers holds."""
    changed = asyncio.Event()
    listener = sync.add_presence_listener(lambda *_: changed.set())
    async with asyncio.timeout(PATIENCE):
        while not true():
            await changed.wait()
            changed.clear()
    sync.del_listener(listener)


def states(sync: SyncClient) -> list[Any]:
    return [dict(peer.state) for peer in sync.peers.values()]


class TestClients:
    """`SyncClient.set_presence`, `peers` and `add_presence_listener`, over real sockets."""

    async def test_they_see_each_other_come_change_and_leave(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        news: list[tuple[Peer | None, Peer | None]] = []
        ben.set_presence({"name": "Ben"})
        ben.add_presence_listener(lambda _, peer, now, before: news.append((now, before)))
        anna.set_presence({"name": "Anna"})
        await seen(ben, lambda: states(ben) == [{"name": "Anna"}])
        await seen(anna, lambda: states(anna) == [{"name": "Ben"}])
        assert list(ben.peers) == [anna.peer_id]
        assert all(peer.name is None for peer in ben.peers.values())

        anna.set_presence({"name": "Anna", "cursor": [3, 4]})
        await seen(ben, lambda: states(ben) == [{"name": "Anna", "cursor": [3, 4]}])
        await anna.close()
        await seen(ben, lambda: not ben.peers)
        assert dict(anna.peers) == {}
        assert [(now and dict(now.state), before and dict(before.state)) for now, before in news] == [
            ({"name": "Anna"}, None),
            ({"name": "Anna", "cursor": [3, 4]}, {"name": "Anna"}),
            (None, {"name": "Anna", "cursor": [3, 4]}),
        ]

    async def test_a_pause_is_a_leave_and_the_state_comes_back_with_the_connection(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        for client, name in ((anna, "Anna"), (ben, "Ben")):
            client.set_presence({"name": name})
        await seen(ben, lambda: states(ben) == [{"name": "Anna"}])
        before = anna.peer_id
        await anna.pause()
        await seen(ben, lambda: not ben.peers)
        anna.set_presence({"name": "Anna, again"})
        await anna.resume()
        await seen(ben, lambda: states(ben) == [{"name": "Anna, again"}])
        await seen(anna, lambda: states(anna) == [{"name": "Ben"}])
        assert anna.peer_id == before

        anna.set_presence(None)
        await seen(ben, lambda: not ben.peers)
        assert dict(anna.peers) == {}
        await reached(anna, SyncStatus.SYNCED)

    async def test_read_only_clients_are_seen_and_see_and_names_are_told_if_wanted(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        tokens = StaticTokens(
            identities={
                "a": Identity(name="anna@example.com\udc80", rooms={"*": "write"}),
                "b": Identity(name="ben@example.com", rooms={"*": "read"}),
            }
        )
        server = await open_server(authenticate=tokens, presence="names")
        anna, ben = [
            await open_client(await open_database(token), f"{server.url}/room", token=token) for token in "ab"
        ]
        anna.set_presence({})
        ben.set_presence({"name": "anna@example.com"})
        await seen(anna, lambda: len(anna.peers) == 1)
        await seen(ben, lambda: len(ben.peers) == 1)
        assert [peer.name for peer in anna.peers.values()] == ["ben@example.com"]
        assert [peer.name for peer in ben.peers.values()] == ["anna@example.com?"]

    async def test_states_that_change_quickly_are_sent_seldom_and_the_last_one_arrives(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        ben.set_presence({})
        anna.set_presence({"at": 0})
        await seen(ben, lambda: states(ben) == [{"at": 0}])
        changes = []
        ben.add_presence_listener(lambda *news: changes.append(news))
        for step in range(1000):
            anna.set_presence({"at": step})
        await seen(ben, lambda: states(ben) == [{"at": 999}])
        assert len(changes) <= 2

    async def test_presence_that_is_not_taken_hurts_nothing_else(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(limits=Limits(presence_bytes=100))
        db = await open_database("anna")
        anna = await open_client(db, f"{server.url}/room")
        await reached(anna, SyncStatus.SYNCED)
        told = asyncio.Event()
        anna.add_status_listener(lambda _, status, detail: told.set() if "100 bytes" in detail else None)
        anna.set_presence({"text": "x" * 100})
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        await db.execute("INSERT INTO todo(id, text) VALUES ('1', 'Buy milk')")
        await anna.wait_until_synced(PATIENCE)
        assert await rows(db) == {"1": "Buy milk"}

    async def test_an_old_client_never_gets_a_message_that_it_does_not_know(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna = await open_client(await open_database("anna"), f"{server.url}/room")
        anna.set_presence({"name": "Anna"})
        await seen_itself(anna)
        async with connect(f"{server.url}/room") as old:
            await tell(old, HELLO)
            await hear(old, Welcome)
            await tell(old, Ready(EPOCH, 0))
            anna.set_presence({"name": "Anna", "x": 1})
            messages = await heard_until_marked(old)
        assert not any(isinstance(message, Peers) for message in messages)

    @pytest.mark.parametrize("state", [[1], {"x": {1, 2}}, {1: 2, "x": b"\xff"}, 7, {"x": object()}])
    async def test_what_json_cannot_say_is_no_state(
        self, open_server: OpenServer, open_database: OpenDatabase, state: Any
    ) -> None:
        client = SyncClient(await open_database("anna"), "ws://localhost:1/room")
        with pytest.raises(PresenceError):
            client.set_presence(state)

    async def test_a_policy_that_is_none_is_refused(self, open_server: OpenServer) -> None:
        with pytest.raises(SyncError, match="anonymous"):
            await open_server(presence="everything")


async def seen_itself(sync: SyncClient) -> None:
    """Wait until the server has said under which id the client is seen."""
    await reached(sync, SyncStatus.SYNCED)
    async with asyncio.timeout(PATIENCE):
        while sync.peer_id is None:
            await sync.wait_until_synced()


async def heard_until_marked(websocket: ClientConnection) -> list[object]:
    await tell(websocket, Mark(1))
    messages: list[object] = []
    async with asyncio.timeout(PATIENCE):
        while not isinstance(message := decode(await websocket.recv()), Marked):
            messages.append(message)
    return messages
