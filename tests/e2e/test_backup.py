"""A backup made while its original is in use joins the original's room and goes on from there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from replicell.persisters.crsqlite.tools import back_up, differences
from tests.e2e.roads import ServerProcess, open_replica, settle


async def test_a_backup_made_in_use_joins_the_room_beside_its_original(tmp_path: Path) -> None:
    original, copy = tmp_path / "original.db", tmp_path / "copy.db"
    async with ServerProcess(tmp_path / "rooms") as server:
        async with open_replica(original, server.url) as one:
            one.store.set_table("todo", {str(n): {"text": f"todo {n}"} for n in range(50)})
            await settle(one)
            one.store.set_row("todo", "late", {"text": "not synced before the copy"})
            await one.persister.flush()
            await asyncio.to_thread(back_up, original, copy)
            one.store.set_row("todo", "after", {"text": "after the copy"}).del_row("todo", "7")
            async with open_replica(copy, server.url) as two:
                assert two.database.site_id != one.database.site_id
                two.store.set_cell("todo", "1", "text", "from the copy")
                one.store.set_cell("todo", "2", "text", "from the original")
                await settle(one, two)
                await settle(one, two)
                assert one.store.get_tables() == two.store.get_tables()
                assert one.store.get_cell("todo", "1", "text") == "from the copy"
                assert two.store.get_cell("todo", "2", "text") == "from the original"
                assert two.store.get_row_count("todo") == 51
        assert list(await asyncio.to_thread(lambda: list(differences(original, copy)))) == []
