"""Sorted row ids, and listeners to them that never sort anew."""

from __future__ import annotations

import copy
import random
from functools import partial
from typing import Any

import pytest

from replicell.store import MISSING, ArgumentError, RowOrder, Store
from replicell.store.sorted_rows import SortedView, default_sort_key
from replicell.store.testing import Recorder
from tests.store.effort import lines_run


def store_of(cells: dict[str, Any]) -> Store:
    return Store().set_table("t", {row_id: {"c": cell} for row_id, cell in cells.items()})


def test_rows_are_sorted_by_a_cell_or_by_their_id() -> None:
    store = store_of({"r3": 1, "r1": 3, "r2": 2})
    assert store.get_sorted_row_ids("t", "c") == ["r3", "r2", "r1"]
    assert store.get_sorted_row_ids("t") == ["r1", "r2", "r3"]
    assert store.get_sorted_row_ids("t", None, True) == ["r3", "r2", "r1"]
    assert store.get_sorted_row_ids("t", "c", descending=True) == ["r1", "r2", "r3"]


def test_equal_cells_keep_the_order_of_the_rows_and_descending_reverses_that_too() -> None:
    store = store_of({"b": 1, "a": 1, "c": 0})
    assert store.get_sorted_row_ids("t", "c") == ["c", "b", "a"]
    assert store.get_sorted_row_ids("t", "c", True) == ["a", "b", "c"]


def test_absent_and_null_count_as_zero_strings_follow_numbers_and_objects_come_last() -> None:
    store = store_of({"o": {"a": 1}, "s": "a", "n": 1, "null": None, "minus": -1, "true": True})
    store.set_row("t", "absent", {"d": 1})
    assert store.get_sorted_row_ids("t", "c") == ["minus", "null", "absent", "n", "true", "s", "o"]


def test_strings_are_compared_by_utf_16_units_as_in_javascript() -> None:
    assert default_sort_key("\U0001f600") < default_sort_key("\uffee")
    assert default_sort_key("a\U0001f600") > default_sort_key("a\ud83d")
    assert default_sort_key("é") > default_sort_key("z")


@pytest.mark.parametrize(
    ("offset", "limit", "window"),
    [
        (0, None, "abcde"),
        (1, 2, "bc"),
        (3, 9, "de"),
        (9, 1, ""),
        (0, 0, ""),
        (-2, None, "de"),
        (-2, 1, "d"),
        (-2, 2, ""),
    ],
)
def test_windows_are_cut_as_slices_are(offset: int, limit: int | None, window: str) -> None:
    store = store_of({row_id: at for at, row_id in enumerate("abcde")})
    assert store.get_sorted_row_ids("t", "c", False, offset, limit) == list(window)
    listed: list[list[str]] = []
    store.add_sorted_row_ids_listener("t", "c", False, offset, limit, lambda *args: listed.append(args[-1]))
    store.set_table("t", {"e": {"c": 0}, "d": {"c": 1}, "c": {"c": 2}, "b": {"c": 3}, "a": {"c": 4}})
    expected = store.get_sorted_row_ids("t", "c", False, offset, limit)
    assert listed == ([expected] if window else [])


def test_options_come_as_a_mapping_in_either_spelling_with_a_sorter() -> None:
    store = store_of({"a": "xxx", "b": "y", "c": "zz"})
    options: Any = {"tableId": "t", "cellId": "c", "sorter": lambda one, other: len(one) - len(other)}
    assert store.get_sorted_row_ids(options) == ["b", "c", "a"]
    assert store.get_sorted_row_ids({**options, "descending": True, "limit": 2}) == ["a", "c"]
    assert store.get_sorted_row_ids({"table_id": "t", "cell_id": "c", "offset": 2}) == ["c"]
    with pytest.raises(TypeError, match="unknown sorting option 'cell'"):
        store.get_sorted_row_ids({"table_id": "t", "cell": "c"})
    with pytest.raises(ArgumentError, match="which table"):
        store.get_sorted_row_ids({"cell_id": "c"})


def test_a_sorter_turned_round_keeps_equal_rows_in_the_order_they_came() -> None:
    store = store_of({"b": 1, "a": 1, "c": 0})
    options: Any = {
        "table_id": "t",
        "cell_id": "c",
        "descending": True,
        "sorter": lambda one, other: one - other,
    }
    assert store.get_sorted_row_ids(options) == ["b", "a", "c"]


def test_a_sorter_is_given_decoded_cells_and_missing_for_absent_ones() -> None:
    store = store_of({"a": [2], "b": [1]})
    seen: list[Any] = []
    store.set_row("t", "x", {"d": 1})

    def sorter(one: Any, other: Any) -> int:
        seen.extend((one, other))
        return (one or [0])[0] - (other or [0])[0]  # type: ignore[no-any-return]  # numbers

    assert store.get_sorted_row_ids("t", "c", sorter=sorter) == ["x", "b", "a"]
    assert MISSING in seen and [2] in seen


def test_a_listener_is_told_when_the_order_differs_and_only_then() -> None:
    calls, store = Recorder(), store_of({"a": 1, "b": 2, "c": 3})
    store.add_sorted_row_ids_listener("t", "c", False, 0, None, calls.named("sorted"))
    store.set_cell("t", "a", "c", 1.5).set_cell("t", "a", "d", 9).set_cell("u", "a", "c", 9)
    assert calls.taken() == []
    store.set_cell("t", "a", "c", 2.5)
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, ["b", "a", "c"])]
    store.set_row("t", "d", {"c": 0})
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, ["d", "b", "a", "c"])]
    store.del_row("t", "b")
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, ["d", "a", "c"])]
    with store.transaction():
        store.set_cell("t", "d", "c", 9).set_cell("t", "d", "c", 0)
    assert calls.taken() == []
    store.del_table("t")
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, [])]


def test_a_window_is_silent_about_what_happens_outside_it() -> None:
    calls, store = Recorder(), store_of({"a": 1, "b": 2, "c": 3, "d": 4})
    store.add_sorted_row_ids_listener({"table_id": "t", "cell_id": "c", "limit": 2}, calls.named("first two"))
    store.set_cell("t", "d", "c", 2.5).set_cell("t", "c", "c", 9)
    assert calls.taken() == []
    store.set_cell("t", "a", "c", 5)
    assert calls.taken() == [("first two", "t", "c", False, 0, 2, ["b", "d"])]


def test_what_a_listener_is_given_cannot_be_changed() -> None:
    store = store_of({"a": 1, "b": 2})
    given: list[RowOrder] = []
    store.add_sorted_row_ids_listener("t", "c", False, 0, None, lambda *args: given.append(args[-1]))
    store.set_cell("t", "a", "c", 3).set_cell("t", "a", "c", 1)
    assert given == [["b", "a"], ["a", "b"]]
    with pytest.raises(TypeError, match="item assignment"):
        given[0][0] = "x"  # type: ignore[index]  # on purpose
    assert not hasattr(given[0], "append")


def test_mutators_may_listen_and_write() -> None:
    store = store_of({"a": 1, "b": 2})

    def note_first(store: Store, *args: Any) -> None:
        store.set_value("first", args[-1][0])

    store.add_sorted_row_ids_listener({"table_id": "t", "cell_id": "c"}, note_first, True)
    assert store.set_cell("t", "a", "c", 3).get_value("first") == "b"


def test_a_listener_added_within_a_transaction_counts_from_there() -> None:
    calls, store = Recorder(), store_of({"a": 1, "b": 2})
    store.add_sorted_row_ids_listener("t", "c", False, 0, None, calls.named("before"))
    with store.transaction():
        store.set_cell("t", "a", "c", 3)
        store.add_sorted_row_ids_listener("t", "c", False, 0, None, calls.named("within"))
    assert [call[0] for call in calls.taken()] == ["before"]


def test_call_listener_tells_only_what_has_not_been_told() -> None:
    calls, store = Recorder(), store_of({"a": 1, "b": 1})
    listener_id = store.add_sorted_row_ids_listener("t", "c", False, 0, None, calls.named("sorted"))
    assert store.call_listener(listener_id) is store
    assert calls.taken() == []
    with store.transaction():
        store.del_row("t", "a").set_row("t", "a", {"c": 1})
    store.call_listener(listener_id)
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, ["b", "a"])]


def test_a_failing_sorter_reaches_the_writer_and_does_no_lasting_harm() -> None:
    calls, store = Recorder(), store_of({"a": 1, "b": 2})

    def sorter(one: Any, other: Any) -> int:
        return one - other  # type: ignore[no-any-return]  # numbers, or a TypeError

    options: Any = {"table_id": "t", "cell_id": "c", "sorter": sorter}
    store.add_sorted_row_ids_listener(options, calls.named("sorted"))
    with pytest.raises(TypeError):
        store.set_cell("t", "a", "c", "x")
    assert store.get_cell("t", "a", "c") == "x"
    store.set_cell("t", "a", "c", 3)
    assert calls.taken() == [("sorted", "t", "c", False, 0, None, ["b", "a"])]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sorter", [None, lambda one, other: (one or 0) - (other or 0)])
def test_the_order_kept_is_always_the_order_of_sorting_anew(
    descending: bool, sorter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SortedView, "BUCKET", 4)
    dice, store = random.Random(7), Store()
    windows = [(0, None), (2, 3), (-3, None), (5, 2)]
    told: dict[int, list[str]] = {at: [] for at in range(len(windows))}
    optionses: list[Any] = []
    for at, (offset, limit) in enumerate(windows):
        options = {
            "table_id": "t",
            "cell_id": "c",
            "descending": descending,
            "offset": offset,
            "limit": limit,
            "sorter": sorter,
        }
        optionses.append(options)
        store.add_sorted_row_ids_listener(options, lambda *args, at=at: told.__setitem__(at, args[-1]))
    for _ in range(400):
        with store.transaction(do_rollback=lambda store: dice.random() < 0.1):
            for _ in range(dice.choice((1, 1, 1, 5))):
                row_id = f"r{dice.randrange(40)}"
                match dice.randrange(10):
                    case 0:
                        store.del_row("t", row_id)
                    case 1:
                        store.del_cell("t", row_id, "c")
                    case 2:
                        store.set_cell("t", row_id, "d", 1)
                    case 3 if dice.random() < 0.1:
                        store.del_table("t")
                    case _:
                        store.set_cell("t", row_id, "c", dice.randrange(8))
        store.set_cell("t", "nudge", "c", dice.random())
        for at, options in enumerate(optionses):
            if told[at] != copy.copy(store).get_sorted_row_ids(options):
                raise AssertionError(f"window {windows[at]} was told {told[at]}")


def table_of(rows: int) -> Store:
    return Store().set_table("t", {f"r{at}": {"c": at * 7919 % 10007} for at in range(rows)})


def test_a_write_sorts_nothing_however_many_rows_there_are() -> None:
    def lines_of_a_write(rows: int) -> int:
        store = table_of(rows)
        store.add_sorted_row_ids_listener("t", "c", False, 0, 10, lambda *_: None)
        return max(lines_run(partial(store.set_cell, "t", f"r{at}", "c", at)) for at in range(50))

    assert lines_of_a_write(10_000) <= 1.1 * lines_of_a_write(100)
    assert lines_run(partial(table_of(10_000).get_sorted_row_ids, "t", "c")) > 10_000


@pytest.mark.parametrize("descending", [False, True])
def test_reading_an_order_that_is_listened_to_gives_what_sorting_gives_at_any_moment(
    descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SortedView, "BUCKET", 4)
    dice, store, sorting = random.Random(11), Store(), Store()
    windows = [(0, None), (1, 4), (-3, None)]
    compared = 0

    def compare(_store: object = None, *_: object) -> None:
        nonlocal compared
        sorting.del_tables().set_tables(store.get_tables())
        for offset, limit in windows:
            expected = sorting.get_sorted_row_ids("t", "c", descending, offset, limit)
            assert store.get_sorted_row_ids("t", "c", descending, offset, limit) == expected
            compared += 1

    store.add_sorted_row_ids_listener("t", "c", descending, 0, None, lambda *_: None)
    store.add_row_listener("t", None, compare)
    store.add_table_listener("t", compare, mutator=True)
    store.add_did_finish_transaction_listener(compare)
    for number in range(150):
        with store.transaction(do_rollback=lambda store: dice.random() < 0.2):
            for _ in range(dice.choice((1, 1, 4))):
                # Rows never come back, so that both stores have them in the same order.
                if dice.random() < 0.3 and store.has_table("t"):
                    store.del_row("t", dice.choice(store.get_row_ids("t")))
                elif dice.random() < 0.5 and store.has_table("t"):
                    store.set_cell("t", dice.choice(store.get_row_ids("t")), "c", dice.randrange(5))
                else:
                    store.set_cell("t", f"r{number}-{dice.random()}", "c", dice.randrange(5))
                compare()
        compare()
    assert compared > 1000


def test_reading_a_window_of_an_order_that_is_listened_to_sorts_nothing() -> None:
    heard, unheard = table_of(10_000), table_of(10_000)
    heard.add_sorted_row_ids_listener("t", "c", True, 0, None, lambda *_: None)

    def lines_of_a_window(store: Store) -> int:
        return lines_run(lambda: store.get_sorted_row_ids("t", "c", True, 5_000, 50))

    assert lines_of_a_window(heard) < 300
    assert lines_of_a_window(unheard) > 10_000


def test_a_sorter_that_never_finds_equals_loses_no_row() -> None:
    store = store_of({f"r{number}": number % 3 for number in range(12)})
    told: list[list[str]] = []
    store.add_sorted_row_ids_listener(
        {"table_id": "t", "cell_id": "c", "sorter": lambda one, other: -1 if one < other else 1},
        lambda *arguments: told.append(list(arguments[-1])),
    )
    rng = random.Random(2)
    for _ in range(60):
        store.set_cell("t", f"r{rng.randrange(12)}", "c", rng.randrange(3))
    assert sorted(told[-1]) == sorted(store.get_row_ids("t"))
