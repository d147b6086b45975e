"""How often a database's thread looks for others' commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replicell.persisters.sqlite.database import SqliteDatabase, SqliteEngine
from replicell.persisters.sqlite.worker import Worker
from tests.persisters.waiting_for import until

OPEN = 30


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[list[Worker]]:
    loop = asyncio.get_running_loop()
    names = [str(tmp_path / f"{number}.db") for number in range(OPEN)]
    made = [Worker(loop, name, SqliteEngine(name, 5.0, None), 0.01, lambda _: None) for name in names]
    for worker in made:
        await worker.started
    yield made
    for worker in made:
        if not worker.is_stopping:
            await worker.stop()
        worker.join()


async def test_the_more_databases_are_open_the_less_often_each_is_looked_at(workers: list[Worker]) -> None:
    assert workers[0].poll_pause == pytest.approx(OPEN * 0.0005)


async def test_those_that_were_closed_do_not_count(workers: list[Worker]) -> None:
    for worker in workers[1:]:
        await worker.stop()
        worker.join()

    assert workers[0].poll_pause == 0.01


async def test_others_commits_are_noticed_though_many_are_open(workers: list[Worker], tmp_path: Path) -> None:
    path = tmp_path / "todo.db"
    async with SqliteDatabase(path) as ours, SqliteDatabase(path) as theirs:
        await ours.execute("CREATE TABLE todo (text)")
        noticed: list[bool] = []
        ours.on_change(lambda change: noticed.append(change.external))
        await theirs.execute("INSERT INTO todo VALUES ('milk')")

        await until(lambda: noticed == [True])
