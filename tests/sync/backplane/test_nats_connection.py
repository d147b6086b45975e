"""A NATS that talks nonsense, cannot be reached, or ends a connection for good."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from examples.cluster.nats_cluster import NatsCluster
from replicell.sync.backplane import jetstream, nats_connection
from replicell.sync.backplane.interface import UnreachableError
from replicell.sync.backplane.jetstream import JetStreamBackplane
from replicell.sync.backplane.jetstream_streams import log_stream, snapshots_stream
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put


class Inbox:
    """A subscription that has its messages already, or gets one just as who waits is cancelled."""

    def __init__(self, waits: asyncio.Event) -> None:
        self.subject = "inbox"
        self.messages: list[dict[str, Any]] = []
        self._waits = waits

    async def next_msg(self, timeout: float) -> SimpleNamespace:  # noqa: ASYNC109 - as the package has it
        if self.messages:
            return SimpleNamespace(data=json.dumps(self.messages.pop()).encode(), headers=None)
        if self._waits.is_set():
            await asyncio.Event().wait()
        self._waits.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return SimpleNamespace(data=b"", headers={"Status": "204"})

    async def unsubscribe(self) -> None:
        """Nothing comes any more."""


class Client:
    """The package's client, at a server that has the streams, once it has said what makes no sense."""

    def __init__(self) -> None:
        self.is_connected = True
        self.is_closed = False
        self.max_payload = 1_000_000
        self.nonsense: list[dict[str, Any]] = []
        self.loses_cancellation = asyncio.Event()
        self._inbox = Inbox(self.loses_cancellation)

    def new_inbox(self) -> str:
        return self._inbox.subject

    async def subscribe(self, subject: str) -> Inbox:
        return self._inbox

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - as the package has it
        headers: dict[str, str] | None,
    ) -> SimpleNamespace:
        return await self._inbox.next_msg(timeout)

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        if not subject.startswith("$JS"):
            return
        wanted = (snapshots_stream if subject.endswith("-snapshots") else log_stream)("replicell", 3)
        stream = {"created": "once", "config": wanted, "cluster": {"leader": "n1", "replicas": []}}
        self._inbox.messages.append(self.nonsense.pop() if self.nonsense else stream)

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()

    async def connect(*_: object, **__: object) -> Client:
        return made

    monkeypatch.setattr("replicell.sync.backplane.nats_connection.connect", connect)
    return made


async def test_an_answer_that_makes_no_sense_is_told_and_asked_for_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream, "_ANEW_SECONDS", 0.0)
    client.nonsense = [{"kind": "of nonsense"}]
    backplane = JetStreamBackplane(["nats://localhost"])
    await backplane.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await backplane.open_room("room")
    finally:
        await backplane.close()

    assert "NATS cannot be used, which is tried again and again: KeyError(" in caplog.text


async def test_options_that_cannot_be_used_are_told_and_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream, "_ANEW_SECONDS", 0.0)
    connect, attempts = nats_connection.connect, []

    async def connect_later(*addresses: Any, **options: Any) -> Any:
        attempts.append(options["user_credentials"])
        if len(attempts) < 3:
            raise FileNotFoundError("node.creds")
        return await connect(*addresses, **options)

    monkeypatch.setattr("replicell.sync.backplane.nats_connection.connect", connect_later)
    backplane = JetStreamBackplane(["nats://localhost"], connect_options={"user_credentials": "node.creds"})
    await backplane.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await backplane.open_room("room")
    finally:
        await backplane.close()

    told = [record.getMessage() for record in caplog.records if "node.creds" in record.getMessage()]
    assert len(told) == 1


async def test_without_a_connection_nobody_waits_for_an_answer(client: Client) -> None:
    backplane = JetStreamBackplane(["nats://localhost"])
    for reason in ("there is no connection to NATS", "the connection to NATS is lost"):
        for ask in (backplane.request, backplane.insist, backplane.request_many):
            with pytest.raises(UnreachableError, match=reason):
                await ask("subject", b"")
        await backplane.open()
        client.is_connected = False
    assert not backplane.connected
    await backplane.close()


async def test_who_is_cancelled_just_as_an_answer_comes_is_cancelled(client: Client) -> None:
    backplane = JetStreamBackplane(["nats://localhost"])
    await backplane.open()
    for ask in (backplane.request, backplane.insist, backplane.request_many):
        client.loses_cancellation.clear()
        asking = asyncio.create_task(ask("subject", b""))
        await asyncio.wait_for(client.loses_cancellation.wait(), PATIENCE)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
    await backplane.close()


@pytest.mark.parametrize("make_backplane", ["jetstream"], indirect=True)
async def test_rooms_go_on_after_nats_has_ended_a_connection_for_good(
    nats_cluster: NatsCluster,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
) -> None:
    stream = f"given-up-{tmp_path.parent.name}"[-60:]
    backplanes = [JetStreamBackplane(nats_cluster.urls, stream=stream) for _ in range(2)]
    one, two = [await open_node(str(number), backplane=each) for number, each in enumerate(backplanes)]
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{two.url}/room")
    await put(a, "1", "before")
    await eventually(b, partial(has_rows, b, 1))

    client = backplanes[0]._client
    assert client is not None
    # What NATS says to a client whose credentials have run out; the package closes it then.
    await client._process_err("'User Authentication Expired'")

    await put(a, "2", "from who was away")
    await sync_a.wait_until_synced(PATIENCE)
    await put(b, "3", "to who was away")
    await sync_b.wait_until_synced(PATIENCE)
    for db in (a, b):
        await eventually(db, partial(has_rows, db, 3))
    assert client.is_closed
