"""From one program's store to another's, through real files, sockets and a server process."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from replicell.store import create_store
from tests.e2e.roads import PATIENCE, Replica, ServerProcess, flush, open_replica, settle, until

EVERY_KIND: dict[str, Any] = {
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "big": 2**63 - 1,
    "small": -(2**63),
    "float": 0.1,
    "whole_float": 1.0,
    "tiny": 5e-324,
    "text": "Żółw 🐢 'quoted' \"twice\" \n\x01",
    "empty": "",
    "null": None,
    "object": {"a": [1, None, {"b": False}]},
    "array": [],
    "looks_like_json": '{"a": 1}',
    "looks_like_a_number": "007",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(tmp_path / "server") as process:
        yield process


async def test_an_edit_reaches_the_other_store(server: ServerProcess, tmp_path: Path) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        anna.store.set_row("todo", "1", {"text": "Buy milk", "completed": False})
        await until(ben.store, lambda: ben.store.get_table("todo"))
        assert ben.store.get_table("todo") == {"1": {"text": "Buy milk", "completed": False}}
        ben.store.set_cell("todo", "1", "completed", True)
        await until(anna.store, lambda: anna.store.get_cell("todo", "1", "completed"))
        ben.store.del_row("todo", "1")
        await until(anna.store, lambda: not anna.store.has_table("todo"))


async def test_every_kind_of_cell_and_value_arrives_as_it_went(server: ServerProcess, tmp_path: Path) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        with anna.store.transaction():
            anna.store.set_row("pets", "every kind", EVERY_KIND)
            anna.store.set_values(EVERY_KIND)
        await settle(anna, ben)
        for arrived in (ben.store.get_row("pets", "every kind"), ben.store.get_values()):
            assert arrived == EVERY_KIND
            assert {key: type(cell) for key, cell in arrived.items()} == {
                key: type(cell) for key, cell in EVERY_KIND.items()
            }


async def test_offline_edits_on_both_sides_meet(server: ServerProcess, tmp_path: Path) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        anna.store.set_table("todo", {"1": {"text": "one"}, "2": {"text": "two"}, "3": {"text": "three"}})
        await settle(anna, ben)
        await anna.sync.pause()
        await ben.sync.pause()
        anna.store.set_cell("todo", "1", "text", "one, by Anna").set_row("todo", "a", {"text": "Anna's"})
        ben.store.set_cell("todo", "1", "done", True).set_row("todo", "b", {"text": "Ben's"})
        ben.store.del_row("todo", "3")
        await flush(anna, ben)
        assert anna.store.get_tables() != ben.store.get_tables()
        await anna.sync.resume()
        await ben.sync.resume()
        await settle(anna, ben)
        expected = {
            "1": {"text": "one, by Anna", "done": True},
            "2": {"text": "two"},
            "a": {"text": "Anna's"},
            "b": {"text": "Ben's"},
        }
        assert anna.store.get_table("todo") == expected
        assert ben.store.get_table("todo") == expected


async def test_a_row_deleted_here_and_edited_there_is_deleted_everywhere(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        anna.store.set_table(
            "todo", {"1": {"text": "one", "done": False}, "2": {"text": "two", "done": False}}
        )
        await settle(anna, ben)
        await anna.sync.pause()
        await ben.sync.pause()
        anna.store.del_row("todo", "1")
        ben.store.set_partial_row("todo", "1", {"text": "one, edited", "done": True})
        await flush(anna, ben)
        await anna.sync.resume()
        await ben.sync.resume()
        await settle(anna, ben)
        assert (
            anna.store.get_table("todo")
            == ben.store.get_table("todo")
            == {"2": {"text": "two", "done": False}}
        )


async def test_a_transaction_arrives_as_one(server: ServerProcess, tmp_path: Path) -> None:
    """Also one of many messages: nobody ever sees a part of it."""
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        counts: set[int] = set()
        ben.store.add_did_finish_transaction_listener(lambda store: counts.add(store.get_row_count("pets")))
        rows = {f"{number}": {"name": "x" * 50, "age": number, "sold": False} for number in range(3000)}
        with anna.store.transaction():
            anna.store.set_table("pets", rows)
            anna.store.set_value("sum", 1)
        await until(ben.store, lambda: ben.store.has_value("sum"))
        assert ben.store.get_row_count("pets") == 3000
        assert counts <= {0, 3000}


async def test_three_replicas_and_one_that_comes_late(server: ServerProcess, tmp_path: Path) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        for number in range(50):
            anna.store.set_row("todo", f"a{number}", {"text": f"{number}"})
            ben.store.set_row("pets", f"b{number}", {"age": number})
        await settle(anna, ben)
        async with open_replica(tmp_path / "c.db", server.url) as clara:
            await settle(clara)
            assert clara.store.get_tables() == anna.store.get_tables() == ben.store.get_tables()
            assert clara.store.get_row_count("todo") == 50


async def test_rooms_do_not_see_each_other(server: ServerProcess, tmp_path: Path) -> None:
    other_room = server.url.replace("/road", "/elsewhere")
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", other_room) as ben,
    ):
        anna.store.set_cell("todo", "1", "text", "Anna's room")
        ben.store.set_cell("todo", "2", "text", "Ben's room")
        await settle(anna, ben)
        assert anna.store.get_row_ids("todo") == ["1"]
        assert ben.store.get_row_ids("todo") == ["2"]


async def test_nothing_is_lost_when_the_server_is_killed_while_both_write(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        enough = asyncio.Event()

        async def write(replica: Replica, prefix: str) -> int:
            count = 0
            while not enough.is_set():
                replica.store.set_row("todo", f"{prefix}{count}", {"text": f"{count}", "completed": False})
                await replica.persister.flush()
                count += 1
            return count

        def arrived() -> int:
            return sum(row_id.startswith("a") for row_id in ben.store.get_row_ids("todo"))

        def is_beyond(count: int) -> bool:
            return arrived() > count

        writing = asyncio.gather(write(anna, "a"), write(ben, "b"))
        for _ in range(3):
            await until(ben.store, partial(is_beyond, arrived() + 10))
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
            await server.start()
        enough.set()
        written = sum(await writing)
        await settle(anna, ben)
        assert anna.store.get_table("todo") == ben.store.get_table("todo")
        assert anna.store.get_row_count("todo") == written


async def test_a_program_killed_while_it_writes_has_lost_nothing_that_was_flushed(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The writer says after each flush how far it is; what it said last must be there, here and elsewhere."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.e2e.roads import open_replica\n"
        "async def main():\n"
        "    async with open_replica(Path(sys.argv[1]), sys.argv[2]) as replica:\n"
        "        for number in range(100_000):\n"
        "            replica.store.set_row('todo', str(number), {'text': str(number)})\n"
        "            await replica.persister.flush()\n"
        "            print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "a.db"), server.url, stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    lines = [await asyncio.wait_for(writer.stdout.readline(), PATIENCE) for _ in range(100)]
    writer.kill()
    lines += (await writer.stdout.read()).splitlines()
    await writer.wait()
    flushed = int([line for line in lines if line.strip()][-1])

    async with (
        open_replica(tmp_path / "a.db", server.url) as again,
        open_replica(tmp_path / "b.db", server.url) as other,
    ):
        assert again.store.get_row_count("todo") >= flushed + 1
        await settle(again, other)
        expected = {str(number): {"text": str(number)} for number in range(again.store.get_row_count("todo"))}
        assert again.store.get_table("todo") == expected
        assert other.store.get_table("todo") == expected


async def test_a_filled_store_that_starts_on_an_empty_database_keeps_and_shares_its_data(
    server: ServerProcess, tmp_path: Path
) -> None:
    store = create_store().set_table("todo", {"1": {"text": "from before"}}).set_value("theme", "dark")
    async with (
        open_replica(tmp_path / "a.db", server.url, store) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        await settle(anna, ben)
        assert ben.store.get_content() == store.get_content()
        assert store.get_tables() == {"todo": {"1": {"text": "from before"}}}


async def test_both_start_with_data_of_their_own_and_end_with_all(
    server: ServerProcess, tmp_path: Path
) -> None:
    one = create_store().set_table("todo", {"1": {"text": "one"}})
    two = create_store().set_table("todo", {"2": {"text": "two"}})
    async with (
        open_replica(tmp_path / "a.db", server.url, one) as anna,
        open_replica(tmp_path / "b.db", server.url, two) as ben,
    ):
        await settle(anna, ben)
        assert one.get_table("todo") == two.get_table("todo") == {"1": {"text": "one"}, "2": {"text": "two"}}


async def test_many_random_edits_by_three_replicas_that_come_and_go_end_equal(
    server: ServerProcess, tmp_path: Path
) -> None:
    for seed in range(5):
        chance = random.Random(seed)
        url = server.url + f"-{seed}"
        async with (
            open_replica(tmp_path / f"a{seed}.db", url) as anna,
            open_replica(tmp_path / f"b{seed}.db", url) as ben,
            open_replica(tmp_path / f"c{seed}.db", url) as clara,
        ):
            replicas = (anna, ben, clara)
            for _ in range(120):
                replica = chance.choice(replicas)
                row_id = str(chance.randrange(8))
                match chance.randrange(8):
                    case 0:
                        replica.store.del_row("todo", row_id)
                    case 1:
                        replica.store.del_cell("todo", row_id, chance.choice("xyz"))
                    case 2:
                        await replica.sync.pause()
                    case 3:
                        await replica.sync.resume()
                    case 4:
                        await replica.persister.flush()
                    case 5:
                        replica.store.set_row(
                            "todo", row_id, {"x": chance.random(), "y": [chance.randrange(3)]}
                        )
                    case _:
                        cell = chance.choice([chance.randrange(3), None, True, "text", {"a": 1}])
                        replica.store.set_cell("todo", row_id, chance.choice("xyz"), cell)
            for replica in replicas:
                await replica.sync.resume()
            await settle(*replicas)
            assert anna.store.get_tables() == ben.store.get_tables() == clara.store.get_tables(), (
                f"seed {seed}"
            )


async def test_a_transaction_of_twenty_megabytes_arrives_as_one(
    server: ServerProcess, tmp_path: Path
) -> None:
    """More than is read ahead of what is applied: it must be read to its end all the same."""
    async with (
        open_replica(tmp_path / "a.db", server.url) as anna,
        open_replica(tmp_path / "b.db", server.url) as ben,
    ):
        rows = {f"{number}": {"name": "x" * 100_000, "age": number} for number in range(200)}
        anna.store.set_table("pets", rows)
        await until(ben.store, lambda: ben.store.has_table("pets"))
        assert ben.store.get_table("pets") == rows
