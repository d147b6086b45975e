"""While very many rows are loaded or saved, the event loop gets its turn after every few of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import (
    CrSqliteDatabase,
    SqliteDatabase,
    create_crsqlite_persister,
    create_sqlite_persister,
)
from replicell.persisters.persister import Persister
from replicell.store import Store
from replicell.store.cells import EncodedCell
from replicell.store.changes import EncodedTable

ROWS = 3_000
CONFIG = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}}}
KINDS = {
    "cr-sqlite": (CrSqliteDatabase, create_crsqlite_persister),
    "plain SQLite": (SqliteDatabase, create_sqlite_persister),
}


class Turns:
    """Counts the turns of the event loop, and notes after how many of them something happened."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        """How much happened, and the turn in which it did."""
        self._count = 0
        self._is_counting = True

    async def count(self) -> None:
        while self._is_counting:
            self._count += 1
            await asyncio.sleep(0)

    def stop(self) -> None:
        self._is_counting = False

    def note(self, amount: int) -> None:
        self.steps.append((amount, self._count))


class WatchedStore(Store):
    """Notes how many rows are taken out at once."""

    turns: Turns

    def get_encoded_rows(self, table_id: Any, row_ids: Iterable[str]) -> EncodedTable:
        rows = super().get_encoded_rows(table_id, row_ids)
        self.turns.note(len(rows))
        return rows

    def get_encoded_columns(
        self, table_id: Any, row_ids: Sequence[str]
    ) -> tuple[tuple[str, ...], list[tuple[EncodedCell, ...]]] | None:
        columns = super().get_encoded_columns(table_id, row_ids)
        if columns is not None:
            self.turns.note(len(row_ids))
        return columns


@asynccontextmanager
async def persisting(kind: str, file: Path, store: Store) -> AsyncIterator[Persister]:
    database, create = KINDS[kind]
    async with database(file) as db, create(store, db, CONFIG) as persister:  # type: ignore[operator]  # as paired above
        yield persister


def filled(store: Store) -> Store:
    for number in range(ROWS):
        store.set_row("todo", str(number), {"text": f"todo {number}", "done": number % 2 == 0})
    return store


@pytest.mark.parametrize("kind", KINDS)
async def test_the_loop_gets_a_turn_after_every_few_rows_of_a_load(kind: str, tmp_path: Path) -> None:
    async with persisting(kind, tmp_path / "todo.db", filled(Store())) as persister:
        await persister.save()
    store, turns = Store(), Turns()
    seen = 0

    def note(store: Store) -> None:
        nonlocal seen
        turns.note(store.get_row_count("todo") - seen)
        seen = store.get_row_count("todo")

    store.add_did_finish_transaction_listener(note)
    async with persisting(kind, tmp_path / "todo.db", store) as persister:
        counting = asyncio.create_task(turns.count())
        await persister.load()
        turns.stop()
        await counting
    assert store.get_content() == filled(Store()).get_content()
    _assert_turns_between(turns, most_at_once=500)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_loop_gets_a_turn_after_every_few_rows_that_a_save_takes(kind: str, tmp_path: Path) -> None:
    store = WatchedStore()
    turns = store.turns = Turns()
    filled(store)
    async with persisting(kind, tmp_path / "todo.db", store) as persister:
        counting = asyncio.create_task(turns.count())
        await persister.save()
        turns.stop()
        await counting
    _assert_turns_between(turns, most_at_once=500)


def _assert_turns_between(turns: Turns, most_at_once: int) -> None:
    amounts = [amount for amount, _ in turns.steps]
    assert sum(amounts) == ROWS
    assert max(amounts) <= most_at_once
    times = [turn for _, turn in turns.steps]
    assert all(later > earlier for earlier, later in pairwise(times))
