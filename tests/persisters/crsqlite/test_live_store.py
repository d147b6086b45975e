"""A store that follows a whole database: all tables that are there, and those that come, from both sides."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, DatabaseFullError
from replicell.persisters.crsqlite.live_store import LiveStore
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store
from tests.persisters.waiting_for import until_store

TODO = TableSchema("todo", ("id",), ("text",))


@asynccontextmanager
async def following(db: CrSqliteDatabase, **options: Any) -> AsyncIterator[Store]:
    live = LiveStore(db, **options)
    await live.open()
    try:
        yield live.store
        await live.flush()
    finally:
        await live.close()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(tmp_path / "room.db") as opened:
        yield opened


class TestLiveStore:
    async def test_it_has_what_is_there_and_what_is_written_by_either_side(
        self, db: CrSqliteDatabase
    ) -> None:
        await db.run(create_table, TODO)
        await db.execute("INSERT INTO todo VALUES ('1', 'Buy milk')")
        async with following(db) as store:
            assert store.get_tables() == {"todo": {"1": {"text": "Buy milk"}}}
            await db.execute("INSERT INTO todo VALUES ('2', 'Call Ben')")
            await until_store(store, lambda: store.has_row("todo", "2"))
            store.set_cell("todo", "1", "text", "Buy oat milk")
            store.set_value("theme", "dark")
        rows = await db.execute("SELECT * FROM todo ORDER BY id")
        assert rows == [("1", "Buy oat milk"), ("2", "Call Ben")]
        assert await db.execute("SELECT theme FROM tinybase_values") == [("dark",)]

    async def test_a_table_that_is_made_in_the_store_is_made_in_the_database(
        self, db: CrSqliteDatabase
    ) -> None:
        async with following(db, row_id_column="id") as store:
            store.set_row("counts", "home", {"open": 3})
        assert await db.execute("SELECT id, open FROM counts") == [("home", 3)]
        async with following(db) as store:
            # The key column of a table that is there is that of the database.
            assert store.get_tables() == {"counts": {"home": {"open": 3}}}
            store.set_cell("counts", "home", "open", 4)
        assert await db.execute("SELECT id, open FROM counts") == [("home", 4)]

    async def test_a_table_that_is_made_while_a_listener_fails_is_followed_all_the_same(
        self, db: CrSqliteDatabase
    ) -> None:
        def fail(*_: object) -> None:
            raise ValueError("a listener")

        def derive(store: Store, *_: object) -> None:
            store.set_row("counts", "home", {"open": store.get_row_count("todo")})

        live = LiveStore(db, row_id_column="id")
        await live.open()
        live.store.add_row_listener("todo", None, fail)
        live.store.add_row_listener("todo", None, derive, True)
        await db.run(create_table, TODO)
        await db.execute("INSERT INTO todo VALUES ('1', 'Buy milk')")
        live.look_again()
        await live.flush()
        assert live.store.get_row("counts", "home") == {"open": 1}
        assert await db.execute("SELECT id, open FROM counts") == [("home", 1)]
        await live.close()

    async def test_a_table_that_comes_into_the_database_comes_into_the_store_once_it_is_told(
        self, db: CrSqliteDatabase
    ) -> None:
        live = LiveStore(db)
        await live.open()
        await db.run(create_table, TODO)
        await db.execute("INSERT INTO todo VALUES ('1', 'Buy milk')")
        live.look_again()
        await live.flush()
        assert live.store.get_tables() == {"todo": {"1": {"text": "Buy milk"}}}
        await db.execute("UPDATE todo SET text = 'Buy oat milk'")
        await until_store(live.store, lambda: live.store.get_cell("todo", "1", "text") == "Buy oat milk")
        await live.close()

    async def test_an_opening_that_fails_leaves_nothing_behind_and_may_be_tried_again(
        self, db: CrSqliteDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        live = LiveStore(db)

        async def fail(_: CrSqlitePersister) -> None:
            await db.run(create_table, TODO)
            live.look_again()
            raise DatabaseFullError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(CrSqlitePersister, "start_auto_persisting", fail)
            with pytest.raises(DatabaseFullError):
                await live.open()
        await live.open()
        live.store.set_row("todo", "1", {"text": "Buy milk"})
        await live.close()
        assert await db.execute("SELECT * FROM todo") == [("1", "Buy milk")]
        assert caplog.messages == []

    async def test_nothing_is_lost_while_tables_come_and_everybody_writes(self, db: CrSqliteDatabase) -> None:
        await db.run(create_table, TODO)
        live = LiveStore(db)
        await live.open()
        store = live.store
        for number in range(20):
            store.set_row("todo", f"s{number}", {"text": "by the store"})
            store.set_row(f"table{number}", "1", {"number": number})
            await db.execute("INSERT INTO todo VALUES (?, 'by SQL')", (f"d{number}",))
        await live.flush()
        await until_store(store, lambda: store.get_row_count("todo") == 40)
        await live.close()
        assert await db.execute("SELECT count(*), count(DISTINCT text) FROM todo") == [(40, 2)]
        for number in range(20):
            assert await db.execute(f"SELECT number FROM table{number}") == [(number,)]

    async def test_what_no_store_can_hold_is_left_alone_and_named(
        self, db: CrSqliteDatabase, caplog: pytest.LogCaptureFixture
    ) -> None:
        await db.run(create_table, TODO)
        await db.execute("CREATE TABLE pairs(a TEXT NOT NULL, b TEXT NOT NULL, n, PRIMARY KEY (a, b))")
        await db.execute("SELECT crsql_as_crr('pairs')")
        await db.execute("CREATE TABLE plain(id TEXT PRIMARY KEY NOT NULL, n)")
        with caplog.at_level(logging.WARNING):
            async with following(db, name="room 'home'") as store:
                store.set_row("plain", "1", {"n": 1})
                store.set_row("Todo", "1", {"text": "another spelling"})
                store.set_row("crsql_x", "1", {"n": 1})
                store.set_row("good", "1", {"n": 1})
                store.set_row("todo", "1", {"text": "Buy milk"})
        assert await db.execute("SELECT * FROM good") == [("1", 1)]
        assert await db.execute("SELECT * FROM todo") == [("1", "Buy milk")]
        assert await db.execute("SELECT * FROM plain") == []
        messages = [record.getMessage() for record in caplog.records]
        for name in ("pairs", "plain", "Todo", "crsql_x"):
            assert sum(f"room 'home': table {name!r}" in message for message in messages) == 1

    @pytest.mark.parametrize(
        "table",
        [
            "CREATE TABLE tinybase_values(n)",
            "CREATE TABLE tinybase_values(id TEXT PRIMARY KEY NOT NULL, n)",
            "CREATE TABLE TinyBase_Values(_id TEXT PRIMARY KEY NOT NULL, n)",
        ],
    )
    async def test_where_the_table_of_the_values_is_another_one_the_values_alone_are_not_kept(
        self, db: CrSqliteDatabase, table: str
    ) -> None:
        await db.execute(table)
        name = table.split()[2].partition("(")[0]
        if "KEY" in table:
            await db.execute("SELECT crsql_as_crr(?)", (name,))
        async with following(db) as store:
            store.set_row("good", "1", {"n": 1})
            store.set_value("theme", "dark")
        assert await db.execute("SELECT * FROM good") == [("1", 1)]
        assert await db.execute(f"SELECT * FROM {name}") == []

    async def test_a_listener_that_fails_stops_nothing(
        self, db: CrSqliteDatabase, caplog: pytest.LogCaptureFixture
    ) -> None:
        await db.run(create_table, TODO)
        async with following(db, name="room 'home'") as store:

            def fail(*_: object) -> None:
                raise RuntimeError("a bug")

            store.add_row_listener("todo", "1", fail)
            await db.execute("INSERT INTO todo VALUES ('1', 'Buy milk')")
            await db.execute("INSERT INTO todo VALUES ('2', 'Call Ben')")
            await until_store(store, lambda: store.get_row_count("todo") == 2)
            store.set_cell("todo", "2", "text", "Call Anna")
        assert "room 'home': a bug" in caplog.text
        assert await db.execute("SELECT text FROM todo ORDER BY id") == [("Buy milk",), ("Call Anna",)]


class TestExtending:
    """`CrSqlitePersister.extend`: other tables as well, from now on."""

    async def test_what_both_sides_had_before_is_brought_together(self, db: CrSqliteDatabase) -> None:
        await db.run(create_table, TableSchema("pets", ("_id",), ("name",)))
        await db.execute("INSERT INTO pets VALUES ('1', 'Fido')")
        store = Store().set_row("pets", "2", {"name": "Felix"}).set_row("other", "1", {"n": 1})
        config = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}}}
        async with CrSqlitePersister(store, db, config) as persister:
            await persister.start_auto_persisting()
            tables = {"todo": "todo", "pets": "pets"}
            await persister.extend({"mode": "tabular", "tables": {"load": tables, "save": tables}})
            assert store.get_table("pets") == {"1": {"name": "Fido"}, "2": {"name": "Felix"}}
        assert await db.execute("SELECT * FROM pets ORDER BY _id") == [("1", "Fido"), ("2", "Felix")]
        assert await db.execute("SELECT name FROM sqlite_schema WHERE name = 'other'") == []
