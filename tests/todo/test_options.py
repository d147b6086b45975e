"""The options of ``replicell todo``."""

from __future__ import annotations

from replicell.cli import build_parser


def servers(*words: str) -> object:
    return build_parser().parse_args(["todo", "--db", "a.db", *words]).server


def test_without_a_server_the_list_stays_here() -> None:
    assert servers() is None


def test_several_servers_are_given_with_commas_or_one_by_one() -> None:
    one, two, three = "ws://one/room", "wss://two/room", "ws://three/room"

    assert servers("--server", one) == [one]
    assert servers("--server", f"{one},{two}", "--server", three) == [one, two, three]


def test_a_comma_in_the_name_of_a_room_is_none_between_addresses() -> None:
    assert servers("--server", "ws://one/milk,bread,wss://two/milk,bread") == [
        "ws://one/milk,bread",
        "wss://two/milk,bread",
    ]
