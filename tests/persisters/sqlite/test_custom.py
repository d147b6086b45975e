"""A program's own connection, whatever library it is from."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import create_custom_sqlite_persister
from replicell.store import Store, create_store
from tests.persisters.waiting_for import until, until_store

CONFIG: dict[str, Any] = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}}}


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(file, isolation_level=None)
    yield opened
    opened.close()


async def test_the_standard_librarys_connection_works_both_ways(connection: sqlite3.Connection) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "done": True})
    async with create_custom_sqlite_persister(store, CONFIG, connection.execute) as persister:
        await persister.start_auto_persisting()
        assert connection.execute("SELECT * FROM todo").fetchall() == [("1", "Milk", "\ufffdtrue")]
        connection.execute("UPDATE todo SET text = 'Bread'")
        await until_store(store, lambda: store.get_cell("todo", "1", "text") == "Bread")


async def test_rows_that_break_a_rule_are_told_whatever_the_librarys_error(
    connection: sqlite3.Connection,
) -> None:
    connection.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, n CHECK (n < 10))")
    errors: list[Exception] = []
    store = create_store().set_table("todo", {"1": {"n": 50}, "2": {"n": 5}})
    async with create_custom_sqlite_persister(
        store, CONFIG, connection.execute, on_ignored_error=errors.append
    ) as persister:
        await persister.save()
    assert connection.execute("SELECT * FROM todo").fetchall() == [("2", 5)]
    assert [str(error).split(" stays")[0] for error in errors] == ["table 'todo', row '1'"]


async def test_a_failing_statement_rolls_everything_back(connection: sqlite3.Connection) -> None:
    fail = False

    def execute(sql: str, bindings: Any) -> Any:
        if fail and sql.startswith("INSERT"):
            raise OSError("the disk is gone")
        return connection.execute(sql, bindings)

    store = create_store().set_row("todo", "1", {"text": "Milk"})
    async with create_custom_sqlite_persister(store, CONFIG, execute) as persister:
        await persister.save()
        store.set_row("todo", "2", {"text": "Tea", "new": 1})
        fail = True
        with pytest.raises(OSError, match="the disk is gone"):
            await persister.save()
        assert not connection.in_transaction
        assert [row[1] for row in connection.execute("PRAGMA table_info(todo)")] == ["_id", "text"]
        fail = False
        await persister.save()
    assert connection.execute("SELECT * FROM todo").fetchall() == [("1", "Milk", None), ("2", "Tea", 1)]


async def test_many_rows_take_few_calls(connection: sqlite3.Connection) -> None:
    calls: list[str] = []

    def execute(sql: str, bindings: Any) -> Any:
        calls.append(sql)
        return connection.execute(sql, bindings)

    rows = {str(number): {"a": number, "b": f"text {number}"} for number in range(1_000)}
    store = create_store().set_table("todo", {**rows, "x": {"a": 1}})
    async with create_custom_sqlite_persister(store, CONFIG, execute) as persister:
        await persister.save()
        assert connection.execute("SELECT count(*), sum(a) FROM todo").fetchall() == [(1_001, 499_501)]
        store.del_table("todo")
        await persister.save()
    assert connection.execute("SELECT count(*) FROM todo").fetchone() == (0,)
    assert len([sql for sql in calls if sql.startswith("INSERT")]) == 5
    assert len([sql for sql in calls if sql.startswith("DELETE")]) == 2


async def test_empty_columns_and_tables_are_dropped_by_a_save_that_may(
    connection: sqlite3.Connection,
) -> None:
    save = {"tableName": "todo", "deleteEmptyColumns": True, "deleteEmptyTable": True}
    config = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": save}}}
    store = create_store().set_row("todo", "1", {"a": 1, "b": 2})
    async with create_custom_sqlite_persister(store, config, connection.execute) as persister:
        await persister.save()
        store.del_cell("todo", "1", "a")
        await persister.save()
        assert connection.execute("SELECT * FROM todo").fetchall() == [("1", 2)]
        store.del_table("todo")
        await persister.save()
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'todo'").fetchone() == (0,)


async def test_persisters_of_one_connection_share_a_lock(connection: sqlite3.Connection) -> None:
    async def execute(sql: str, bindings: Any) -> Any:
        await asyncio.sleep(0)
        return connection.execute(sql, bindings).fetchall()

    lock = asyncio.Lock()
    one, two = create_store(), create_store()
    json_config = {"mode": "json", "storeTableName": "whole"}
    async with (
        create_custom_sqlite_persister(one, CONFIG, execute, lock=lock) as first,
        create_custom_sqlite_persister(two, json_config, execute, lock=lock) as second,
    ):
        await asyncio.gather(first.start_auto_persisting(), second.start_auto_persisting())
        for number in range(20):
            one.set_row("todo", str(number), {"n": number})
            two.set_value(str(number), number)
            await asyncio.sleep(0)
        await asyncio.gather(first.flush(), second.flush())
        assert connection.execute("SELECT count(*) FROM todo").fetchall() == [(20,)]
        assert '"19":19' in connection.execute("SELECT store FROM whole").fetchone()[0]


def has_text(store: Store, text: str) -> bool:
    return store.get_cell("todo", "1", "text") == text


async def test_looking_for_others_writes_goes_on_after_an_error_that_is_told_once(
    connection: sqlite3.Connection,
) -> None:
    errors: list[Exception] = []
    failures: list[str] = []
    fail = False

    def execute(sql: str, bindings: Any) -> Any:
        if fail:
            failures.append(sql)
            raise OSError("not now")
        return connection.execute(sql, bindings)

    store = create_store().set_row("todo", "1", {"text": "Milk"})
    async with create_custom_sqlite_persister(
        store, CONFIG, execute, poll_interval=0.001, on_error=errors.append
    ) as persister:
        await persister.start_auto_persisting()
        for text in ("Bread", "Tea"):
            errors.clear()
            failures.clear()
            fail = True
            await until(lambda: len(failures) > 5)
            fail = False
            assert [str(error) for error in errors] == ["not now"]
            connection.execute("UPDATE todo SET text = ?", (text,))
            await until_store(store, partial(has_text, store, text))


def test_an_interval_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="poll_interval must be positive"):
        create_custom_sqlite_persister(create_store(), CONFIG, lambda *_: [], poll_interval=0)
