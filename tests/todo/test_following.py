"""Two programs, two databases and a real server between them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import apsw
import pytest

from replicell.persisters import CrSqliteDatabase
from replicell.sync import SyncServer
from tests.todo.replica import Replica, running
from tests.todo.screen import lines, reason, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SyncServer]:
    async with SyncServer(tmp_path / "rooms", port=0) as server:
        yield server


@pytest.fixture
def room(server: SyncServer) -> str:
    return f"{server.url}/my-room"


@asynccontextmanager
async def anna_and_ben(folder: Path, room: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with AsyncExitStack() as stack:
        anna = await stack.enter_async_context(running(folder / "anna.db", room))
        ben = await stack.enter_async_context(running(folder / "ben.db", room))
        for replica in (anna, ben):
            await replica.is_connected_as("synced")
        yield anna, ben


async def test_each_sees_who_else_has_the_list_open(tmp_path: Path, room: str) -> None:
    async with running(tmp_path / "anna.db", room, me="Anna") as anna:
        await anna.is_connected_as("synced")
        async with running(tmp_path / "ben.db", room, me="Ben\x1b[2J") as ben:
            async with running(tmp_path / "somebody.db", room):
                await until(anna.pilot, lambda: "with Ben [2J and 1 other  ● " in lines(anna.app)[0])
                await until(ben.pilot, lambda: "with Anna and 1 other  ● " in lines(ben.app)[0])
            await until(ben.pilot, lambda: "with Anna  ● " in lines(ben.app)[0])
            await ben.do("s")
            await until(anna.pilot, lambda: "with" not in lines(anna.app)[0])
            await until(ben.pilot, lambda: "with" not in lines(ben.app)[0])
            await ben.do("s")
            await until(anna.pilot, lambda: "with Ben [2J  ● " in lines(anna.app)[0])


async def test_what_one_does_the_other_sees(tmp_path: Path, room: str) -> None:
    async with anna_and_ben(tmp_path, room) as (anna, ben):
        await anna.add("Buy milk", "Bake bread")
        await ben.becomes("Buy milk", "Bake bread")
        await ben.add("Call grandmother")
        await anna.becomes("Buy milk", "Bake bread", "Call grandmother")

        await ben.select("Buy milk")
        await ben.do("space")
        await anna.becomes("Bake bread", "Call grandmother", ("Buy milk", True))

        await anna.select("Bake bread")
        await anna.do("e", *"!!", "enter")
        await ben.becomes("Bake bread!!", "Call grandmother", ("Buy milk", True))

        await ben.select("Call grandmother")
        await ben.do("d")
        await anna.becomes("Bake bread!!", ("Buy milk", True))

        await anna.do("D", "y")
        await ben.becomes()
        assert "Nothing to do" in lines(ben.app)[2]


async def test_the_cursor_stays_on_its_todo_while_others_come_and_go(tmp_path: Path, room: str) -> None:
    async with anna_and_ben(tmp_path, room) as (anna, ben):
        await anna.add("one", "two", "three")
        await ben.becomes("one", "two", "three")
        await ben.select("two")

        await anna.select("one")
        await anna.do("d")
        await ben.becomes("two", "three")
        await until(ben.pilot, lambda: ben.cursor_line == "▌ ○ two")

        await anna.select("two")
        await anna.do("space")
        await ben.becomes("three", ("two", True))
        await until(ben.pilot, lambda: ben.cursor_line == "▌ ✔ two")

        await anna.do("d")
        await ben.becomes("three")
        await until(ben.pilot, lambda: ben.cursor_line == "▌ ○ three")


async def test_two_who_edit_apart_agree_when_they_are_back(tmp_path: Path, room: str) -> None:
    async with anna_and_ben(tmp_path, room) as (anna, ben):
        await anna.add("one", "two", "three")
        await ben.becomes("one", "two", "three")
        for replica in (anna, ben):
            await replica.do("s")
            await replica.is_connected_as("paused")

        await anna.select("one")
        await anna.do("e", *" (anna)", "enter")
        await anna.select("two")
        await anna.do("space")
        await anna.add("of anna")
        await ben.select("one")
        await ben.do("space")
        await ben.select("three")
        await ben.do("d")
        await ben.add("of ben")
        assert ben.todos == [("two", False), ("of ben", False), ("one", True)]

        for replica in (anna, ben):
            await replica.do("s")
        for replica in (anna, ben):
            await replica.becomes("of anna", "of ben", ("one (anna)", True), ("two", True))
            await replica.is_connected_as("synced")
        assert list(anna.app.todos) == list(ben.app.todos)


async def test_what_was_added_before_the_others_delete_all_and_unknown_to_them_stays(
    tmp_path: Path, room: str
) -> None:
    async with anna_and_ben(tmp_path, room) as (anna, ben):
        await anna.add("one", "two")
        await ben.becomes("one", "two")
        await anna.do("s")
        await anna.is_connected_as("paused")
        await anna.add("unseen")
        await ben.do("D", "y")
        await ben.becomes()
        await anna.do("s")
        for replica in (anna, ben):
            await replica.becomes("unseen")


async def test_the_state_shows_when_the_server_goes_and_when_it_is_back(tmp_path: Path) -> None:
    async with SyncServer(tmp_path / "rooms", port=0) as server:
        port = server.port
        async with AsyncExitStack() as stack:
            anna = await stack.enter_async_context(running(tmp_path / "anna.db", f"{server.url}/my-room"))
            await anna.is_connected_as("synced")
            assert reason(anna.app) == f"127.0.0.1:{port}/my-room"
            await server.close()
            await anna.is_connected_as("offline")
            assert reason(anna.app)
            await anna.add("written offline")

            async with SyncServer(tmp_path / "rooms", port=port) as again:
                await anna.is_connected_as("synced")
                ben = await stack.enter_async_context(running(tmp_path / "ben.db", f"{again.url}/my-room"))
                await ben.becomes("written offline")
                await stack.aclose()


async def test_a_refusal_is_shown_with_its_reason(tmp_path: Path) -> None:
    async with SyncServer(tmp_path / "rooms", port=0, tokens=["secret"]) as server:
        room = f"{server.url}/my-room"
        async with running(tmp_path / "anna.db", room, token="wrong") as anna:
            await anna.is_connected_as("refused")
            assert "token" in reason(anna.app)
        async with running(tmp_path / "anna.db", room, token="secret") as anna:
            await anna.is_connected_as("synced")


async def test_a_list_without_a_server_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path / "a.db") as anna:
        await anna.add("one", "two")
        await anna.select("one")
        await anna.do("space")
        await anna.becomes("two", ("one", True))
        assert anna.connection.endswith("local only")
    async with running(tmp_path / "a.db") as anna:
        await anna.becomes("two", ("one", True))
        await until(anna.pilot, lambda: anna.cursor_line == "▌ ○ two")


async def test_what_was_typed_last_is_with_the_server_when_the_program_has_ended(
    tmp_path: Path, room: str
) -> None:
    async with running(tmp_path / "anna.db", room) as anna:
        await anna.is_connected_as("synced")
        await anna.to_entry()
        await anna.press(*"typed last", "ctrl+c")
    async with running(tmp_path / "ben.db", room) as ben:
        await ben.becomes("typed last")


async def test_two_programs_on_one_file_follow_each_other(tmp_path: Path) -> None:
    async with running(tmp_path / "a.db") as one, running(tmp_path / "a.db") as other:
        await one.add("from one")
        await other.becomes("from one")
        await other.do("space")
        await one.becomes(("from one", True))


async def test_columns_that_another_program_added_are_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "a.db") as anna:
        await anna.add("one")
    async with CrSqliteDatabase(tmp_path / "a.db") as database:
        await database.run(add_priority)
    async with running(tmp_path / "a.db") as anna:
        await anna.becomes("one")
        await anna.do("space")
        await anna.becomes(("one", True))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("SELECT text, priority FROM todo").fetchall() == [("one", 7)]


def add_priority(connection: apsw.Connection) -> None:
    connection.execute("SELECT crsql_begin_alter('todo')").fetchall()
    connection.execute("ALTER TABLE todo ADD COLUMN priority")
    connection.execute("SELECT crsql_commit_alter('todo')").fetchall()
    connection.execute("UPDATE todo SET priority = 7")
