"""`replicell.open`: everything with one call, for programs with an event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

import replicell
from replicell.app import AppClosedError, AppOptionsError, NoServerError
from replicell.persisters import DatabaseBusyError, DatabaseDamagedError
from replicell.persisters.errors import ExtensionNotFoundError
from replicell.store import InvalidCellError, Store
from replicell.sync import SyncError, SyncStatus, SyncTimeoutError
from tests.persisters.waiting_for import until, until_store

NOBODY = "ws://127.0.0.1:9/room"
"""An address at which no server listens."""


@dataclasses.dataclass
class Todo:
    text: str
    done: bool = False


async def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    async with replicell.open(path, tables={"todo": Todo}) as app:
        app.store.set_row("todo", "1", {"text": "Milk"}).set_value("theme", "dark")
        assert app.sync is None
    async with replicell.open(path, tables={"todo": Todo}) as app:
        assert app.store.get_content() == (
            {"todo": {"1": {"text": "Milk", "done": False}}},
            {"theme": "dark"},
        )


async def test_after_a_flush_others_find_it_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    async with replicell.open(path, tables=["todo"]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        await app.flush()
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
            assert reader.execute("SELECT _id, text FROM todo").fetchall() == [("1", "Milk")]


async def test_it_may_be_awaited_and_closed_by_hand(tmp_path: Path) -> None:
    app = await replicell.open(tmp_path / "todo.db", tables=["todo"])
    assert app.is_open
    assert "open" in repr(app)
    app.store.set_row("todo", "1", {"text": "Milk"})
    await app.close()
    await app.close()
    assert not app.is_open
    assert not app.database.is_open
    with pytest.raises(AppClosedError, match="open it again"):
        await app.flush()
    async with await replicell.open(tmp_path / "todo.db", tables=["todo"]) as again:
        assert again.store.get_row("todo", "1") == {"text": "Milk"}


async def test_one_opening_opens_once(tmp_path: Path) -> None:
    opening = replicell.open(tmp_path / "todo.db", tables=["todo"])
    async with opening:
        with pytest.raises(AppOptionsError, match="for another"):
            await opening


async def test_what_was_written_before_an_exception_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with pytest.raises(ZeroDivisionError):
        async with replicell.open(path, tables=["todo"]) as app:
            app.store.set_row("todo", "1", {"text": "Milk"})
            raise ZeroDivisionError
    async with replicell.open(path, tables=["todo"]) as app:
        assert app.store.get_row_ids("todo") == ["1"]


async def test_what_was_written_before_a_cancellation_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    written = asyncio.Event()

    async def program() -> None:
        async with replicell.open(path, tables=["todo"]) as app:
            app.store.set_row("todo", "1", {"text": "Milk"})
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(program())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with replicell.open(path, tables=["todo"]) as app:
        assert app.store.get_row_ids("todo") == ["1"]


async def test_two_programs_share_a_room(tmp_path: Path, room: str) -> None:
    async with (
        replicell.open(tmp_path / "a.db", tables=["todo"], server=room) as a,
        replicell.open(tmp_path / "b.db", tables=["todo"], server=room) as b,
    ):
        a.store.set_row("todo", "1", {"text": "Milk"}).set_value("theme", "dark")
        # What the other one does at its start may make it busy once more.
        await a.wait_until_synced(20)
        while a.status.sync is not SyncStatus.SYNCED:
            await a.wait_until_synced(20)
        assert a.status == (None, SyncStatus.SYNCED, "")
        await b.wait_until_synced(20)
        assert b.store.get_content() == a.store.get_content()
        b.store.set_cell("todo", "1", "done", True)
        await until_store(a.store, lambda: a.store.get_cell("todo", "1", "done") is True)


async def test_the_last_change_reaches_a_connected_server_before_the_end(tmp_path: Path, room: str) -> None:
    async with replicell.open(tmp_path / "a.db", tables=["todo"], server=room) as a:
        await a.wait_until_synced(20)
        a.store.set_row("todo", "1", {"text": "Milk"})
    async with replicell.open(":memory:", tables=["todo"], server=room) as b:
        await b.wait_until_synced(20)
        assert b.store.get_row_ids("todo") == ["1"]


async def test_a_server_that_is_away_is_no_error_and_is_not_waited_for(tmp_path: Path) -> None:
    async with asyncio.timeout(10):
        async with replicell.open(tmp_path / "a.db", tables=["todo"], server=NOBODY) as app:
            app.store.set_row("todo", "1", {"text": "Milk"})
            await app.flush()
            assert app.status.sync in (SyncStatus.CONNECTING, SyncStatus.OFFLINE)
            with pytest.raises(SyncTimeoutError):
                await app.wait_until_synced(0.05)


async def test_of_several_servers_one_that_is_there_will_do(tmp_path: Path, room: str) -> None:
    async with replicell.open(tmp_path / "a.db", tables=["todo"], server=[NOBODY, room]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        await app.wait_until_synced(20)
        assert app.sync is not None
        assert app.sync.url == room


async def test_an_app_that_was_just_opened_is_connecting(tmp_path: Path) -> None:
    async with replicell.open(tmp_path / "a.db", tables=["todo"], server=NOBODY) as app:
        assert app.status == (None, SyncStatus.CONNECTING, "")


async def test_without_a_server_there_is_nobody_to_wait_for() -> None:
    async with replicell.open(":memory:", tables=["todo"]) as app:
        with pytest.raises(NoServerError, match="server="):
            await app.wait_until_synced()


async def test_a_store_of_ones_own_keeps_what_it_has_and_gets_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    async with replicell.open(path, tables=["todo"]) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
    store = Store(strict=True).set_tables_schema({"todo": {"text": {"type": "string"}}})
    store.set_row("todo", "2", {"text": "Bread"})
    async with replicell.open(path, store=store) as app:
        assert app.store is store
        assert store.get_table("todo") == {"1": {"text": "Milk"}, "2": {"text": "Bread"}}
    async with replicell.open(path, tables=["todo"]) as app:
        assert len(app.store.get_row_ids("todo")) == 2


async def test_a_strict_app_raises_where_something_would_be_dropped() -> None:
    async with replicell.open(":memory:", tables={"todo": Todo}, strict=True) as app:
        with pytest.raises(InvalidCellError):
            app.store.set_cell("todo", "1", "text", 1)


async def test_tables_in_memory_only_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "replicell.app"):
        async with replicell.open(":memory:", tables=["todo"]) as app:
            app.store.set_cell("tood", "1", "text", "Milk")
    assert "'tood' is in memory only" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"store": Store(), "tables": ["todo"], "strict": True}, AppOptionsError, r"Store\(strict=True\)"),
        ({"tables": ["todo"], "token": "secret"}, AppOptionsError, "server="),
        ({"tables": ["todo"], "farewell": -1}, AppOptionsError, "farewell"),
        ({"tables": ["todo"], "save_interval": float("nan")}, AppOptionsError, "save_interval"),
        ({"tables": ["todo"], "server": "http://here/room"}, SyncError, "ws://"),
        ({"tables": ["todo"], "server": []}, SyncError, "no address"),
        ({"tables": ["todo"], "server": ["ws://a/room", "ws://b/hall"]}, SyncError, "different rooms"),
        ({}, AppOptionsError, "tables"),
    ],
)
def test_options_are_checked_before_anything_is_opened(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        replicell.open(tmp_path / "todo.db", **options)
    assert list(tmp_path.iterdir()) == []


async def test_if_something_cannot_be_opened_what_was_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, text TEXT)")
    with pytest.raises(replicell.ReplicellError, match="todo"):
        await replicell.open(path, tables=["todo"])
    # Whoever forgot to close the database would be reported by a ResourceWarning, which is an error here.
    (tmp_path / "no.db").write_text("This is no database, and long enough for SQLite to see that." * 20)
    with pytest.raises(DatabaseDamagedError):
        await replicell.open(tmp_path / "no.db", tables=["todo"])


async def test_a_missing_extension_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRSQLITE_PATH", str(tmp_path / "nothing"))
    with pytest.raises(ExtensionNotFoundError, match="replicell extension install"):
        await replicell.open(tmp_path / "todo.db", tables=["todo"])


async def test_a_problem_with_the_file_is_told_and_gone_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    errors: list[Exception] = []
    async with replicell.open(path, tables=["todo"], on_error=errors.append) as app:
        app.store.set_row("todo", "1", {"text": "Milk"})
        await app.flush()
        assert app.status.problem is None
        await app.database.execute("PRAGMA busy_timeout = 20")
        with closing(apsw.Connection(str(path))) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            app.store.set_row("todo", "2", {"text": "Bread"})
            await until(lambda: errors)
            assert isinstance(app.status.problem, DatabaseBusyError)
            somebody.execute("ROLLBACK")
        await until(lambda: app.status.problem is None)
    assert all(isinstance(error, DatabaseBusyError) for error in errors)


def test_the_facade_imports_nothing_before_it_is_used() -> None:
    program = (
        "import sys, replicell\n"
        "assert 'open' in dir(replicell)\n"
        "assert not {'apsw', 'websockets', 'asyncio', 'replicell.app'} & set(sys.modules)\n"
        "assert callable(replicell.open) and 'replicell.app' in sys.modules\n"
        "assert not {'tkinter', 'pydantic', 'textual'} & set(sys.modules)\n"
        "try:\n    replicell.nothing\nexcept AttributeError as error:\n    assert 'nothing' in str(error)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
