"""Many-to-many relationships through a link table."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import DefinitionError, Links, RestrictedError, Store, create_links
from replicell.store.referential import OnDelete

CASTING: dict[str, Any] = {
    "casting": {
        "0": {"actor": "bogart", "movie": "casablanca", "role": "Rick"},
        "1": {"actor": "bogart", "movie": "sabrina"},
        "2": {"actor": "hepburn", "movie": "sabrina"},
        "3": {"actor": "hepburn"},
    },
    "actors": {"bogart": {"born": 1899}, "hepburn": {"born": 1929}},
    "movies": {"casablanca": {"year": 1942}, "sabrina": {"year": 1954}},
}


def cast(on_delete: OnDelete | None = None) -> tuple[Store, Links]:
    store = Store().set_tables(CASTING)
    links = create_links(store).set_link_definition(
        "played", "casting", "actors", "actor", "movies", "movie", on_delete=on_delete
    )
    return store, links


def test_rows_are_linked_both_ways() -> None:
    store, links = cast()
    assert links.get_right_row_ids("played", "bogart") == ["casablanca", "sabrina"]
    assert links.get_left_row_ids("played", "sabrina") == ["bogart", "hepburn"]
    store.set_cell("casting", "3", "movie", "casablanca").del_row("casting", "0")
    assert links.get_left_row_ids("played", "casablanca") == ["hepburn"]
    assert links.get_right_row_ids("played", "no such") == links.get_left_row_ids("no such", "sabrina") == []


def test_two_links_between_the_same_rows_count_once() -> None:
    store, links = cast()
    store.set_row("casting", "4", {"actor": "bogart", "movie": "sabrina"})
    assert links.get_right_row_ids("played", "bogart") == ["casablanca", "sabrina"]
    assert links.get_link_row_ids("played", "bogart", "sabrina") == ["1", "4"]
    store.del_row("casting", "1")
    assert links.get_right_row_ids("played", "bogart") == ["casablanca", "sabrina"]


def test_link_rows_of_one_side_include_those_that_lead_nowhere() -> None:
    _, links = cast()
    assert links.get_link_row_ids("played", "hepburn", None) == ["2", "3"]
    assert links.get_link_row_ids("played", None, "sabrina") == ["1", "2"]
    assert links.get_link_row_ids("no such", None, "sabrina") == []


def test_only_rows_that_are_linked_to_others_than_before_are_told_of() -> None:
    store, links = cast()
    seen: list[Any] = []
    links.add_right_row_ids_listener("played", None, lambda links, link, left: seen.append(left))
    links.add_left_row_ids_listener(None, "sabrina", lambda links, link, right: seen.append(right))
    store.set_cell("casting", "0", "role", "Richard")
    store.set_row("casting", "4", {"actor": "bogart", "movie": "sabrina"})
    assert seen == []
    store.set_cell("casting", "3", "movie", "sabrina").set_cell("casting", "2", "actor", "bogart")
    assert seen == []
    store.set_cell("casting", "3", "movie", "casablanca")
    assert seen == ["hepburn", "sabrina"]


def test_deleting_a_row_deletes_its_links() -> None:
    store, links = cast("cascade")
    store.del_row("actors", "bogart")
    assert store.get_row_ids("casting") == ["2", "3"]
    store.del_row("movies", "sabrina")
    assert store.get_row_ids("casting") == ["3"]
    assert links.get_right_row_ids("played", "hepburn") == []


def test_links_may_be_left_open_or_forbid_the_deletion() -> None:
    store, _ = cast("set_missing")
    store.del_row("movies", "sabrina")
    assert store.get_row("casting", "1") == {"actor": "bogart"}
    store, _ = cast("restrict")
    with pytest.raises(RestrictedError, match="'played'"):
        store.del_row("actors", "hepburn")


def test_a_table_may_be_linked_with_itself() -> None:
    store = Store().set_table("friends", {"0": {"a": "ann", "b": "bob"}, "1": {"a": "bob", "b": "cyd"}})
    links = create_links(store).set_link_definition(
        "friends", "friends", "people", "a", "people", "b", on_delete="cascade"
    )
    assert links.get_right_row_ids("friends", "bob") == ["cyd"]
    assert links.get_left_row_ids("friends", "bob") == ["ann"]
    store.set_row("people", "bob", {"n": 1}).del_row("people", "bob")
    assert store.get_tables() == {}


def test_definitions_can_be_changed_read_and_removed() -> None:
    _, links = cast()
    seen: list[Any] = []
    links.add_link_ids_listener(lambda links: seen.append(links.get_link_ids()))
    assert (links.get_left_table_id("played"), links.get_right_table_id("played")) == ("actors", "movies")
    assert links.get_link_table_id("played") == "casting"
    links.set_link_definition("played", "casting", "movies", "movie", "actors", "actor")
    assert links.get_right_row_ids("played", "sabrina") == ["bogart", "hepburn"]
    assert links.del_link_definition("played").has_link("played") is False
    assert links.get_left_table_id("played") is links.get_right_table_id("played") is None
    assert links.get_link_table_id("played") is None
    assert seen == [[]]
    assert links.get_listener_stats() == {"left_row_ids": 0, "right_row_ids": 0}


def test_an_open_link_cannot_come_from_a_function() -> None:
    links = create_links(Store())
    with pytest.raises(DefinitionError, match="needs a cell id"):
        links.set_link_definition("l", "t", "a", "a", "b", lambda g, r: r, on_delete="set_missing")
