"""Many clients in one room, many rooms, and much to catch up with.

The server, the crowd of raw clients and the whole replicas are processes of their own, on this one machine:
the crowd's own work is part of what keeps the cores busy.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from benchmarks.lines.sync import percentile_of
from benchmarks.measure import Figure, at_most, cost
from benchmarks.processes import LineProcess, python
from replicell.persisters import CrSqliteDatabase
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync import SyncClient

__all__ = ["scale_figures"]

Writing: TypeAlias = Callable[[CrSqliteDatabase], Awaitable[None]]


SECTION = "Scale"
CLIENTS = 990
CROWDS = 2
REPLICAS = 10
EDITS_A_SECOND = 100.0
REPLICA_EDITS_A_SECOND = 10.0
ROOMS = 1000
FEW_ROOMS = 10
ROOM_SECONDS = 20.0
SETTLING_SECONDS = 5.0
CHANGES = 100_000
TRANSACTIONS = 1000
CATCH_UPS = 3
NOTE = TableSchema("note", ("id",), ("words",))
CONTENT = "SELECT id, words FROM note ORDER BY id"
UPDATE = "UPDATE note SET words = ? WHERE id = ?"
PUT = "INSERT INTO note(id, words) VALUES (?, ?)"
READ = 'SELECT "table", pk, cid, val, col_version, cl, site_id, seq FROM crsql_changes WHERE db_version > ?'
MERGE = (
    'INSERT INTO crsql_changes("table", pk, cid, val, col_version, db_version, cl, site_id, seq)'
    " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)"
)


def scale_figures(seconds: float) -> Iterator[Figure]:
    """The lines of scale.

    Args:
        seconds: How long the full room is edited.
    """
    yield from one_room_figures(seconds)
    yield from many_rooms_figures()
    yield catch_up_figure("100,000 new rows, in one transaction", prepare_one_row, write_new_rows)
    yield catch_up_figure(
        "1,000 transactions of 100 changes, half of them updates", prepare_rows, write_transactions
    )


def one_room_figures(seconds: float) -> Iterator[Figure]:
    """1,000 clients of one room, ten of them whole replicas, and a hundred edits a second in all."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(python("benchmarks.sync_server", str(folder / "rooms")))
        url = f"ws://localhost:{server.receive()['port']}/room"
        (folder / "replicas").mkdir()
        replicas = stack.enter_context(
            python("benchmarks.whole_replicas", url, str(folder / "replicas"), str(REPLICAS))
        )
        replicas.receive()
        replicas.command("edit", seconds=SETTLING_SECONDS, rate=REPLICA_EDITS_A_SECOND)
        alone = replicas.command("report")["journeys"]
        before = server.resident_bytes
        crowds = [stack.enter_context(python("benchmarks.crowd")) for _ in range(CROWDS)]
        for crowd in crowds:
            crowd.receive()
            crowd.command("join", urls=[url], each=CLIENTS // CROWDS)
        joined = server.resident_bytes

        memory = edited(server, crowds, replicas, seconds)
        reports = [crowd.command("report") for crowd in crowds]
        together = replicas.command("report")
        minutes = f"{seconds / 60:.3g} min"
        peer = "the ten replicas alone"
        for name, percentile in (("p50", 50), ("p99", 99)):
            yield Figure(
                SECTION,
                f"1,000 clients, 100 edits a second: from store to store, {name}",
                percentile_of(together["journeys"], percentile),
                peer,
                percentile_of(alone, percentile),
                at_most(1.0, "1 s") if name == "p99" else None,
                ratio="cost",
                note=minutes,
            )
        silences = [seconds for report in reports for seconds in report["silences"]]
        lagging = missing_everything(reports, together)
        yield Figure(
            SECTION,
            "the longest that any of them heard nothing",
            math.inf if lagging else max(silences),
            "the median client",
            statistics.median(silences),
            at_most(2.0, "2 s"),
            ratio="cost",
            note="all had everything at the end" if not lagging else f"{lagging} had not everything",
        )
        yield Figure(
            SECTION,
            "server memory for a connected client",
            (joined - before) / CLIENTS,
            "a bare websocket of the library",
            bare_connection_bytes(),
            at_most(100_000, "100 KB"),
            ratio="cost",
            unit="bytes",
        )
        tenth = max(1, len(memory) // 10)
        yield Figure(
            SECTION,
            "the server's memory at the end of that",
            statistics.median(memory[-tenth:]),
            "after the first tenth",
            statistics.median(memory[tenth : 2 * tenth]),
            cost(1.1),
            ratio="cost",
            unit="bytes",
            note=minutes,
        )


def edited(
    server: LineProcess, crowds: list[LineProcess], replicas: LineProcess, seconds: float
) -> list[int]:
    """Have everybody edit, and give the server's memory every second."""
    rate = (EDITS_A_SECOND - REPLICA_EDITS_A_SECOND) / len(crowds)
    for crowd in crowds:
        crowd.send({"command": "edit", "seconds": seconds, "rate": rate, "step": 1})
    replicas.send({"command": "edit", "seconds": seconds, "rate": REPLICA_EDITS_A_SECOND})
    done = threading.Event()
    memory: list[int] = []

    def watch() -> None:
        while not done.wait(1.0):
            memory.append(server.resident_bytes)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for process in (*crowds, replicas):
        process.receive()
    time.sleep(SETTLING_SECONDS)
    done.set()
    watcher.join()
    return memory


def missing_everything(reports: list[dict[str, Any]], together: dict[str, Any]) -> int:
    """How many clients have not got all that there is."""
    reached: list[int] = [until for report in reports for until in report["until"]]
    lagging = sum(until < max(reached) for until in reached)
    rows: list[int] = together["rows"]
    return lagging + sum(count < max(rows) for count in rows)


def bare_connection_bytes() -> float:
    """What a connection costs a server that does nothing but read it."""
    with python("benchmarks.bare_server") as server, python("benchmarks.crowd") as crowd:
        url = f"ws://localhost:{server.receive()['port']}"
        crowd.receive()
        before = server.resident_bytes
        crowd.command("connect", url=url, count=CLIENTS)
        return (server.resident_bytes - before) / CLIENTS


def many_rooms_figures() -> Iterator[Figure]:
    """Rooms with two clients each, of which one edits; beside a few rooms under the same load."""
    few, _ = pairs_of_rooms(FEW_ROOMS)
    many, memory = pairs_of_rooms(ROOMS)
    for name, percentile in (("p50", 50), ("p99", 99)):
        yield Figure(
            SECTION,
            f"1,000 rooms of 2 clients, 100 edits a second: from client to client, {name}",
            percentile_of(many, percentile),
            f"{FEW_ROOMS} rooms, as many edits",
            percentile_of(few, percentile),
            at_most(1.0, "1 s") if name == "p99" else None,
            ratio="cost",
            note=f"server memory {memory / 1024:,.0f} KB a room" if name == "p99" else "",
        )


def pairs_of_rooms(count: int) -> tuple[list[float], float]:
    """Give how long edits took in so many rooms, and the server's memory for each."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(python("benchmarks.sync_server", folder))
        port = server.receive()["port"]
        before = server.resident_bytes
        crowd = stack.enter_context(python("benchmarks.crowd"))
        crowd.receive()
        urls = [f"ws://localhost:{port}/room-{number}" for number in range(count)]
        crowd.command("join", urls=urls, each=2)
        memory = (server.resident_bytes - before) / count
        crowd.command("edit", seconds=ROOM_SECONDS, rate=EDITS_A_SECOND, step=2)
        time.sleep(SETTLING_SECONDS)
        report = crowd.command("report")
        expected = round(ROOM_SECONDS * EDITS_A_SECOND)
        if len(report["journeys"]) != expected or report["unacknowledged"]:
            raise RuntimeError(f"{len(report['journeys'])} of {expected} edits arrived, of {count} rooms")
        return report["journeys"], memory


def catch_up_figure(name: str, prepare: Writing, write: Writing) -> Figure:
    """A client that was away for 100,000 changes, beside the same changes read and merged by hand.

    Args:
        name: What was done meanwhile.
        prepare: Writes what is there before.
        write: Does it.
    """
    ours, theirs = [], []
    for _ in range(CATCH_UPS):
        with tempfile.TemporaryDirectory() as folder, python("benchmarks.sync_server", folder) as server:
            url = f"ws://localhost:{server.receive()['port']}/room"
            left_at, taken = asyncio.run(caught_up(url, Path(folder), prepare, write))
            ours.append(taken)
            theirs.append(by_hand(Path(folder), left_at))
    return Figure(
        SECTION,
        f"the catch-up of a client that was away for {name}",
        statistics.median(ours),
        "the same SQL by hand",
        statistics.median(theirs),
        cost(1.5),
        ratio="cost",
    )


async def caught_up(url: str, folder: Path, prepare: Writing, write: Writing) -> tuple[int, float]:
    """Give the author's version when the other one left, and the seconds that it took to have it all."""
    async with CrSqliteDatabase(folder / "author.db") as author:
        await author.run(create_table, NOTE)
        async with SyncClient(author, url) as sync:
            await prepare(author)
            await sync.wait_until_synced(timeout=300)
            async with CrSqliteDatabase(folder / "away.db") as away, SyncClient(away, url) as other:
                await other.wait_until_synced(timeout=300)
            left_at = await author.read(latest_version)
            await write(author)
            await sync.wait_until_synced(timeout=300)
        expected = await author.execute(CONTENT)
    async with CrSqliteDatabase(folder / "away.db") as away:
        began = time.perf_counter()
        async with SyncClient(away, url) as sync:
            await sync.wait_until_synced(timeout=300)
            taken = time.perf_counter() - began
        if await away.execute(CONTENT) != expected:
            raise RuntimeError("the client that was away has something else than the author")
    return left_at, taken


async def prepare_one_row(author: CrSqliteDatabase) -> None:
    await author.execute(PUT, ("first", "of all"))


async def write_new_rows(author: CrSqliteDatabase) -> None:
    await author.write(write_rows, "row", range(CHANGES))


async def prepare_rows(author: CrSqliteDatabase) -> None:
    await author.write(write_rows, "old row", range(CHANGES // 2))


async def write_transactions(author: CrSqliteDatabase) -> None:
    half = CHANGES // TRANSACTIONS // 2
    for number in range(TRANSACTIONS):
        await author.write(write_both, range(number * half, (number + 1) * half))


def write_both(connection: apsw.Connection, numbers: range) -> None:
    """Update rows and write as many new ones."""
    connection.executemany(UPDATE, ((f"updated note {number}", f"old row {number}") for number in numbers))
    write_rows(connection, "new row", numbers)


def write_rows(connection: apsw.Connection, name: str, numbers: range) -> None:
    connection.executemany(PUT, ((f"{name} {number}", f"note {number}") for number in numbers))


def by_hand(folder: Path, left_at: int) -> float:
    """Give the seconds that it takes to read what the author has written since, and to merge it."""
    source = open_connection(folder / "author.db")
    target = open_connection(folder / "by hand.db")
    try:
        create_table(target, NOTE)
        merge(target, source.execute(f"{READ} AND db_version <= ?", (0, left_at)).fetchall())
        began = time.perf_counter()
        with transaction(source, immediate=False):
            changes = source.execute(READ, (left_at,)).fetchall()
        merge(target, changes)
        taken = time.perf_counter() - began
        if len(changes) != CHANGES:
            raise RuntimeError(f"{len(changes)} changes were read, not {CHANGES}")
    finally:
        close_connection(source)
        close_connection(target)
    return taken


def merge(target: apsw.Connection, changes: list[Any]) -> None:
    with transaction(target):
        target.executemany(MERGE, changes)
