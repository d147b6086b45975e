"""Defining queries: select, join, where, and queries over queries."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from replicell.store import (
    MISSING,
    DefinitionError,
    Queries,
    QueryBuilder,
    Store,
    create_queries,
    create_store,
)

PETS: dict[str, dict[str, Any]] = {
    "fido": {"species": "dog", "color": "brown", "price": 5, "owner": "1", "sold": True},
    "felix": {"species": "cat", "color": "black", "price": 4, "owner": "2", "sold": False},
    "cujo": {"species": "dog", "color": "black", "price": 6, "sold": True},
}
OWNERS = {"1": {"name": "Alice", "state": "CA"}, "2": {"name": "Bob", "state": "WA"}}
STATES = {"CA": {"name": "California"}, "WA": {"name": "Washington"}}


@pytest.fixture
def store() -> Store:
    return create_store().set_tables({"pets": PETS, "owners": OWNERS, "states": STATES})


@pytest.fixture
def queries(store: Store) -> Queries:
    return create_queries(store)


def result(queries: Queries) -> dict[str, dict[str, Any]]:
    return queries.get_result_table("q")


class TestSelect:
    def test_takes_cells_under_their_own_ids_or_others(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("species"), q.select("color").as_("paint"))
        )
        assert result(queries)["fido"] == {"species": "dog", "paint": "brown"}
        assert queries.get_result_row_ids("q") == ["fido", "felix", "cujo"]

    def test_a_function_gets_the_cells_and_the_row_id_and_is_numbered(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (q.select("species"), q.select(lambda get, row_id: f"{row_id}: {get('price')}")),
        )
        assert result(queries)["fido"] == {"species": "dog", "1": "fido: 5"}

    def test_what_is_missing_or_cannot_be_a_cell_is_left_out(self, queries: Queries) -> None:
        found = {"fido": MISSING, "felix": float("nan"), "cujo": None}
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("owner"), q.select(lambda get, row_id: found[row_id]).as_("x"))
        )
        assert result(queries) == {"fido": {"owner": "1"}, "felix": {"owner": "2"}, "cujo": {"x": None}}

    def test_a_function_whose_result_becomes_invalid_leaves_the_cell_out(
        self, store: Store, queries: Queries
    ) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("color"), q.select(lambda get, _: 1 / get("price")).as_("x"))
        )
        assert result(queries)["fido"]["x"] == 0.2
        with pytest.raises(ZeroDivisionError):
            store.set_cell("pets", "fido", "price", 0)
        assert "fido" not in result(queries)
        store.set_cell("pets", "fido", "price", 4)
        assert result(queries)["fido"]["x"] == 0.25

    def test_a_row_of_which_nothing_is_selected_is_left_out(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: q.select("owner"))
        assert queries.get_result_row_ids("q") == ["fido", "felix"]
        store.set_cell("pets", "cujo", "owner", "1").del_cell("pets", "fido", "owner")
        assert queries.get_result_row_ids("q") == ["felix", "cujo"]

    def test_of_two_with_the_same_id_the_later_counts(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("species").as_("x"), q.select("color").as_("x"))
        )
        assert result(queries)["fido"] == {"x": "brown"}

    def test_objects_and_arrays_come_out_as_they_went_in(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("tags"), q.select(lambda get, _: [get("price")]).as_("list"))
        )
        store.set_cell("pets", "fido", "tags", {"good": True})
        assert result(queries)["fido"] == {"tags": {"good": True}, "list": [5]}
        assert queries.get_result_cell("q", "cujo", "list") == [6]

    def test_without_any_select_a_query_is_defined_but_empty(self, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: q.where("sold", True))
        assert (queries.has_query("q"), result(queries)) == (True, {})


class TestSelectAll:
    def test_takes_all_cells_that_a_row_has(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "owners", lambda q: q.select_all())
        assert result(queries) == OWNERS
        store.set_cell("owners", "1", "age", 40).del_cell("owners", "2", "state")
        assert result(queries) == {"1": {**OWNERS["1"], "age": 40}, "2": {"name": "Bob"}}

    def test_of_a_joined_table_with_a_prefix_or_a_mapper(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select_all("owners", "owner_"),
                q.select_all("owners", str.upper),
                q.join("owners", "owner"),
            ),
        )
        assert result(queries)["fido"] == {
            "species": "dog",
            "owner_name": "Alice",
            "owner_state": "CA",
            "NAME": "Alice",
            "STATE": "CA",
        }

    def test_among_other_selects_the_order_of_clauses_decides(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "owners",
            lambda q: (q.select_all(), q.select("state").as_("name"), q.select("none").as_("state")),
        )
        assert result(queries)["1"] == {"name": "CA"}

    def test_makes_groups_of_all_cells_of_a_table_also_of_new_ones(
        self, store: Store, queries: Queries
    ) -> None:
        store.set_table("pairs", {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}})
        queries.set_query_definition("q", "pairs", lambda q: (q.select_all(), q.group("y", "sum")))
        assert list(result(queries).values()) == [{"x": 1, "y": 3}]
        store.set_cell("pairs", "b", "z", 9)
        assert list(result(queries).values()) == [{"x": 1, "y": 1}, {"x": 1, "y": 2, "z": 9}]
        store.del_cell("pairs", "b", "z")
        assert list(result(queries).values()) == [{"x": 1, "y": 3}]


class TestJoin:
    def test_puts_beside_each_row_the_one_it_names(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("owners", "name").as_("owner"),
                q.join("owners", "owner"),
            ),
        )
        assert [row.get("owner") for row in result(queries).values()] == ["Alice", "Bob", None]
        store.set_cell("owners", "1", "name", "Ann")
        assert result(queries)["fido"]["owner"] == "Ann"
        store.set_cell("pets", "fido", "owner", "2").set_cell("pets", "cujo", "owner", "1")
        assert [row.get("owner") for row in result(queries).values()] == ["Bob", "Bob", "Ann"]
        store.del_row("owners", "2")
        assert [row.get("owner") for row in result(queries).values()] == [None, None, "Ann"]

    def test_a_row_may_come_after_those_that_name_it(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (q.select("owners", "name").as_("owner"), q.join("owners", "owner")),
        )
        store.set_cell("pets", "cujo", "owner", 3)
        assert "cujo" not in result(queries)
        store.set_row("owners", "3", {"name": "Carol"})
        assert result(queries)["cujo"] == {"owner": "Carol"}

    def test_a_function_may_name_the_row(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("owners", "name").as_("owner"),
                q.join("owners", lambda get, row_id: "1" if row_id == "cujo" else get("owner")),
            ),
        )
        assert [row["owner"] for row in result(queries).values()] == ["Alice", "Bob", "Alice"]

    def test_may_start_from_another_join(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("states", "name").as_("state"),
                q.join("states", "owners", "state"),
                q.join("owners", "owner"),
            ),
        )
        assert [row["state"] for row in result(queries).values()] == ["California", "Washington"]
        store.set_cell("owners", "1", "state", "WA")
        assert result(queries)["fido"] == {"state": "Washington"}

    def test_what_is_joined_beyond_a_lost_link_is_lost_too(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("states", "name").as_("state"),
                q.join("owners", "owner"),
                q.join("states", "owners", "state"),
            ),
        )
        store.del_cell("pets", "fido", "owner")
        assert result(queries)["fido"] == {"species": "dog"}

    def test_a_table_may_be_joined_to_itself_under_an_alias(self, store: Store, queries: Queries) -> None:
        store.set_table("people", {"1": {"name": "Ann", "boss": "2"}, "2": {"name": "Bea", "boss": "2"}})
        queries.set_query_definition(
            "q",
            "people",
            lambda q: (
                q.select("name"),
                q.select("people", "name").as_("same"),
                q.select("bosses", "name").as_("boss"),
                q.join("people", "boss").as_("bosses"),
            ),
        )
        assert result(queries)["1"] == {"name": "Ann", "same": "Ann", "boss": "Bea"}
        store.set_cell("people", "2", "name", "Bob")
        assert [row["boss"] for row in result(queries).values()] == ["Bob", "Bob"]

    def test_an_unknown_alias_gives_nothing_and_in_a_strict_store_an_error(self, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("species"), q.select("nobody", "name")))
        assert result(queries)["fido"] == {"species": "dog"}
        strict = create_queries(Store(strict=True))
        with pytest.raises(DefinitionError, match=r"nothing is joined as 'nobody'; joined are 'owners'"):
            strict.set_query_definition(
                "q", "pets", lambda q: (q.select("nobody", "name"), q.join("owners", "owner"))
            )
        assert strict.get_query_ids() == []


class TestWhere:
    def test_compares_strictly(self, store: Store, queries: Queries) -> None:
        store.set_table("t", {str(n): {"x": x} for n, x in enumerate((1, 1.0, True, "1", None, [1]))})
        cases: list[tuple[Any, list[str]]] = [(1, ["0", "1"]), (True, ["2"]), ("1", ["3"]), (None, ["4"])]
        for wanted, expected in [*cases, ([1], []), (float("nan"), [])]:

            def build(q: QueryBuilder, wanted: Any = wanted) -> None:
                q.select("x")
                q.where("x", wanted)

            queries.set_query_definition("q", "t", build)
            assert queries.get_result_row_ids("q") == expected

    def test_all_conditions_hold(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (q.select("color"), q.where("sold", True), q.where(lambda get: get("price") > 5)),
        )
        assert queries.get_result_row_ids("q") == ["cujo"]

    def test_missing_asks_for_an_absent_cell(self, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("color"), q.where("owner", MISSING)))
        assert queries.get_result_row_ids("q") == ["cujo"]

    def test_may_ask_for_a_joined_cell(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("color"),
                q.join("owners", "owner"),
                q.where("owners", "state", "CA"),
                q.where(lambda get: get("owners", "name") != "Bob"),
            ),
        )
        assert queries.get_result_row_ids("q") == ["fido"]
        store.set_cell("owners", "1", "state", "WA")
        assert result(queries) == {}

    def test_rows_that_come_back_come_last(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("color"), q.where("sold", True)))
        store.set_cell("pets", "fido", "sold", False)
        assert queries.get_result_row_ids("q") == ["cujo"]
        store.set_cell("pets", "fido", "sold", True)
        assert queries.get_result_row_ids("q") == ["cujo", "fido"]


class TestQueriesOfQueries:
    def test_a_query_may_start_from_the_result_of_another(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("dogs", "pets", lambda q: (q.select("price"), q.where("species", "dog")))
        queries.set_query_definition(
            "q", True, "dogs", lambda q: (q.select("price"), q.where(lambda get: get("price") > 5))
        )
        assert (queries.get_table_id("q"), result(queries)) == ("dogs", {"cujo": {"price": 6}})
        store.set_cell("pets", "fido", "price", 9)
        assert result(queries) == {"cujo": {"price": 6}, "fido": {"price": 9}}

    def test_or_join_one(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("rich", "owners", lambda q: (q.select("name"), q.where("state", "CA")))
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select(True, "rich", "name"),
                q.join(True, "rich", "owner"),
                q.where(True, "rich", "name", "Alice"),
            ),
        )
        assert result(queries) == {"fido": {"name": "Alice"}}
        store.set_cell("owners", "1", "state", "WA")
        assert result(queries) == {}

    def test_the_other_query_may_be_defined_later(self, queries: Queries) -> None:
        queries.set_query_definition("q", True, "dogs", lambda q: q.select("price"))
        assert result(queries) == {}
        queries.set_query_definition("dogs", "pets", lambda q: (q.select("price"), q.where("species", "dog")))
        assert list(result(queries)) == ["fido", "cujo"]
        queries.del_query_definition("dogs")
        assert result(queries) == {}

    def test_no_query_may_read_its_own_result(self, queries: Queries) -> None:
        queries.set_query_definition("a", "pets", lambda q: q.select("price"))
        queries.set_query_definition("b", True, "a", lambda q: q.select("price"))
        with pytest.raises(DefinitionError, match="query 'a' would read its own result, by way of 'b'"):
            queries.set_query_definition("a", True, "b", lambda q: q.select_all())
        with pytest.raises(DefinitionError):
            queries.set_query_definition("c", True, "c", lambda q: q.select_all())
        assert (queries.get_table_id("a"), queries.has_query("c")) == ("pets", False)


class TestDefinitions:
    def test_a_store_has_one_queries_object(self, store: Store, queries: Queries) -> None:
        assert create_queries(store) is queries
        assert queries.get_store() is store

    def test_a_build_that_fails_leaves_everything_as_it_was(self, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: q.select("price"))
        before = result(queries)
        for wrong in (lambda q: 1 / 0, lambda q: q.select(lambda get, _: 1 / 0)):
            with pytest.raises(ZeroDivisionError):
                queries.set_query_definition("q", "owners", wrong)
            with pytest.raises(ZeroDivisionError):
                queries.set_query_definition("new", "pets", wrong)
        assert (result(queries), queries.get_table_id("q"), queries.get_query_ids()) == (
            before,
            "pets",
            ["q"],
        )

    def test_what_makes_no_definition_is_refused(self, queries: Queries) -> None:
        define: Any = queries.set_query_definition
        for arguments in (("q",), ("q", "pets"), ("q", "pets", "species"), ("q", True, lambda q: None)):
            with pytest.raises(TypeError, match="a query is defined by"):
                define(*arguments)
        for clause in (
            lambda q: q.select("a", "b", "c"),
            lambda q: q.where("a"),
            lambda q: q.join("a"),
            lambda q: q.select(True, "a"),
        ):
            with pytest.raises(TypeError):
                define("q", "pets", clause)

    def test_a_table_need_not_be_there_yet(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "later", lambda q: q.select("x"))
        store.set_cell("later", "r", "x", 1)
        assert result(queries) == {"r": {"x": 1}}

    def test_within_a_transaction_a_query_sees_what_was_written_so_far(
        self, store: Store, queries: Queries
    ) -> None:
        with store.transaction():
            store.set_cell("pets", "rex", "price", 9)
            queries.set_query_definition("q", "pets", lambda q: q.select("price"))
            assert result(queries)["rex"] == {"price": 9}
        assert result(queries)["rex"] == {"price": 9}

    @pytest.mark.parametrize("fails", [False, True])
    def test_and_forgets_it_when_the_transaction_is_undone(
        self, store: Store, queries: Queries, fails: bool
    ) -> None:
        def actions() -> None:
            store.set_cell("pets", "rex", "price", 9).del_row("pets", "fido")
            queries.set_query_definition("q", "pets", lambda q: q.select("price"))
            assert result(queries) == {
                "felix": {"price": 4},
                "cujo": {"price": 6},
                "rex": {"price": 9},
            }
            if fails:
                raise ValueError

        try:
            store.transaction(actions, lambda store: True)
        except ValueError:
            assert fails
        assert result(queries) == {"felix": {"price": 4}, "cujo": {"price": 6}, "fido": {"price": 5}}

    def test_destroy_lets_go_of_the_store_and_can_be_followed_by_new_queries(
        self, store: Store, queries: Queries
    ) -> None:
        queries.set_query_definition("q", "pets", lambda q: q.select("price"))
        queries.destroy()
        assert sum(store.get_listener_stats().values()) == 0
        assert (queries.get_query_ids(), result(queries)) == ([], {})
        queries.set_query_definition("q", "pets", lambda q: q.select("price"))
        assert len(result(queries)) == 3

    def test_a_forgotten_store_is_collected_with_its_queries(self) -> None:
        store = create_store().set_cell("t", "r", "c", 1)
        create_queries(store).set_query_definition("q", "t", lambda q: q.select("c"))
        forgotten = weakref.ref(store)
        del store
        gc.collect()
        assert forgotten() is None

    def test_a_store_that_moves_to_another_thread_takes_its_queries_along(self) -> None:
        import threading

        store = create_store()
        queries = create_queries(store).set_query_definition("q", "t", lambda q: q.select("c"))

        def work() -> None:
            store.move_to_current_thread().set_cell("t", "r", "c", 1)
            assert queries.get_result_table("q") == {"r": {"c": 1}}

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        store.move_to_current_thread()
        assert queries.get_result_table("q") == {"r": {"c": 1}}
