from __future__ import annotations

from replicell.sync import Peer
from replicell.todo.company import describe_company, name_of, own_state


def test_names_come_in_order_and_too_many_are_counted() -> None:
    assert describe_company(["d", "c", "b", "a", ""]) == "with a, b, c and 2 others"
    assert describe_company(["a"]) == "with a"


def test_a_name_is_what_the_server_knows_else_what_somebody_says() -> None:
    assert name_of(Peer("1", {"name": "says Anna"}, "anna")) == "anna"
    assert name_of(Peer("1", {"name": "Anna"})) == "Anna"
    assert [name_of(Peer("1", state)) for state in ({}, {"name": ["x"]}, {"name": " \n"})] == ["", "", ""]


def test_a_name_can_neither_steer_the_terminal_nor_fill_it() -> None:
    assert name_of(Peer("1", {"name": "\x1b[2Jx"})) == "[2Jx"
    assert name_of(Peer("1", {"name": "x" * 500})) == "x" * 19 + "…"


def test_nothing_is_told_of_who_says_nothing() -> None:
    assert (own_state(""), own_state("Anna")) == ({}, {"name": "Anna"})
