"""Refused changes: kept, told and forgotten."""

from __future__ import annotations

import pytest

from replicell.persisters.crsqlite.changes import ROW
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.messages import RefusedChange
from replicell.sync.refusals import Refusals


def refused(number: int, cid: str = "text") -> RefusedChange:
    return RefusedChange("todo", pack_key([str(number)]), cid, "no", number)


def test_the_last_thousand_are_kept() -> None:
    refusals = Refusals()
    refusals.add([refused(number) for number in range(1001)])
    assert [refusals.changes[0], refusals.changes[-1], len(refusals.changes)] == [
        refused(1),
        refused(1000),
        1000,
    ]


def test_listeners_are_told_once_and_no_longer_than_they_like(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    told: list[tuple[RefusedChange, ...]] = []

    def fail(_: object) -> None:
        raise RuntimeError("mine")

    refusals.add_listener("broken", fail)
    refusals.add_listener("good", told.append)
    refusals.add([])
    refusals.add([refused(1)])
    refusals.del_listener("good")
    refusals.del_listener("none such")
    refusals.add([refused(2)])

    assert told == [(refused(1),)]
    assert "a listener for refused changes failed" in caplog.text


def test_what_is_settled_is_forgotten_and_only_that() -> None:
    refusals = Refusals()
    refusals.add([refused(1), refused(2), refused(1, "n")])
    refusals.remove([refused(1)])
    assert refusals.changes == (refused(2), refused(1, "n"))


def test_a_refused_change_says_what_it_is_about() -> None:
    assert (refused(1).key, refused(1).column) == (("1",), "text")
    assert refused(1, ROW).column is None
    assert RefusedChange("todo", b"nonsense", "text", "no").key == ()
