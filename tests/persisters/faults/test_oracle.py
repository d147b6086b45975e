"""The oracle itself: histories that could not fail would prove nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from replicell.store import MISSING
from tests.persisters.faults.history import History
from tests.persisters.faults.ledger import BrokenPromiseError, Content, Ledger, Register, pair
from tests.persisters.faults.plan import make_plan
from tests.persisters.faults.sabotage import SABOTAGES

CELL = Register("todo", "1", "a")
MOST_HISTORIES = 30


def holding(value: object) -> tuple[dict[str, dict[str, dict[str, object]]], dict[str, object]]:
    return ({} if value is MISSING else {"todo": {"1": {"a": value}}}), {}


def may_hold(ledger: Ledger, value: object) -> bool:
    try:
        ledger.check(holding(value), "now")
    except BrokenPromiseError:
        return False
    return True


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_broken_persister_is_found(sabotage: str, tmp_path: Path) -> None:
    medium = SABOTAGES[sabotage][0]
    for seed in range(MOST_HISTORIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            History(make_plan(medium, seed), folder, sabotage).run()
        except (AssertionError, ValueError):
            assert not [thread for thread in threading.enumerate() if str(folder) in thread.name]
            return
    pytest.fail(f"no history noticed that {sabotage}")


def test_an_edit_that_was_not_flushed_may_be_there_or_not_after_a_kill() -> None:
    ledger = Ledger()
    ledger.note_local(0, 1, CELL, "new")
    ledger.note_end(0, 0, 5)
    assert may_hold(ledger, "new")
    assert may_hold(ledger, MISSING)
    assert not may_hold(ledger, "other")


def test_a_flushed_edit_must_be_there() -> None:
    ledger = Ledger()
    ledger.note_local(0, 1, CELL, "old")
    ledger.note_local(0, 2, CELL, "new")
    ledger.note_flushed(0, 3, 4)
    assert may_hold(ledger, "new")
    assert not may_hold(ledger, "old")
    assert not may_hold(ledger, MISSING)


def test_an_edit_is_lost_only_to_a_newer_one() -> None:
    ledger = Ledger()
    ledger.note_foreign(1, CELL, "older")
    ledger.note_local(0, 2, CELL, "mine")
    ledger.note_flushed(0, 3, 4)
    assert not may_hold(ledger, "older")
    ledger.note_foreign(5, CELL, "newer")
    assert may_hold(ledger, "newer")
    assert not may_hold(ledger, "mine")


def test_of_two_edits_at_the_same_time_either_may_win() -> None:
    ledger = Ledger()
    ledger.note_local(0, 1, CELL, "mine")
    ledger.note_foreign(2, CELL, "theirs")
    ledger.note_flushed(0, 3, 4)
    assert may_hold(ledger, "mine")
    assert may_hold(ledger, "theirs")


def test_a_merge_may_lose_but_what_it_brings_may_stand_there() -> None:
    ledger = Ledger()
    ledger.note_local(0, 1, CELL, "mine")
    ledger.note_flushed(0, 2, 3)
    ledger.note_foreign(4, CELL, "theirs", may_lose=True)
    assert may_hold(ledger, "mine")
    assert may_hold(ledger, "theirs")
    assert not may_hold(ledger, MISSING)


def test_a_deleted_row_stays_deleted_unless_it_had_unsaved_edits() -> None:
    other = Register("todo", "1", "b")
    for is_edited in (False, True):
        ledger = Ledger()
        ledger.note_local(0, 1, CELL, "whole")
        ledger.note_flushed(0, 2, 3)
        ledger.note_loaded(3, 4)
        if is_edited:
            ledger.note_local(0, 5, other, "unsaved")
        ledger.note_foreign_deletion(6, "1")
        ledger.note_loaded(7, 8)
        ledger.note_flushed(0, 9, 10)
        content: Content = ({"todo": {"1": {"a": "whole", "b": "unsaved"}}}, {})
        if is_edited:
            ledger.check(content, "now")
        else:
            assert may_hold(ledger, MISSING)
            assert not may_hold(ledger, "whole")


def test_half_of_a_transaction_is_found() -> None:
    ledger = Ledger()
    for register in pair("k"):
        ledger.note_local(0, 1, register, 1)
    ledger.check(({"pets": {"k": {"n": 1}}}, {"pair k": 1}), "now")
    with pytest.raises(BrokenPromiseError, match="half of a transaction"):
        ledger.check(({"pets": {"k": {"n": 1}}}, {}), "now")


def test_what_nobody_has_written_is_found() -> None:
    with pytest.raises(BrokenPromiseError, match="nobody has written it"):
        Ledger().check(holding(1), "now")
