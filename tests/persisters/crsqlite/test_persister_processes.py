"""Several processes use one file, and one that is killed loses nothing it had flushed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from replicell.persisters import CrSqliteDatabase
from tests.persisters.crsqlite.todo_files import persisting
from tests.persisters.waiting_for import until_store

WRITER = """
import sys, time
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction

connection = open_connection(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    with transaction(connection):
        connection.execute("INSERT INTO todo (id, text) VALUES (?, 'from another process')", (line.strip(),))
    print(time.monotonic(), flush=True)
close_connection(connection)
"""

FLUSHER = """
import asyncio, sys
from pathlib import Path
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.store import create_store

CONFIG = {"mode": "tabular", "tables": {"load": {"todo": {"tableId": "todo", "rowIdColumnName": "id"}},
                                        "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}}}}

async def main():
    store = create_store()
    async with CrSqliteDatabase(sys.argv[1]) as db:
        persister = create_crsqlite_persister(store, db, CONFIG)
        await persister.start_auto_persisting()
        number = 0
        while True:
            with store.transaction():
                store.set_row("todo", str(number), {"text": f"todo {number}", "done": True})
                store.set_cell("todo", "latest", "text", str(number))
            if number % 3 == 0:
                await persister.flush()
                print(number, flush=True)
            number += 1

asyncio.run(main())
"""


@asynccontextmanager
async def running(program: str, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode().strip()


async def test_what_another_process_writes_reaches_the_store_within_50_ms(file: Path) -> None:
    loop = asyncio.get_running_loop()
    delays = []
    async with persisting(file) as persister, running(WRITER, file) as writer:
        store = persister.get_store()
        store.set_row("todo", "0", {"text": "first"})
        await persister.flush()
        assert await line_of(writer) == "ready"
        for number in range(1, 12):
            arrived: asyncio.Future[float] = loop.create_future()

            def note(
                store: object, table: str, row: str, *_: object, arrived: asyncio.Future[float] = arrived
            ) -> None:
                if not arrived.done():
                    arrived.set_result(loop.time())

            listener_id = store.add_row_listener("todo", str(number), note)
            assert writer.stdin is not None
            writer.stdin.write(f"{number}\n".encode())
            committed = float(await line_of(writer))
            delays.append(await asyncio.wait_for(arrived, 10) - committed)
            store.del_listener(listener_id)
        assert store.get_row_count("todo") == 12
    assert sorted(delays)[len(delays) // 2] < 0.05


async def test_two_processes_follow_each_other(file: Path) -> None:
    async with persisting(file) as persister, running(WRITER, file) as writer:
        store = persister.get_store()
        store.set_row("todo", "mine", {"text": "Milk"})
        await persister.flush()
        assert await line_of(writer) == "ready"
        assert writer.stdin is not None
        for number in range(50):
            writer.stdin.write(f"theirs {number}\n".encode())
            store.set_row("todo", f"mine {number}", {"text": str(number)})
        for _ in range(50):
            await line_of(writer)
        await until_store(store, lambda: store.get_row_count("todo") == 101)
        await persister.flush()
        assert await persister.database.execute("SELECT count(*) FROM todo") == [(101,)]


async def test_a_process_that_is_killed_loses_nothing_it_had_flushed(file: Path) -> None:
    async with running(FLUSHER, file) as flusher:
        flushed = 0
        while flushed < 60:
            flushed = int(await line_of(flusher))
        flusher.send_signal(signal.SIGKILL)
        assert flusher.stdout is not None
        rest = (await flusher.stdout.read()).split()
        flushed = max([flushed, *map(int, rest)])
        await flusher.wait()
    async with persisting(file) as persister:
        table = persister.get_store().get_table("todo")
        latest = int(str(table.pop("latest")["text"]))
        assert latest >= flushed
        # Whole transactions: the row that was written together with it is there, and none beyond.
        assert table == {str(n): {"text": f"todo {n}", "done": True} for n in range(latest + 1)}


async def test_a_file_may_be_opened_twice_in_one_process(file: Path) -> None:
    async with persisting(file) as one, persisting(file) as other:
        one.get_store().set_row("todo", "1", {"text": "Milk"})
        store = other.get_store()
        await until_store(store, lambda: store.has_row("todo", "1"))
        store.del_row("todo", "1")
        first = one.get_store()
        await until_store(first, lambda: not first.has_row("todo", "1"))
    async with CrSqliteDatabase(file) as db:
        assert await db.execute("SELECT * FROM todo") == []
