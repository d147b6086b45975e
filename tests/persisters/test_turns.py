"""One at a time goes on, first come, first served."""

from __future__ import annotations

from replicell.persisters.turns import Turns


def test_who_waits_is_called_in_order_until_somebody_has_taken_the_turn() -> None:
    turns, calls = Turns(), list[str]()

    def one() -> None:
        calls.append("one")

    def two() -> None:
        calls.append("two")
        assert turns.take(two)

    def three() -> None:
        calls.append("three")

    assert turns.take(one)
    assert [turns.take(waiting) for waiting in (one, two, three)] == [False, False, False]
    turns.give_back()
    assert calls == ["one", "two"]
    turns.give_back()
    assert calls == ["one", "two", "three"]


def test_who_has_left_is_not_called() -> None:
    turns, calls = Turns(), list[str]()

    def waiting() -> None:
        calls.append("called")

    assert turns.take(waiting)
    assert not turns.take(waiting)
    turns.leave(waiting)
    turns.give_back()
    assert calls == []
    assert turns.take(waiting)
