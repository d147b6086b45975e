"""Relationships: links looked up from both sides, chains, and what deleting a row brings with it."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import (
    DefinitionError,
    RestrictedError,
    Store,
    create_checkpoints,
    create_middleware,
    create_relationships,
)
from replicell.store.referential import OnDelete

FAMILY: dict[str, Any] = {
    "species": {"dog": {"price": 5}, "cat": {"price": 4}},
    "pets": {
        "fido": {"species": "dog", "name": "Fido"},
        "rex": {"species": "dog", "name": "Rex"},
        "felix": {"species": "cat", "name": "Felix"},
    },
    "visits": {"1": {"pet": "fido"}, "2": {"pet": "fido"}, "3": {"pet": "felix"}},
}


def family(on_delete: OnDelete | None) -> Store:
    store = Store().set_tables(FAMILY)
    create_relationships(store).set_relationship_definition(
        "of_species", "pets", "species", "species", on_delete=on_delete
    ).set_relationship_definition("of_pet", "visits", "pets", "pet", on_delete=on_delete)
    return store


def test_links_are_known_from_both_sides() -> None:
    relationships = create_relationships(family(None))
    assert relationships.get_remote_row_id("of_species", "fido") == "dog"
    assert relationships.get_local_row_ids("of_species", "dog") == ["fido", "rex"]
    assert relationships.get_remote_row_id("of_species", "no such") is None
    assert relationships.get_remote_row_id("no such", "fido", default="none") == "none"


def test_a_row_need_not_be_there_to_be_referred_to() -> None:
    store = family(None)
    store.set_cell("pets", "fido", "species", "wolf").del_row("species", "cat")
    relationships = create_relationships(store)
    assert relationships.get_local_row_ids("of_species", "wolf") == ["fido"]
    assert relationships.get_local_row_ids("of_species", "cat") == ["felix"]


def test_chains_are_told_of_when_a_row_in_them_changes() -> None:
    store = Store().set_table("t", {"a": {"next": "b"}, "b": {"next": "c"}, "x": {"next": "y"}})
    relationships = create_relationships(store).set_relationship_definition("q", "t", "t", "next")
    seen: list[Any] = []
    for first in ("a", "x"):
        relationships.add_linked_row_ids_listener(
            "q", first, lambda rels, rel, first: seen.append(rels.get_linked_row_ids(rel, first))
        )
    store.set_cell("t", "b", "next", "d")
    store.set_cell("t", "d", "next", "a")
    assert seen == [["a", "b", "d"], ["a", "b", "d"]]
    assert relationships.get_linked_row_ids("q", "d") == ["d", "a", "b"]


def test_a_chain_may_be_listened_to_before_there_is_a_relationship() -> None:
    store = Store()
    relationships = create_relationships(store)
    seen: list[Any] = []
    relationships.add_linked_row_ids_listener("q", "a", lambda *args: seen.append(args[1:]))
    relationships.set_relationship_definition("q", "t", "t", "next")
    store.set_row("t", "a", {"next": "b"})
    assert seen == [("q", "a")]
    with pytest.raises(TypeError, match="not None"):
        relationships.add_linked_row_ids_listener(None, "a", print)  # type: ignore[arg-type]  # what is refused


def test_cascade_deletes_what_refers_to_the_deleted_and_so_on() -> None:
    store = family("cascade")
    store.del_row("species", "dog")
    assert store.get_tables() == {
        "species": {"cat": {"price": 4}},
        "pets": {"felix": FAMILY["pets"]["felix"]},
        "visits": {"3": {"pet": "felix"}},
    }
    store.del_table("species")
    assert store.get_tables() == {}


def test_set_missing_deletes_the_cell_that_refers() -> None:
    store = family("set_missing")
    store.del_row("species", "dog")
    assert store.get_row("pets", "fido") == {"name": "Fido"}
    store.del_row("pets", "felix")
    assert not store.has_row("visits", "3")
    assert store.get_row_ids("visits") == ["1", "2"]


def test_restrict_undoes_the_transaction_and_says_who_refers() -> None:
    store = family("restrict")
    with pytest.raises(RestrictedError, match="'fido', 'rex'") as raised, store.transaction():
        store.set_value("v", 1).del_row("species", "dog")
    assert (raised.value.relationship_id, raised.value.remote_row_id) == ("of_species", "dog")
    assert store.get_tables() == FAMILY
    assert store.get_values() == {}


def test_restrict_looks_at_what_the_transaction_leaves() -> None:
    store = family("restrict")
    with store.transaction():
        store.del_row("species", "dog")
        store.del_row("pets", "rex").set_cell("pets", "fido", "species", "cat")
    assert store.get_row_ids("species") == ["cat"]
    with pytest.raises(RestrictedError), store.transaction():
        store.set_row("pets", "tom", {"species": "cat"}).del_row("pets", "felix")
        store.del_row("pets", "fido").del_table("visits").del_row("species", "cat")


def test_a_row_that_comes_again_was_not_deleted() -> None:
    store = family("cascade")
    with store.transaction():
        store.del_row("species", "dog").set_row("species", "dog", {"price": 6})
    assert store.get_row_ids("pets") == ["fido", "rex", "felix"]


def test_rows_linked_in_the_same_transaction_go_too() -> None:
    store = family("cascade")
    with store.transaction():
        store.set_row("pets", "tom", {"species": "cat"}).set_cell("pets", "rex", "species", "cat")
        store.del_row("species", "cat")
    assert store.get_row_ids("pets") == ["fido"]


def test_deletion_and_what_follows_are_one_change_to_listeners_and_to_undo() -> None:
    store = family("cascade")
    checkpoints = create_checkpoints(store)
    told: list[Any] = []
    store.add_tables_listener(lambda store, change: told.append(store.get_table_ids()))
    store.del_table("species")
    assert told == [[]]
    checkpoints.add_checkpoint()
    assert checkpoints.go_backward().get_store().get_tables() == FAMILY
    assert checkpoints.go_forward().get_store().get_tables() == {}


def test_a_long_chain_of_rows_goes_at_once() -> None:
    store = Store().set_table("t", {str(i): {"parent": str(i - 1)} for i in range(1, 3000)})
    store.set_row("t", "0", {"root": True})
    create_relationships(store).set_relationship_definition("q", "t", "t", "parent", on_delete="cascade")
    store.del_row("t", "0")
    assert store.get_tables() == {}


def test_rows_that_refer_to_each_other_in_a_circle_go_together() -> None:
    store = Store().set_table("t", {"a": {"next": "b"}, "b": {"next": "a"}, "c": {"next": "c"}})
    create_relationships(store).set_relationship_definition("q", "t", "t", "next", on_delete="cascade")
    store.del_row("t", "a")
    assert store.get_row_ids("t") == ["c"]


def test_a_cascade_asks_middleware_which_may_keep_rows() -> None:
    store = family("cascade")
    create_middleware(store).add_will_del_row_callback(lambda table_id, row_id: row_id != "rex")
    store.del_row("species", "dog")
    assert store.get_row_ids("pets") == ["rex", "felix"]


def test_a_function_may_say_what_a_row_refers_to() -> None:
    store = Store().set_tables({"t": {"a1": {"n": 1}, "b1": {"n": 1}}, "u": {"a": {"n": 1}}})
    relationships = create_relationships(store).set_relationship_definition(
        "q", "t", "u", lambda get_cell, row_id: row_id[0], on_delete="cascade"
    )
    assert store.del_row("u", "a").get_tables() == {"t": {"b1": {"n": 1}}}
    with pytest.raises(DefinitionError, match="needs a cell id"):
        relationships.set_relationship_definition("q", "t", "u", lambda g, r: r, on_delete="set_missing")
    with pytest.raises(DefinitionError, match="'cascade', 'set_missing', 'restrict'"):
        relationships.set_relationship_definition("q", "t", "u", "n", on_delete="explode")  # type: ignore[arg-type]  # what is refused


def test_actions_end_with_their_relationship() -> None:
    store = family("cascade")
    relationships = create_relationships(store)
    relationships.set_relationship_definition("of_species", "pets", "species", "species")
    store.del_row("species", "dog")
    assert store.has_row("pets", "fido")
    relationships.del_relationship_definition("of_pet")
    store.del_row("pets", "fido")
    assert store.has_row("visits", "1")
    relationships.destroy()
    assert store._settlers == ()


def test_a_cell_that_its_default_makes_refer_again_is_left() -> None:
    store = Store().set_tables_schema(
        {"t": {"of": {"type": "string", "default": "x"}}, "u": {"n": {"type": "number"}}}
    )
    create_relationships(store).set_relationship_definition("q", "t", "u", "of", on_delete="set_missing")
    store.set_row("u", "x", {"n": 1}).set_row("t", "r", {"of": "x"}).del_row("u", "x")
    assert store.get_tables() == {"t": {"r": {"of": "x"}}}
