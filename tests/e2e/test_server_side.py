"""The servers of examples/server_side, as programs of their own, with real clients."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import replicell
from replicell.store import Store
from replicell.sync import RefusedChange
from tests.e2e.roads import PATIENCE, until

TABLES = ["todo", "lists"]


@asynccontextmanager
async def program(*words: str, **environment: str) -> AsyncIterator[str]:
    """Run a program until the block ends; gives the address that it says it listens on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "", **environment}, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = ""
            while "://" not in line:
                line = (await process.stdout.readline()).decode()
                assert line, "the program ended"
        yield next(word for word in line.split() if "://" in word)
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode in (0, -signal.SIGINT)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def open_app(name: str, room: str) -> Any:
            opening = replicell.open(
                tmp_path / f"{name}.db", tables=TABLES, server=room, row_id_column="id", values=False
            )
            return await stack.enter_async_context(opening)

        yield open_app


def lists(store: Store) -> dict[str, Any]:
    return store.get_table("lists")


def has_lists(store: Store, expected: dict[str, Any]) -> bool:
    return lists(store) == expected


async def test_the_counts_follow_what_all_clients_write(tmp_path: Path, opened: Callable[..., Any]) -> None:
    words = ("examples.server_side.counts", "--port", "0", "--data-dir", str(tmp_path / "rooms"))
    async with program(*words) as url:
        anna, ben = [await opened(name, f"{url}/home") for name in ("anna", "ben")]
        anna.store.set_row("todo", "1", {"text": "Buy milk", "list": "shop", "completed": False})
        ben.store.set_row("todo", "2", {"text": "Buy bread", "list": "shop", "completed": True})
        ben.store.set_row("todo", "3", {"text": "Rest"})
        expected: dict[str, Any] = {"shop": {"open": 1, "done": 1}, "inbox": {"open": 1, "done": 0}}
        for app in (anna, ben):
            await until(app.store, partial(has_lists, app.store, expected))
        ben.store.set_cell("todo", "1", "completed", True)
        ben.store.set_cell("todo", "3", "list", "shop")
        anna.store.del_row("todo", "2")
        await until(anna.store, lambda: lists(anna.store) == {"shop": {"open": 1, "done": 1}})
        await anna.wait_until_synced(PATIENCE)
    # Another start of the server counts on from there, with what was written meanwhile.
    async with program(*words) as url:
        carl = await opened("carl", f"{url}/home")
        await until(carl.store, lambda: lists(carl.store) == {"shop": {"open": 1, "done": 1}})
        carl.store.del_table("todo")
        await until(carl.store, lambda: lists(carl.store) == {})


async def test_what_breaks_the_rules_is_refused_with_the_reason(
    tmp_path: Path, opened: Callable[..., Any]
) -> None:
    words = ("examples.server_side.rules", "--port", "0", "--data-dir", str(tmp_path / "rooms"))
    async with program(*words) as url:
        anna, ben = [await opened(name, f"{url}/home") for name in ("anna", "ben")]
        refused: list[RefusedChange] = []
        anna.sync.add_refused_listener(lambda _, changes: refused.extend(changes))
        anna.store.set_row("todo", "1", {"text": "Buy milk", "completed": False})
        anna.store.set_row("todo", "2", {"text": " ", "completed": "perhaps"})
        anna.store.set_row("lists", "inbox", {"open": 7})
        await anna.wait_until_synced(PATIENCE)
        reasons = {(change.table, *change.key, change.column): change.reason for change in refused}
        assert reasons["todo", "2", "text"].endswith("a todo has a text")
        assert reasons["todo", "2", "completed"].endswith("a todo is completed or not")
        assert reasons["lists", "inbox", "open"].endswith("the server counts")
        await until(ben.store, lambda: ben.store.get_cell("lists", "inbox", "open") == 1)
        assert ben.store.get_table("todo") == {"1": {"text": "Buy milk", "completed": False}}


async def test_a_web_application_reads_and_writes_the_rooms_that_it_serves(
    tmp_path: Path, opened: Callable[..., Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = ("uvicorn", "examples.server_side.web:app", "--port", port)
    async with program(*words, ROOMS=str(tmp_path / "rooms")) as address:
        anna = await opened("anna", f"{address.replace('http', 'ws')}/sync/home")
        anna.store.set_row("todo", "1", {"text": "Buy milk", "list": "shop"})
        async with httpx.AsyncClient(base_url=address) as browser:
            answer = await browser.post("/lists/home", content="Call Ben")
            row_id = answer.json()["id"]
            await until(anna.store, lambda: anna.store.has_row("todo", row_id))
            assert anna.store.get_cell("todo", row_id, "text") == "Call Ben"
            await until(anna.store, lambda: len(lists(anna.store)) == 2)
            shown = (await browser.get("/lists/home")).json()
        assert shown == {"shop": {"open": 1, "done": 0}, "web": {"open": 1, "done": 0}}
