"""However writes, others' SQL, loads, saves and restarts fall together, all agree in the end."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.crsqlite.cells import encode_cell
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store, create_store
from replicell.store.cells import encode_cell as encode_for_store
from tests.persisters.crsqlite.todo_files import CONFIG
from tests.persisters.waiting_for import until

ROWS = ["1", "2", "3"]
CELLS = ["a", "b", "c"]
VALUES: list[Any] = [0, 1, 1.5, "x", True, False, None, {"k": [1]}, []]
STEPS = 40


class Story:
    """One random sequence of events, from a seed."""

    def __init__(self, file: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.file = file
        self.log: list[str] = []

    async def run(self) -> None:
        async with CrSqliteDatabase(self.file, poll_interval=0.002) as self.other:
            await self.other.run(create_table, TableSchema("todo", ("id",), ("a", "b")))
            self.db = await CrSqliteDatabase(self.file, poll_interval=0.002).open()
            self.store = create_store()
            self.errors: list[Exception] = []
            self.persister = await self.new_persister()
            steps = [self.write, self.write, self.write, self.delete, self.others_sql, self.pause, self.flush]
            steps += [self.transaction, self.others_delete, self.load, self.restart, self.toggle]
            for _ in range(STEPS):
                await self.random.choice(steps)()
            await self.settle()
            await self.db.close()

    async def new_persister(self) -> CrSqlitePersister:
        persister = create_crsqlite_persister(self.store, self.db, CONFIG, on_error=self.errors.append)
        return await persister.start_auto_persisting()

    def any_cell(self) -> tuple[str, str, Any]:
        choice = self.random.choice
        return choice(ROWS), choice(CELLS), choice(VALUES)

    async def write(self) -> None:
        row_id, cell_id, value = self.any_cell()
        self.log.append(f"store {row_id}.{cell_id} = {value!r}")
        self.store.set_cell("todo", row_id, cell_id, value)

    async def delete(self) -> None:
        row_id, cell_id, _ = self.any_cell()
        is_row = self.random.random() < 0.5
        self.log.append(f"store deletes {row_id}{'' if is_row else '.' + cell_id}")
        if is_row:
            self.store.del_row("todo", row_id)
        else:
            self.store.del_cell("todo", row_id, cell_id)

    async def transaction(self) -> None:
        with self.store.transaction():
            for _ in range(3):
                await self.random.choice([self.write, self.delete])()

    async def others_sql(self) -> None:
        row_id, cell_id, value = self.any_cell()
        cell_id = self.random.choice(["a", "b"])
        encoded = None if self.random.random() < 0.2 else encode_cell(encode_for_store(value))  # type: ignore[arg-type]  # all are cells
        sql = (
            f"INSERT INTO todo (id, {cell_id}) VALUES (?, ?) "
            f"ON CONFLICT DO UPDATE SET {cell_id} = excluded.{cell_id}"
        )
        self.log.append(f"SQL {row_id}.{cell_id} = {encoded!r}")
        database = self.random.choice([self.db, self.other])
        writing = asyncio.ensure_future(database.execute(sql, (row_id, encoded)))
        await self.maybe_wait(writing)

    async def others_delete(self) -> None:
        row_id = self.random.choice(ROWS)
        self.log.append(f"SQL deletes {row_id}")
        database = self.random.choice([self.db, self.other])
        writing = asyncio.ensure_future(database.execute("DELETE FROM todo WHERE id = ?", (row_id,)))
        await self.maybe_wait(writing)

    async def maybe_wait(self, writing: asyncio.Future[Any]) -> None:
        if self.random.random() < 0.5:
            await writing
        else:
            await asyncio.sleep(0)

    async def pause(self) -> None:
        for _ in range(self.random.randrange(5)):
            await asyncio.sleep(0)

    async def flush(self) -> None:
        self.log.append("flush")
        await self.persister.flush()

    async def load(self) -> None:
        self.log.append("load")
        await self.persister.load()

    async def toggle(self) -> None:
        self.log.append("auto-load off and on")
        await self.persister.stop_auto_load()
        await self.write()
        await self.others_sql()
        await self.persister.start_auto_load()

    async def restart(self) -> None:
        self.log.append("restart")
        await self.db.close()
        await self.db.open()
        self.store = create_store()
        self.persister = await self.new_persister()

    async def settle(self) -> None:
        await self.other.read(lambda _: None)
        await self.db.read(lambda _: None)
        async with asyncio.timeout(10):
            while True:
                await self.persister.load()
                await self.persister.flush()
                if self.store.get_table("todo") == await self.in_database():
                    break
        fresh = create_store()
        await create_crsqlite_persister(fresh, self.db, CONFIG).load()
        assert fresh.get_table("todo") == self.store.get_table("todo")
        assert self.errors == []

    async def in_database(self) -> dict[str, Any]:
        store: Store = create_store()
        reader = create_crsqlite_persister(store, self.db, CONFIG)
        await reader.load()
        await reader.close()
        return store.get_table("todo")


@pytest.mark.parametrize("seed", range(60))
async def test_store_and_database_agree_when_everything_has_settled(file: Path, seed: int) -> None:
    story = Story(file, seed)
    try:
        await story.run()
    except BaseException:
        print(*story.log, sep="\n")
        raise


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_was_flushed_and_not_edited_since_is_there(file: Path, seed: int) -> None:
    chance = random.Random(seed)
    store = create_store()
    expected: dict[str, Any] = {}
    async with CrSqliteDatabase(file) as db, CrSqliteDatabase(file) as other:
        persister = await create_crsqlite_persister(store, db, CONFIG).start_auto_persisting()
        for number in range(30):
            row: dict[str, Any] = {
                "text": f"todo {number}",
                "rank": chance.random(),
                "done": chance.random() < 0.5,
            }
            store.set_row("todo", str(number), row)
            expected[str(number)] = row
            if chance.random() < 0.3:
                await persister.flush()
                found = await other.execute("SELECT count(*) FROM todo")
                assert found == [(len(expected),)]
            if number and chance.random() < 0.5:
                sql = "UPDATE todo SET text = ? WHERE id = '0'"
                await persister.flush()
                await other.execute(sql, (f"note {number}",))
            await asyncio.sleep(0)
        await persister.flush()
        last = (await db.execute("SELECT text FROM todo WHERE id = '0'"))[0][0]
        await until(lambda: store.get_cell("todo", "0", "text") == last)
        expected["0"]["text"] = last
        assert store.get_table("todo") == expected
    async with CrSqliteDatabase(file) as db:
        fresh = create_store()
        await create_crsqlite_persister(fresh, db, CONFIG).load()
        assert fresh.get_table("todo") == expected
