"""A document at a web address is read when it has changed, written whole, and never written over unread."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import FOLDER
from replicell.persisters import ConfigError, ContentFormatError, RemoteDocumentError, Status
from replicell.persisters.remote import RemotePersister, create_remote_persister
from replicell.store import create_store
from tests.conformance.original import why_missing
from tests.persisters.document_server import DocumentServer
from tests.persisters.waiting_for import until, until_store

QUICKLY = 0.005


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DocumentServer]:
    server = DocumentServer(tmp_path / "todo.json")
    yield server
    server.close()


@pytest.fixture
def plain_server(tmp_path: Path) -> Iterator[DocumentServer]:
    """One that knows nothing of ETags."""
    server = DocumentServer(tmp_path / "todo.json", tells_etags=False)
    yield server
    server.close()


def write(server: DocumentServer, tables: dict[str, Any]) -> None:
    server.put(json.dumps([tables, {}]).encode())


def written(server: DocumentServer) -> Any:
    return json.loads(server.get() or b"null")


async def test_the_document_is_what_tinybase_writes(server: DocumentServer) -> None:
    store = create_store().set_row("todo", "1", {"text": "Käse", "tags": ["a"]}).set_value("open", True)
    async with create_remote_persister(store, server.url) as persister:
        await persister.save()
    assert server.get().decode() == '[{"todo":{"1":{"text":"Käse","tags":["a"]}}},{"open":true}]'
    assert persister.get_urls() == (server.url, server.url)
    (posted,) = (headers for headers in server.headers if "Content-Type" in headers)
    assert posted["Content-Type"] == "application/json"


async def test_a_document_that_has_not_changed_is_not_sent_again(server: DocumentServer) -> None:
    write(server, {"todo": {"1": {"text": "Milk"}}})
    async with create_remote_persister(create_store(), server.url, poll_interval=QUICKLY) as persister:
        await persister.start_auto_load()
        await until(lambda: server.count("HEAD") > 3)
        await persister.load()
    read, *again = [status for method, status in server.requests if method == "GET"]
    assert (read, set(again)) == (HTTPStatus.OK, {HTTPStatus.NOT_MODIFIED})


async def test_what_it_has_written_is_not_read_again(server: DocumentServer) -> None:
    store = create_store()
    async with create_remote_persister(store, server.url, poll_interval=QUICKLY) as persister:
        await persister.start_auto_persisting()
        for number in range(3):
            store.set_cell("todo", "1", "n", number)
            await persister.flush()
        polls = server.count("HEAD")
        await until(lambda: server.count("HEAD") > polls + 3)
    assert HTTPStatus.OK not in [status for method, status in server.requests if method == "GET"]
    assert written(server) == [{"todo": {"1": {"n": 2}}}, {}]


async def test_without_etags_it_is_read_whole_and_edits_still_meet(plain_server: DocumentServer) -> None:
    one, two = create_store(), create_store()
    async with (
        create_remote_persister(one, plain_server.url, poll_interval=QUICKLY) as first,
        create_remote_persister(two, plain_server.url, poll_interval=QUICKLY) as second,
    ):
        await first.start_auto_persisting()
        await second.start_auto_persisting()
        one.set_cell("todo", "1", "text", "Milk")
        await first.flush()
        two.set_cell("todo", "1", "done", True)
        await second.flush()
        await until_store(one, lambda: one.get_row("todo", "1") == {"text": "Milk", "done": True})
    assert written(plain_server) == [{"todo": {"1": {"text": "Milk", "done": True}}}, {}]


@pytest.mark.parametrize(
    ("compresses", "before"), [(False, {}), (False, {"todo": {"2": {"text": "old"}}}), (True, {"todo": {}})]
)
async def test_nobody_writes_over_what_others_wrote_between_the_look_and_the_write(
    server: DocumentServer, compresses: bool, before: dict[str, Any]
) -> None:
    server.compresses = compresses
    if before:
        write(server, before)
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def pause(request: httpx.Request) -> None:
        if request.method == "POST" and not go_on.is_set():
            looked.set()
            await go_on.wait()

    store = create_store().set_cell("todo", "1", "text", "mine")
    async with (
        httpx.AsyncClient(event_hooks={"request": [pause]}) as client,
        create_remote_persister(store, server.url, client=client) as persister,
    ):
        saving = asyncio.ensure_future(persister.save())
        await looked.wait()
        write(server, {"todo": {"1": {"done": True}, "2": {"text": "theirs"}}})
        go_on.set()
        await saving
    assert [status for method, status in server.requests if method == "POST"] == [412, 200]
    assert written(server) == [{"todo": {"1": {"done": True, "text": "mine"}, "2": {"text": "theirs"}}}, {}]


async def test_reading_and_writing_may_have_addresses_of_their_own(server: DocumentServer) -> None:
    write(server, {"todo": {"1": {"text": "Milk"}}})
    store = create_store()
    save_url = server.url + "?write"
    async with create_remote_persister(store, server.url, save_url, method="PUT") as persister:
        await persister.start_auto_persisting()
        store.set_cell("todo", "1", "done", True)
        await persister.flush()
    assert persister.get_urls() == (server.url, save_url)
    assert server.count("PUT") == 1
    assert written(server) == [{"todo": {"1": {"text": "Milk", "done": True}}}, {}]


async def test_headers_go_with_each_request(server: DocumentServer) -> None:
    headers = {"Authorization": "Bearer secret"}
    async with create_remote_persister(
        create_store().set_value("v", 1), server.url, headers=headers, poll_interval=QUICKLY
    ) as persister:
        await persister.start_auto_persisting()
        await until(lambda: server.count("HEAD") > 0)
    assert {method for method, _ in server.requests} == {"GET", "HEAD", "POST"}
    assert {headers.get("Authorization") for headers in server.headers} == {"Bearer secret"}


async def test_a_deleted_document_deletes_nothing_and_is_written_again(server: DocumentServer) -> None:
    store = create_store().set_cell("todo", "1", "text", "Milk")
    async with create_remote_persister(store, server.url) as persister:
        await persister.start_auto_persisting()
        await asyncio.to_thread(server.file.unlink)
        await persister.load()
        assert store.get_cell("todo", "1", "text") == "Milk"
        store.set_cell("todo", "1", "done", True)
        await persister.flush()
    assert written(server) == [{"todo": {"1": {"text": "Milk", "done": True}}}, {}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"<html>not what you think</html>", "is not JSON"),
        (b"[{}, {}, {}]", "is not a list of tables and values"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
async def test_what_is_no_content_of_a_store_is_told_and_left_as_it_is(
    server: DocumentServer, text: bytes, message: str
) -> None:
    server.put(text)
    async with create_remote_persister(create_store().set_value("v", 1), server.url) as persister:
        with pytest.raises(ContentFormatError, match=message):
            await persister.load()
        with pytest.raises(ContentFormatError, match=message):
            await persister.save()
    assert server.get() == text
    assert server.count("POST") == 0


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (HTTPStatus.UNAUTHORIZED, "give credentials by headers="),
        (HTTPStatus.FORBIDDEN, "do not allow"),
        (HTTPStatus.METHOD_NOT_ALLOWED, "method='PUT'"),
        (HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of that server"),
    ],
)
async def test_a_refusal_says_what_to_do(server: DocumentServer, status: HTTPStatus, step: str) -> None:
    store = create_store().set_value("v", 1)
    async with create_remote_persister(store, server.url) as persister:
        with server.failing(status), pytest.raises(RemoteDocumentError, match=step):
            await persister.load()
        with server.failing(status, to_write_only=True), pytest.raises(RemoteDocumentError, match=step):
            await persister.save()
        await persister.save()
    assert written(server) == [{}, {"v": 1}]


async def test_a_write_that_is_sent_elsewhere_does_not_count_as_written(server: DocumentServer) -> None:
    server.location = "https://replicell.invalid/moved"
    async with create_remote_persister(create_store().set_value("v", 1), server.url) as persister:
        with (
            server.failing(HTTPStatus.FOUND, to_write_only=True),
            pytest.raises(RemoteDocumentError, match=r"moved to https://replicell\.invalid/moved"),
        ):
            await persister.save()


async def test_a_server_that_is_away_is_told_and_waited_for(
    server: DocumentServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    store = create_store()
    options: dict[str, Any] = {"poll_interval": QUICKLY, "retry_delay": 0.002, "max_retry_delay": 0.05}
    async with create_remote_persister(store, server.url, on_error=errors.append, **options) as persister:
        await persister.start_auto_persisting()
        with server.failing(HTTPStatus.SERVICE_UNAVAILABLE):
            store.set_value("v", 1)
            await until(lambda: len(errors) > 2)
        await until(lambda: written(server) == [{}, {"v": 1}])
        await until(lambda: persister.status is Status.IDLE)
        write(server, {"todo": {"1": {"text": "Milk"}}})
        await until_store(store, lambda: store.has_row("todo", "1"))
    assert written(server)[0] == {"todo": {"1": {"text": "Milk"}}}
    assert all("503" in str(error) for error in errors)


async def test_an_address_where_nobody_answers_is_told_without_its_password(server: DocumentServer) -> None:
    server.close()
    address = server.url.replace("//", "//anna:secret@")
    async with create_remote_persister(create_store(), address) as persister:
        with pytest.raises(RemoteDocumentError, match="look whether the server runs") as caught:
            await persister.load()
    assert "secret" not in str(caught.value)


async def test_a_client_of_ones_own_is_not_closed(server: DocumentServer) -> None:
    async with httpx.AsyncClient() as client:
        async with create_remote_persister(
            create_store().set_value("v", 1), server.url, client=client
        ) as own:
            await own.save()
        assert not client.is_closed
    persister = create_remote_persister(create_store(), server.url, client=client)
    with pytest.raises(RemoteDocumentError, match="close the persister before it"):
        await persister.load()
    await persister.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load_url": "todo.json"}, "load_url must be an address that begins with http"),
        ({"load_url": "http://a", "save_url": "ftp://a/b"}, "save_url must be an address"),
        ({"load_url": "http://a:b"}, "load_url is not an address"),
        ({"load_url": "http://a", "poll_interval": 0}, "must be positive"),
        ({"load_url": "http://a", "timeout": -1}, "must be positive"),
        ({"load_url": "http://a", "method": "PATCH"}, "'POST' or 'PUT', not 'PATCH'"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RemotePersister(create_store(), **options)


async def test_headers_and_a_client_exclude_each_other(server: DocumentServer) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ConfigError, match="Give headers to the client"):
            create_remote_persister(create_store(), server.url, client=client, headers={})


TINYBASE = """
import {createStore} from 'tinybase';
import {createRemotePersister} from 'tinybase/persisters/persister-remote';

const store = createStore();
const url = process.argv[1];
const persister = createRemotePersister(store, url, url, 0.02);
await persister.startAutoPersisting();
// While it loads, TinyBase forgets what is written.
const whenIdle = persister.addStatusListener(async (_, status) => {
  if (status == 0 && store.hasRow('todo', '1')) {
    persister.delListener(whenIdle);
    store.setCell('todo', '1', 'done', true);
    store.setCell('todo', '2', 'tags', ['from', {tiny: 'base'}]);
    await persister.save();
    await persister.destroy();
  }
});
console.log('listening');
"""


async def test_the_real_tinybase_at_the_same_address_reads_and_is_read(server: DocumentServer) -> None:
    if missing := why_missing():
        pytest.skip(missing)
    original = await asyncio.create_subprocess_exec(
        "node",
        "--input-type=module",
        "--eval",
        TINYBASE,
        server.url,
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
    )
    assert original.stdout is not None
    assert await original.stdout.readline() == b"listening\n"
    store = create_store()
    async with create_remote_persister(store, server.url, poll_interval=QUICKLY) as persister:
        await persister.start_auto_persisting()
        store.set_cell("todo", "1", "text", "Milk")
        await persister.flush()
        await until_store(store, lambda: store.get_row("todo", "1") == {"text": "Milk", "done": True})
        await until_store(store, lambda: store.get_cell("todo", "2", "tags") == ["from", {"tiny": "base"}])
    assert await original.wait() == 0
