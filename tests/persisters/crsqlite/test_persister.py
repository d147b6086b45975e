"""A store and a cr-sqlite database stay the same, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters import (
    CrSqliteDatabase,
    CrSqlitePersister,
    PersisterClosedError,
    Status,
    create_crsqlite_persister,
)
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import MISSING, Store, create_store
from tests.persisters.crsqlite.slow_disk import Disk, disk
from tests.persisters.crsqlite.todo_files import CONFIG, persisting, rows
from tests.persisters.waiting_for import until, until_store

UPSERT = "INSERT INTO todo (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text"


@pytest.fixture
async def db(file: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(file) as database:
        yield database


@pytest.fixture
def slow_disk() -> Iterator[Disk]:
    with disk("slow", delay=0.002) as slow:
        yield slow


def create(store: Store, db: CrSqliteDatabase, **options: Any) -> CrSqlitePersister:
    return create_crsqlite_persister(store, db, CONFIG, **options)


# ----------------------------------------------------------------------------------- nothing is lost


async def test_20_of_20_rows_survive_written_10_ms_apart_with_auto_load_and_auto_save_on_a_slow_disk(
    file: Path, slow_disk: Disk
) -> None:
    store = create_store()
    async with persisting(file, store, vfs=slow_disk.name) as persister:
        for number in range(20):
            store.set_row("todo", str(number), {"text": f"todo {number}"})
            await asyncio.sleep(0.01)
        await persister.flush()
        assert len(await rows(persister.database)) == 20
    assert store.get_row_count("todo") == 20
    assert slow_disk.writes > 20
    async with persisting(file) as persister:
        assert persister.get_store().get_table("todo") == store.get_table("todo")


async def test_starting_both_on_an_empty_database_with_a_filled_store_keeps_the_store(
    db: CrSqliteDatabase,
) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"}).set_value("open", True)
    content = store.get_content()
    persister = create(store, db)
    await persister.start_auto_load()
    await persister.start_auto_save()
    assert store.get_content() == content
    assert await rows(db) == [("1", "Milk")]
    assert await rows(db, "settings") == [("_", "\ufffdtrue")]


async def test_loading_an_empty_database_never_wipes_a_store(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"}).set_value("open", True)
    content = store.get_content()
    await create(store, db).load()
    await db.run(create_table, TableSchema("todo", ("id",), ("text",)))
    await create(store, db).load()
    assert store.get_content() == content


async def test_rows_the_database_never_had_are_kept_beside_those_it_has(db: CrSqliteDatabase) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("text",)))
    await db.execute(UPSERT, ("1", "in the database"))
    store = (
        create_store().set_row("todo", "1", {"text": "in the store"}).set_row("todo", "2", {"text": "new"})
    )
    await create(store, db).start_auto_persisting()
    assert store.get_table("todo") == {"1": {"text": "in the database"}, "2": {"text": "new"}}
    assert await rows(db) == [("1", "in the database"), ("2", "new")]


async def test_changes_made_before_anything_was_started_survive(db: CrSqliteDatabase) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("text",)))
    await db.execute(UPSERT, ("1", "Milk"))
    store = create_store()
    persister = create(store, db)
    store.set_row("todo", "1", {"text": "Bread"})
    await persister.start_auto_persisting()
    assert store.get_table("todo") == {"1": {"text": "Bread"}}
    assert await rows(db) == [("1", "Bread")]


async def test_a_dirty_cell_wins_over_a_load_in_flight(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "done": False})
    persister = await create(store, db).start_auto_persisting()
    release = threading.Event()
    blocked = db.read(lambda _: release.wait(10))
    foreign = db.execute("UPDATE todo SET text = 'Bread', done = 'later'")
    writing = asyncio.ensure_future(foreign)
    loading = asyncio.ensure_future(persister.load())
    await asyncio.sleep(0)
    store.set_cell("todo", "1", "text", "Butter")
    release.set()
    await asyncio.gather(blocked, writing, loading)
    await persister.flush()
    assert store.get_row("todo", "1") == {"text": "Butter", "done": "later"}
    assert await rows(db) == [("1", "Butter", "later")]


async def test_a_load_does_not_bring_back_a_row_whose_deletion_is_unsaved(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create(store, db).start_auto_persisting()
    await persister.stop_auto_save()
    store.del_row("todo", "1")
    await db.execute(UPSERT, ("1", "Bread"))
    await persister.load()
    assert not store.has_row("todo", "1")
    await persister.start_auto_save()
    assert await rows(db) == []


async def test_edits_of_both_sides_meet_cell_by_cell(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "done": False})
    persister = await create(store, db).start_auto_persisting()
    await persister.stop_auto_load()
    store.set_cell("todo", "1", "done", True)
    await db.execute(UPSERT, ("1", "Bread"))
    await persister.start_auto_load()
    await persister.flush()
    assert store.get_row("todo", "1") == {"text": "Bread", "done": True}
    assert await rows(db) == [("1", "Bread", "\ufffdtrue")]


@pytest.mark.parametrize("is_loading", [True, False], ids=["auto-loading", "saving only"])
async def test_a_row_deleted_by_others_under_an_unsaved_edit_is_saved_back_whole(
    db: CrSqliteDatabase, is_loading: bool
) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "done": False})
    persister = await create(store, db).start_auto_persisting()
    if not is_loading:
        await persister.stop_auto_load()
    release = threading.Event()
    blocked = db.read(lambda _: release.wait(10))
    deleting = asyncio.ensure_future(db.execute("DELETE FROM todo"))
    await asyncio.sleep(0)
    store.set_cell("todo", "1", "done", True)
    release.set()
    await asyncio.gather(blocked, deleting)
    await persister.flush()
    assert store.get_row("todo", "1") == {"text": "Milk", "done": True}
    assert await rows(db) == [("1", "Milk", "\ufffdtrue")]


async def test_a_row_deleted_by_others_goes_from_the_store(db: CrSqliteDatabase) -> None:
    store = create_store().set_table("todo", {"1": {"text": "Milk"}, "2": {"text": "Bread"}})
    await create(store, db).start_auto_persisting()
    await db.execute("DELETE FROM todo WHERE id = '1'")
    await until_store(store, lambda: not store.has_row("todo", "1"))
    assert store.get_table("todo") == {"2": {"text": "Bread"}}


async def test_rows_deleted_while_the_persister_was_away_go_with_the_first_load(db: CrSqliteDatabase) -> None:
    store = create_store().set_table("todo", {"1": {"text": "Milk"}, "2": {"text": "Bread"}})
    persister = await create(store, db).start_auto_persisting()
    await persister.close()
    await db.execute("DELETE FROM todo WHERE id = '1'")
    await create(store, db).start_auto_persisting()
    assert store.get_table("todo") == {"2": {"text": "Bread"}}


async def test_closing_the_persister_or_the_database_saves_what_is_unsaved(file: Path) -> None:
    for row_id in ("persister", "database"):
        async with CrSqliteDatabase(file) as db:
            store = create_store()
            persister = await create(store, db).start_auto_persisting()
            store.set_row("todo", row_id, {"text": "last"})
            if row_id == "persister":
                await persister.close()
        async with CrSqliteDatabase(file) as db:
            assert (row_id, "last") in await rows(db)


async def test_a_closed_persister_lets_go_of_the_store_and_says_that_it_is_closed(
    db: CrSqliteDatabase,
) -> None:
    store = create_store()
    persister = await create(store, db).start_auto_persisting()
    await persister.close()
    await persister.destroy()
    store.set_row("todo", "1", {"text": "unsaved"})
    for call in (persister.load, persister.save, persister.flush, persister.start_auto_load):
        with pytest.raises(PersisterClosedError, match="create a new one"):
            await call()
    assert await db.execute("SELECT name FROM sqlite_schema WHERE name = 'todo'") == []


async def test_a_transaction_left_open_across_a_load_can_still_be_rolled_back(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    await create(store, db).start_auto_persisting()
    store.start_transaction()
    store.set_cell("todo", "1", "done", True)
    await db.execute(UPSERT, ("1", "Bread"))
    await until(lambda: store.get_cell("todo", "1", "text") == "Bread")
    store.finish_transaction(lambda _: True)
    await until_store(store, lambda: store.get_row("todo", "1") == {"text": "Bread"})
    assert await rows(db) == [("1", "Bread")]


# ----------------------------------------------------------------------------------- no echo


async def test_what_was_saved_is_not_loaded_and_what_was_loaded_is_not_saved(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister = await create(store, db).start_auto_persisting()
    before = persister.get_stats()
    for number in range(10):
        store.set_row("todo", str(number), {"text": "mine"})
        await persister.flush()
    await db.read(lambda _: None)
    assert persister.get_stats() == {"loads": before["loads"], "saves": before["saves"] + 10}
    for number in range(10):
        await db.execute(UPSERT, (str(number), f"theirs {number}"))
        await until_store(store, lambda: store.get_cell("todo", str(number), "text") == f"theirs {number}")  # noqa: B023 - awaited within the round
    await persister.flush()
    assert persister.get_stats()["saves"] == before["saves"] + 10
    assert persister.get_stats()["loads"] <= before["loads"] + 10


async def test_two_stores_on_one_database_follow_each_other_and_come_to_rest(db: CrSqliteDatabase) -> None:
    one, other = create_store(), create_store()
    first = await create(one, db).start_auto_persisting()
    second = await create(other, db).start_auto_persisting()
    one.set_row("todo", "1", {"text": "Milk"})
    await until_store(other, lambda: other.has_row("todo", "1"))
    other.set_cell("todo", "1", "done", True)
    await until_store(one, lambda: one.has_cell("todo", "1", "done"))
    await first.flush()
    await second.flush()
    assert one.get_content() == other.get_content()
    assert (first.get_stats()["saves"], second.get_stats()["saves"]) == (1, 1)
    assert (await db.execute("SELECT max(db_version) FROM crsql_changes")) == [(2,)]


async def test_what_a_mutator_makes_of_a_load_is_an_edit_and_saved(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create(store, db).start_auto_persisting()

    def shout(
        store: Store, table_id: str, row_id: str, cell_id: str, new: Any, old: Any, change: Any
    ) -> None:
        if isinstance(new, str):
            store.set_cell(table_id, row_id, cell_id, new.upper())

    store.add_cell_listener("todo", None, "text", shout, True)
    await db.execute(UPSERT, ("1", "bread"))
    await until_store(store, lambda: store.get_cell("todo", "1", "text") == "BREAD")
    await persister.flush()
    assert await rows(db) == [("1", "BREAD")]


@pytest.mark.parametrize(
    "sql", ["INSERT INTO todo VALUES ('2', 'Bread')", "UPDATE todo SET text = 'Tea'", "DELETE FROM todo"]
)
async def test_what_a_mutator_undoes_of_a_load_is_undone_in_the_database_too(
    db: CrSqliteDatabase, sql: str
) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create(store, db).start_auto_persisting()
    is_undone = asyncio.Event()

    def undo(store: Store, *_: Any) -> None:
        store.set_table("todo", {"1": {"text": "Milk"}})
        is_undone.set()

    store.add_table_listener("todo", undo, True)
    await db.execute(sql)
    async with asyncio.timeout(10):
        await is_undone.wait()
    await persister.flush()
    assert store.get_table("todo") == {"1": {"text": "Milk"}}
    assert await rows(db) == [("1", "Milk")]


async def test_defaults_that_a_schema_adds_to_a_load_are_not_saved_over_others_cells(
    db: CrSqliteDatabase,
) -> None:
    store = create_store().set_tables_schema(
        {"todo": {"text": {"type": "string"}, "done": {"type": "boolean", "default": False}}}
    )
    persister = await create(store, db).start_auto_persisting()
    await db.run(create_table, TableSchema("todo", ("id",), ("text", "done")))
    await db.execute(UPSERT, ("1", "Milk"))
    await until_store(store, lambda: store.has_row("todo", "1"))
    await persister.flush()
    assert store.get_row("todo", "1") == {"text": "Milk", "done": False}
    assert await rows(db) == [("1", "Milk", None)]
    await db.execute(UPSERT, ("1", "Bread"))
    await until_store(store, lambda: store.get_cell("todo", "1", "text") == "Bread")
    assert store.get_row("todo", "1") == {"text": "Bread", "done": False}


# ----------------------------------------------------------------------------------- only what changed


async def test_all_transactions_since_the_last_write_go_into_one(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "0", {"text": "first"})
    persister = await create(store, db).start_auto_persisting()
    saves = persister.get_stats()["saves"]
    version = (await db.execute("SELECT max(db_version) FROM crsql_changes"))[0][0]
    for number in range(1000):
        store.set_row("todo", str(number), {"text": str(number)})
    await persister.flush()
    assert persister.get_stats()["saves"] == saves + 2
    assert await db.execute("SELECT max(db_version) FROM crsql_changes") == [(version + 2,)]
    assert await db.execute("SELECT count(*) FROM todo") == [(1000,)]


async def test_only_edited_cells_are_written(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "done": False})
    persister = await create(store, db).start_auto_persisting()
    store.set_cell("todo", "1", "done", True)
    await persister.flush()
    versions = await db.execute("SELECT cid, col_version FROM crsql_changes WHERE \"table\" = 'todo'")
    assert dict(versions) == {"text": 1, "done": 2}


async def test_deleted_cells_become_null_and_deleted_rows_go(db: CrSqliteDatabase) -> None:
    store = create_store().set_table("todo", {"1": {"text": "Milk", "done": False}, "2": {"text": "Bread"}})
    persister = await create(store, db).start_auto_persisting()
    store.del_cell("todo", "1", "done").del_row("todo", "2")
    await persister.flush()
    assert await rows(db) == [("1", "Milk", None)]
    store.del_table("todo")
    await persister.flush()
    assert await rows(db) == []


async def test_no_statement_scans_the_table_when_one_row_is_loaded_or_saved(db: CrSqliteDatabase) -> None:
    store = create_store().set_table("todo", {str(n): {"text": f"todo {n}"} for n in range(2000)})
    persister = await create(store, db).start_auto_persisting()
    plans: list[tuple[str, str]] = []

    def trace(connection: apsw.Connection) -> None:
        def explain(cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
            if sql.startswith(("SELECT", "INSERT", "DELETE")):
                connection.exec_trace = None
                explained = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings).fetchall()
                connection.exec_trace = explain
                plans.extend((sql, str(step[3])) for step in explained)
            return True

        connection.exec_trace = explain

    await db.run(trace)
    await db.execute(UPSERT, ("5", "changed"))
    await until_store(store, lambda: store.get_cell("todo", "5", "text") == "changed")
    store.set_cell("todo", "6", "text", "changed too")
    await persister.flush()
    assert any("todo__crsql_clock_dbv_idx" in step for _, step in plans)
    small = ("crsql_master", "settings", "SUBQUERY", "CONSTANT ROW", "SCAN (")
    scans = [
        (sql, step) for sql, step in plans if step.startswith("SCAN") and not any(s in step for s in small)
    ]
    assert scans == []


async def test_40000_rows_in_one_transaction_save(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister = await create(store, db).start_auto_persisting()
    store.set_table("todo", {str(number): {"n": number} for number in range(40_000)})
    await persister.flush()
    assert await db.execute("SELECT count(*), sum(n) FROM todo") == [(40_000, 799_980_000)]
    assert persister.get_stats() == {"loads": 1, "saves": 1}
    fresh = create_store()
    await create(fresh, db).load()
    assert fresh.get_table("todo") == store.get_table("todo")


async def test_40000_rows_more_in_a_table_that_is_there(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "first", {"n": -1})
    persister = await create(store, db).start_auto_persisting()
    store.set_table("todo", {str(number): {"n": number} for number in range(40_000)})
    await persister.flush()
    assert await db.execute("SELECT count(*), sum(n) FROM todo") == [(40_000, 799_980_000)]


# ----------------------------------------------------------------------------------- only what is configured


async def test_only_mapped_tables_and_values_are_touched_on_both_sides(db: CrSqliteDatabase) -> None:
    config = {
        "mode": "tabular",
        "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}},
        "values": {"load": ["open"], "save": ["open"], "tableName": "settings"},
    }
    await db.run(create_table, TableSchema("other", ("id",), ("a",)))
    await db.execute("INSERT INTO other VALUES ('1', 2)")
    await db.run(create_table, TableSchema("settings", ("_id",), ("theirs", "open")))
    await db.execute("INSERT INTO settings VALUES ('_', 'kept', 1)")
    store = create_store().set_row("mine", "1", {"a": 1}).set_values({"open": 2, "private": 3})
    persister = create_crsqlite_persister(store, db, config)
    await persister.start_auto_persisting()
    assert store.get_content() == ({"mine": {"1": {"a": 1}}}, {"open": 1, "private": 3})
    store.set_row("mine", "2", {"a": 2}).set_values({"open": 5, "private": 6}).set_row("todo", "1", {"a": 1})
    await persister.flush()
    assert await rows(db, "other") == [("1", 2)]
    assert await rows(db, "settings") == [("_", "kept", 5)]
    await db.execute("DELETE FROM todo")
    await until_store(store, lambda: not store.has_table("todo"))
    assert store.get_table("mine") == {"1": {"a": 1}, "2": {"a": 2}}


async def test_a_table_may_be_loaded_from_one_place_and_saved_to_another(db: CrSqliteDatabase) -> None:
    config = {"mode": "tabular", "tables": {"load": {"source": "t"}, "save": {"t": "target"}}}
    await db.run(create_table, TableSchema("source", ("_id",), ("a",)))
    await db.execute("INSERT INTO source VALUES ('1', 10)")
    store = create_store()
    persister = create_crsqlite_persister(store, db, config)
    await persister.start_auto_persisting()
    await db.execute("INSERT INTO source VALUES ('2', 20)")
    await until_store(store, lambda: store.has_row("t", "2"))
    await persister.flush()
    assert await rows(db, "target") == [("1", 10), ("2", 20)]
    store.set_cell("t", "1", "a", 11)
    await persister.flush()
    assert await rows(db, "target") == [("1", 11), ("2", 20)]
    assert await rows(db, "source") == [("1", 10), ("2", 20)]


async def test_values_follow_both_ways(db: CrSqliteDatabase) -> None:
    store = create_store().set_values({"open": True, "count": 3})
    persister = await create(store, db).start_auto_persisting()
    store.set_value("count", 4).del_value("open")
    await persister.flush()
    assert await db.execute("SELECT _id, count, open FROM settings") == [("_", 4, None)]
    await db.execute("UPDATE settings SET count = NULL, open = ?", ("\ufffd[1]",))
    await until_store(store, lambda: store.get_values() == {"open": [1]})
    await db.execute("DELETE FROM settings")
    await until_store(store, lambda: not store.has_values())


async def test_initial_content_is_for_an_empty_database_and_an_empty_store(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("unmapped", "1", {"a": 1})
    persister = create(store, db)
    await persister.start_auto_load(({"todo": {"1": {"text": "Welcome"}}}, {"open": True}))
    await persister.start_auto_save()
    assert store.get_row("todo", "1") == {"text": "Welcome"}
    assert store.has_table("unmapped")
    assert await rows(db) == [("1", "Welcome")]
    fresh = create_store()
    await create(fresh, db).load(lambda: ({"todo": {"2": {"text": "Not needed"}}}, {}))
    assert fresh.get_content() == ({"todo": {"1": {"text": "Welcome"}}}, {"open": True})
    filled = create_store().set_row("todo", "9", {"text": "mine"})
    async with CrSqliteDatabase(":memory:") as empty:
        await create(filled, empty).load(({"todo": {"2": {"text": "Not needed"}}}, {}))
    assert filled.get_tables() == {"todo": {"9": {"text": "mine"}}}


# ----------------------------------------------------------------------------------- starting and stopping


async def test_loading_and_saving_start_and_stop_apart(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister = create(store, db)
    assert (persister.is_auto_loading(), persister.is_auto_saving()) == (False, False)
    assert await persister.start_auto_save() is persister
    assert (persister.is_auto_loading(), persister.is_auto_saving()) == (False, True)
    store.set_row("todo", "1", {"text": "Milk"})
    assert await persister.stop_auto_save() is persister
    assert await rows(db) == [("1", "Milk")]
    store.set_row("todo", "2", {"text": "Bread"})
    await db.read(lambda _: None)
    assert await rows(db) == [("1", "Milk")]
    await db.execute(UPSERT, ("1", "Butter"))
    assert await persister.load() is persister
    assert store.get_table("todo") == {"1": {"text": "Butter"}, "2": {"text": "Bread"}}
    await persister.save()
    assert await rows(db) == [("1", "Butter"), ("2", "Bread")]
    assert persister.get_store() is store


async def test_auto_persisting_stops_as_a_whole_if_one_half_cannot_start(db: CrSqliteDatabase) -> None:
    await db.execute("CREATE TABLE todo (a)")
    persister = create(create_store(), db)
    for save_first in (False, True):
        with pytest.raises(Exception, match="adopt_table"):
            await persister.start_auto_persisting(start_save_first=save_first)
        assert (persister.is_auto_loading(), persister.is_auto_saving()) == (False, False)


async def test_the_status_is_told_when_it_changes(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = create(store, db)
    told: list[tuple[object, Status]] = []
    listener_id = persister.add_status_listener(lambda which, status: told.append((which, status)))
    assert persister.status is Status.IDLE
    await persister.load()
    await persister.save()
    assert [status for _, status in told] == [Status.LOADING, Status.IDLE, Status.SAVING, Status.IDLE]
    assert {which for which, _ in told} == {persister}
    assert persister.get_status() is Status.IDLE
    persister.del_listener(listener_id).del_listener("unknown")
    await persister.load()
    assert len(told) == 4


async def test_a_status_listener_may_write_to_the_store(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister = await create(store, db).start_auto_persisting()
    persister.add_status_listener(lambda _, status: store.set_cell("unmapped", "1", "status", status.name))
    store.set_row("todo", "1", {"text": "Milk"})
    await persister.flush()
    assert store.get_cell("unmapped", "1", "status", MISSING) == "IDLE"


async def test_a_persister_is_a_context_manager(db: CrSqliteDatabase) -> None:
    store = create_store()
    async with create(store, db) as persister:
        await persister.start_auto_persisting()
        store.set_row("todo", "1", {"text": "Milk"})
    assert await rows(db) == [("1", "Milk")]
