"""What every persister promises, whatever the medium and however the store stands in it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import Persister, Status
from replicell.store import Store, create_store
from tests.persisters.media import MEDIA, Medium
from tests.persisters.waiting_for import until, until_store

CELLS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "zero": 0,
    "one": 1,
    "minus": -1,
    "greatest": 2**63 - 1,
    "least": -(2**63),
    "odd": 2**53 + 1,
    "float": 1.5,
    "round float": 1.0,
    "small": 5e-324,
    "large": 1e300,
    "empty": "",
    "digits": "12",
    "text": "Straße 漢字 😀 \"quoted\" 'too' \\ \n\t",
    "zero character": "a\0b",
    "object": {"a": [1, None, {"b": "ü"}]},
    "array": [],
}


@pytest.fixture(params=list(MEDIA))
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Medium]:
    medium = MEDIA[request.param](tmp_path)
    yield medium
    medium.close()


@asynccontextmanager
async def persisting(medium: Medium, store: Store, **options: Any) -> AsyncIterator[Persister]:
    """A store that follows the medium, which follows the store."""
    async with medium.open(store, **options) as persister:
        yield await persister.start_auto_persisting()


async def loaded(medium: Medium) -> Store:
    """A new store with what the medium holds."""
    store = create_store()
    async with medium.open(store) as persister:
        await persister.load()
    return store


async def flushed(persister: Persister) -> None:
    """Flush as often as others keep the medium locked."""
    async with asyncio.timeout(10):
        while True:
            try:
                await persister.flush()
                return
            except Exception as error:
                if "lock" not in str(error).lower():
                    raise


def has_number(store: Store, number: int) -> bool:
    return store.get_cell("todo", "1", "n") == number


def filled() -> Store:
    store = create_store()
    store.set_table("todo", {"1": {"text": "Milk", "done": False}, "2": {"text": "Bread"}})
    store.set_table("pets", {"fido": {"species": "dog"}})
    return store.set_values({"open": True, "theme": "dark"})


# ----------------------------------------------------------------------------------- save and load


async def test_what_was_saved_is_loaded_into_another_store(medium: Medium) -> None:
    store = filled()
    async with medium.open(store) as persister:
        await persister.save()
        assert persister.get_stats() == {"loads": 0, "saves": 1}
    assert (await loaded(medium)).get_content() == store.get_content()


async def test_every_type_of_cell_and_value_comes_back_as_it_went(medium: Medium) -> None:
    store = create_store().set_row("todo", "types", CELLS).set_values(CELLS)
    async with medium.open(store) as persister:
        await persister.save()
    again = await loaded(medium)
    assert again.get_row("todo", "types") == CELLS
    assert again.get_values() == CELLS
    for cell_id, cell in CELLS.items():
        assert type(again.get_cell("todo", "types", cell_id)) is type(cell), cell_id
        assert type(again.get_value(cell_id)) is type(cell), cell_id


async def test_absent_cells_stay_absent_beside_null_ones(medium: Medium) -> None:
    store = create_store().set_table("todo", {"1": {"a": None}, "2": {"b": 1}})
    async with medium.open(store) as persister:
        await persister.save()
    again = await loaded(medium)
    assert again.get_table("todo") == {"1": {"a": None}, "2": {"b": 1}}


@pytest.mark.parametrize("is_failing", [False, True])
async def test_what_is_loaded_into_a_transaction_that_is_undone_comes_again(
    medium: Medium, is_failing: bool
) -> None:
    store, other = create_store(), create_store().set_cell("todo", "1", "n", 1)
    async with persisting(medium, store, retry_delay=0.002):
        with suppress(ZeroDivisionError), store.transaction(do_rollback=lambda _: True):
            async with medium.open(other) as persister:
                await persister.save()
            await until(lambda: has_number(store, 1))
            _ = 1 // (not is_failing)
        assert not store.has_row("todo", "1")
        await until_store(store, lambda: has_number(store, 1))


async def test_an_empty_medium_deletes_nothing_from_a_store(medium: Medium) -> None:
    store = filled()
    content = store.get_content()
    async with medium.open(store) as persister:
        await persister.load()
        assert store.get_content() == content
        await persister.start_auto_persisting()
        assert store.get_content() == content
    assert (await loaded(medium)).get_content() == content


async def test_rows_of_store_and_medium_come_together(medium: Medium) -> None:
    async with medium.open(create_store().set_row("todo", "1", {"text": "there"})) as persister:
        await persister.save()
    store = create_store().set_row("todo", "2", {"text": "here"})
    async with persisting(medium, store):
        assert store.get_table("todo") == {"1": {"text": "there"}, "2": {"text": "here"}}
    assert (await loaded(medium)).get_table("todo") == store.get_table("todo")


async def test_initial_content_is_for_an_empty_medium_and_an_empty_store_only(medium: Medium) -> None:
    store = create_store()
    async with medium.open(store) as persister:
        await persister.start_auto_persisting(({"todo": {"1": {"text": "first"}}}, {"open": False}))
        assert list(store.get_content()) == [{"todo": {"1": {"text": "first"}}}, {"open": False}]
    store = create_store()
    async with medium.open(store) as persister:
        await persister.load(({"todo": {"1": {"text": "second"}}}, {}))
        assert store.get_cell("todo", "1", "text") == "first"


async def test_a_second_save_of_the_same_store_changes_nothing(medium: Medium) -> None:
    store = filled()
    async with medium.open(store) as persister:
        await persister.save()
        before = medium.file.read_bytes()
        await persister.save()
        assert medium.file.read_bytes() == before
        assert persister.get_stats()["saves"] == 1


# ----------------------------------------------------------------------------------- both ways


async def test_edits_cross_between_two_programs_both_ways(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        assert two.get_content() == one.get_content()
        one.set_cell("todo", "1", "done", True)
        await flushed(first)
        await until_store(two, lambda: two.get_cell("todo", "1", "done") is True)
        two.set_row("todo", "3", {"text": "Tea"}).set_value("theme", "light")
        await flushed(second)
        await until_store(one, lambda: one.has_row("todo", "3") and one.get_value("theme") == "light")
        assert one.get_content() == two.get_content()


async def test_deletions_of_cells_rows_tables_and_values_cross(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two):
        one.del_cell("todo", "1", "done").del_row("todo", "2").del_table("pets").del_value("open")
        await flushed(first)
        await until_store(two, lambda: two.get_tables() == {"todo": {"1": {"text": "Milk"}}})
        await until_store(two, lambda: two.get_values() == {"theme": "dark"})
    assert (await loaded(medium)).get_content() == one.get_content()


async def test_a_deleted_row_that_comes_back_is_whole_and_has_nothing_of_its_former_life(
    medium: Medium,
) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two):
        one.del_row("todo", "1").set_row("todo", "1", {"text": "New"})
        await flushed(first)
        await until_store(two, lambda: two.get_row("todo", "1") == {"text": "New"})
    assert (await loaded(medium)).get_row("todo", "1") == {"text": "New"}


async def test_what_was_loaded_is_not_saved_and_what_was_saved_is_not_loaded(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        changes = {"one": 0, "two": 0}
        one.add_cell_listener("todo", "1", "n", lambda *_: changes.update(one=changes["one"] + 1))
        two.add_cell_listener("todo", "1", "n", lambda *_: changes.update(two=changes["two"] + 1))
        saves = second.get_stats()["saves"]
        for number in range(3):
            one.set_cell("todo", "1", "n", number)
            await flushed(first)
            await until_store(two, partial(has_number, two, number))
        await first.load()
        await flushed(second)
        assert second.get_stats()["saves"] == saves
        assert first.get_stats()["saves"] == 4
        assert changes == {"one": 3, "two": 3}


async def test_after_a_restart_everything_is_there_and_deletions_stay(medium: Medium) -> None:
    store = filled()
    async with persisting(medium, store):
        store.del_row("todo", "2")
        store.set_cell("todo", "1", "text", "last words")
    again = create_store()
    async with persisting(medium, again) as persister:
        assert again.get_content() == store.get_content()
        again.set_row("todo", "4", {"text": "after"})
        await flushed(persister)
    assert (await loaded(medium)).get_content() == again.get_content()


# ----------------------------------------------------------------------------------- nothing is lost


async def test_edits_of_two_programs_at_the_same_time_meet_cell_by_cell(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        one.set_cell("todo", "1", "text", "from one").set_value("theme", "from one")
        two.set_cell("todo", "1", "done", True).set_row("todo", "9", {"text": "from two"})
        await asyncio.gather(flushed(first), flushed(second))
        expected = [
            {
                "todo": {
                    "1": {"text": "from one", "done": True},
                    "2": {"text": "Bread"},
                    "9": {"text": "from two"},
                },
                "pets": {"fido": {"species": "dog"}},
            },
            {"open": True, "theme": "from one"},
        ]
        await until_store(one, lambda: list(one.get_content()) == expected)
        await until_store(two, lambda: list(two.get_content()) == expected)
    assert list((await loaded(medium)).get_content()) == expected


async def test_an_edit_made_while_a_load_runs_survives_and_is_saved(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        one.set_cell("todo", "1", "text", "other").set_cell("todo", "1", "done", True)
        await flushed(first)
        loading = asyncio.ensure_future(second.load())
        await asyncio.sleep(0)
        two.set_cell("todo", "1", "text", "mine")
        await loading
        await flushed(second)
        await until_store(one, lambda: one.get_cell("todo", "1", "text") == "mine")
        await until_store(two, lambda: two.get_row("todo", "1") == {"text": "mine", "done": True})


async def test_edits_made_while_a_save_runs_go_into_the_next(medium: Medium) -> None:
    store = filled()
    async with persisting(medium, store) as persister:
        for number in range(30):
            store.set_cell("todo", "1", "n", number).set_row("pets", str(number), {"n": number})
            await asyncio.sleep(0)
        await flushed(persister)
        assert (await loaded(medium)).get_content() == store.get_content()


async def test_a_row_deleted_by_others_under_an_unsaved_edit_is_saved_back_whole(medium: Medium) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        await second.stop_auto_persisting()
        two.set_cell("todo", "1", "done", True)
        one.del_row("todo", "1")
        await flushed(first)
        await second.start_auto_persisting()
        assert two.get_row("todo", "1") == {"text": "Milk", "done": True}
        await until_store(one, lambda: one.get_row("todo", "1") == {"text": "Milk", "done": True})


async def test_what_others_wrote_into_a_deleted_row_is_gone_if_it_comes_back_before_it_was_saved(
    medium: Medium,
) -> None:
    one, two = filled(), create_store()
    async with persisting(medium, one) as first, persisting(medium, two) as second:
        await second.stop_auto_save()
        two.del_row("todo", "1")
        one.set_cell("todo", "1", "due", "today")
        await flushed(first)
        await second.load()
        two.set_row("todo", "1", {"text": "again"})
        await second.start_auto_save()
        assert two.get_row("todo", "1") == {"text": "again"}
        await until_store(one, lambda: one.get_row("todo", "1") == {"text": "again"})
    assert (await loaded(medium)).get_row("todo", "1") == {"text": "again"}


async def test_a_save_that_fails_is_told_kept_and_tried_again(
    medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    store = filled()
    async with persisting(medium, store, on_error=errors.append) as persister:
        with medium.locked():
            store.set_cell("todo", "1", "text", "patient")
            await until(lambda: len(errors) > 1)
            store.set_cell("todo", "2", "text", "later")
        await flushed(persister)
        assert persister.status is Status.IDLE
        again = await loaded(medium)
        assert again.get_content() == store.get_content()


async def test_a_save_that_is_awaited_raises_and_keeps_the_changes(medium: Medium) -> None:
    store = filled()
    async with medium.open(store) as persister:
        await persister.save()
        store.set_cell("todo", "1", "text", "kept")
        with medium.locked(), pytest.raises(Exception, match=r"(?i)lock"):
            await persister.save()
        await persister.save()
    assert (await loaded(medium)).get_cell("todo", "1", "text") == "kept"


@pytest.mark.parametrize("seed", range(3))
async def test_random_edits_of_three_programs_end_alike_in_all_stores_and_in_the_medium(
    medium: Medium, seed: int
) -> None:
    chance = random.Random(seed)
    stores = [create_store() for _ in range(3)]

    async def edit(store: Store, who: int) -> None:
        for number in range(25):
            row_id = str(chance.randrange(6))
            kind = chance.randrange(8)
            if kind == 0:
                store.del_row("todo", row_id)
            elif kind == 1:
                store.del_cell("todo", row_id, "a")
            elif kind == 2:
                store.set_value(chance.choice("xy"), number)
            else:
                store.set_partial_row("todo", row_id, {chance.choice("abc"): f"{who}-{number}"})
            store.set_cell("pets", f"{who}-{number}", "n", number)
            await asyncio.sleep(chance.choice((0, 0, 0.002)))

    async with (
        persisting(medium, stores[0]) as first,
        persisting(medium, stores[1]) as second,
        persisting(medium, stores[2]) as third,
    ):
        await asyncio.gather(*(edit(store, who) for who, store in enumerate(stores)))
        await asyncio.gather(flushed(first), flushed(second), flushed(third))
        await until(lambda: stores[0].get_content() == stores[1].get_content() == stores[2].get_content())
        again = await loaded(medium)
        await until(lambda: stores[0].get_content() == again.get_content())
    assert again.get_row_count("pets") == 75


async def test_saving_again_writes_nothing_over_what_others_have_edited(medium: Medium) -> None:
    store = create_store()
    async with persisting(medium, store) as persister:
        store.set_row("todo", "1", {"text": "Milk"}).set_value("theme", "dark")
        await flushed(persister)
        await persister.stop_auto_persisting()
        other = create_store()
        async with persisting(medium, other):
            other.set_cell("todo", "1", "text", "Bread").set_value("theme", "light")
        saves = persister.get_stats()["saves"]
        await persister.save()
        assert persister.get_stats()["saves"] == saves
        again = await loaded(medium)
        assert list(again.get_content()) == [{"todo": {"1": {"text": "Bread"}}}, {"theme": "light"}]


# ----------------------------------------------------------------------------------- the end


async def test_closing_saves_what_is_unsaved_and_lets_go_of_the_store(medium: Medium) -> None:
    store = filled()
    async with persisting(medium, store) as persister:
        store.set_cell("todo", "1", "text", "last")
        await persister.close()
        store.set_cell("todo", "1", "text", "too late")
    assert (await loaded(medium)).get_cell("todo", "1", "text") == "last"
