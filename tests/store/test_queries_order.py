"""What goes beyond TinyBase: results in an order of their own, cut, and with a row for each match."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicell.store import DefinitionError, Queries, QueryBuilder, Store, create_queries, create_store
from tests.store.effort import lines_run


@pytest.fixture
def store() -> Store:
    return create_store().set_table(
        "pets",
        {
            "fido": {"species": "dog", "age": 3},
            "felix": {"species": "cat", "age": 2},
            "cujo": {"species": "dog", "age": 4},
            "tom": {"species": "cat", "age": 3},
        },
    )


@pytest.fixture
def queries(store: Store) -> Queries:
    return create_queries(store)


def ids(queries: Queries) -> list[str]:
    row_ids = queries.get_result_row_ids("q")
    assert list(queries.get_result_table("q")) == row_ids
    visited: list[str] = []
    queries.for_each_result_row("q", lambda row_id, _: visited.append(row_id))
    assert visited == row_ids
    return row_ids


class TestOrderBy:
    def test_rows_come_in_the_order_of_a_cell_and_equals_by_their_ids(
        self, store: Store, queries: Queries
    ) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("age"), q.order_by("age")))
        assert ids(queries) == ["felix", "fido", "tom", "cujo"]
        store.set_cell("pets", "cujo", "age", 1)
        assert ids(queries) == ["cujo", "felix", "fido", "tom"]
        store.del_row("pets", "felix").set_row("pets", "ann", {"age": 3})
        assert ids(queries) == ["cujo", "ann", "fido", "tom"]

    def test_further_keys_decide_among_equals_each_in_its_direction(self, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("age"),
                q.order_by("species", descending=True),
                q.order_by("age", descending=True),
            ),
        )
        assert ids(queries) == ["cujo", "fido", "tom", "felix"]

    def test_a_function_may_say_the_key(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("age"), q.order_by(lambda get: -get("age")))
        )
        assert ids(queries) == ["cujo", "fido", "tom", "felix"]
        with pytest.raises(TypeError):
            store.set_cell("pets", "felix", "age", "old")
        store.set_cell("pets", "felix", "age", 9)
        assert ids(queries) == ["felix", "cujo", "fido", "tom"]

    def test_groups_can_be_ordered_by_an_aggregate(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("age"),
                q.group("age", "sum").as_("total"),
                q.order_by("total"),
            ),
        )
        assert [row["species"] for row in queries.get_result_table("q").values()] == ["cat", "dog"]
        store.set_cell("pets", "tom", "age", 9)
        assert [row["species"] for row in queries.get_result_table("q").values()] == ["dog", "cat"]
        store.set_cell("pets", "fido", "age", 7)
        assert [row["species"] for row in queries.get_result_table("q").values()] == ["cat", "dog"]

    def test_row_id_listeners_hear_when_only_the_order_changes(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("age"), q.order_by("age")))
        heard: list[Any] = []
        queries.add_result_row_ids_listener(
            "q", lambda queries, _, changes: heard.append((changes(), ids(queries)))
        )
        store.set_cell("pets", "cujo", "age", 5)
        assert heard == []
        store.set_cell("pets", "cujo", "age", 0)
        assert heard == [({}, ["cujo", "felix", "fido", "tom"])]
        store.set_row("pets", "ann", {"age": 9})
        assert heard[1:] == [({"ann": 1}, ["cujo", "felix", "fido", "tom", "ann"])]


class TestLimitAndOffset:
    def test_only_a_window_is_in_the_result(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("age"), q.order_by("age"), q.limit(2), q.offset(1))
        )
        assert ids(queries) == ["fido", "tom"]
        store.set_cell("pets", "cujo", "age", 0)
        assert ids(queries) == ["felix", "fido"]
        store.del_row("pets", "felix").del_row("pets", "fido")
        assert ids(queries) == ["tom"]
        store.set_row("pets", "ann", {"age": 3})
        assert ids(queries) == ["ann", "tom"]

    def test_listeners_hear_of_what_enters_and_leaves_the_window_and_of_nothing_outside(
        self, store: Store, queries: Queries
    ) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("age"), q.order_by("age"), q.limit(2)))
        heard: list[Any] = []
        queries.add_result_row_ids_listener("q", lambda _, __, changes: heard.append(changes()))
        store.set_cell("pets", "cujo", "age", 9)
        assert heard == []
        store.set_cell("pets", "cujo", "age", 1)
        assert heard == [{"cujo": 1, "fido": -1}]
        store.set_cell("pets", "cujo", "age", 2.5)
        assert heard[1:] == [{}]

    def test_without_order_by_the_row_ids_say_the_order(self, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("age"), q.limit(3)))
        assert ids(queries) == ["cujo", "felix", "fido"]

    def test_numbers_below_0_are_refused(self, queries: Queries) -> None:
        wrong: Any
        for wrong in (-1, 1.5, True, "1"):
            with pytest.raises(DefinitionError, match="the limit of a query must be a number from 0"):
                queries.set_query_definition("q", "pets", lambda q, wrong=wrong: q.limit(wrong))  # type: ignore[misc]  # a default
        with pytest.raises(DefinitionError, match="the offset"):
            queries.set_query_definition("q", "pets", lambda q: q.offset(-1))


class TestJoinEach:
    @pytest.fixture
    def owned(self, store: Store) -> Store:
        store.set_tables(
            {
                "owners": {"1": {"name": "Alice"}, "2": {"name": "Bob"}},
                "pets": {
                    "fido": {"owner": "1", "age": 3},
                    "felix": {"owner": 1, "age": 2},
                    "rex": {"owner": None, "age": 9},
                },
            }
        )
        return store

    def test_gives_a_row_for_each_match_and_keeps_rows_without(self, owned: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "owners", each_pet)
        assert queries.get_result_table("q") == {
            '["1","fido"]': {"name": "Alice", "age": 3},
            '["1","felix"]': {"name": "Alice", "age": 2},
            '["2",null]': {"name": "Bob"},
        }
        assert [json.loads(row_id) for row_id in ids(queries)][-1] == ["2", None]

    def test_follows_rows_that_begin_or_cease_to_match(self, owned: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "owners", each_pet)
        owned.set_cell("pets", "rex", "owner", "2")
        assert set(ids(queries)) == {'["1","fido"]', '["1","felix"]', '["2","rex"]'}
        owned.set_cell("pets", "rex", "owner", "1").del_row("pets", "fido")
        assert set(ids(queries)) == {'["1","felix"]', '["1","rex"]', '["2",null]'}
        owned.del_row("pets", "felix").del_cell("pets", "rex", "owner")
        assert set(ids(queries)) == {'["1",null]', '["2",null]'}
        owned.del_row("owners", "1").set_row("owners", "3", {"name": "Carol"})
        assert set(ids(queries)) == {'["2",null]', '["3",null]'}

    def test_an_inner_join_leaves_rows_without_a_match_out(self, owned: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "owners", lambda q: (q.select("name"), q.join_each("pets", "owner", inner=True))
        )
        assert ids(queries) == ['["1","fido"]', '["1","felix"]']
        owned.del_row("pets", "fido").del_row("pets", "felix")
        assert ids(queries) == []
        owned.set_row("pets", "tom", {"owner": "2"})
        assert ids(queries) == ['["2","tom"]']

    def test_any_two_cells_can_be_compared(self, store: Store, queries: Queries) -> None:
        store.set_table("kinds", {"a": {"kind": "dog", "legs": 4}, "b": {"kind": "cat", "legs": 4}})
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("kinds", "legs"),
                q.select("species"),
                q.join_each("kinds", "kind", "species"),
            ),
        )
        assert queries.get_result_row("q", '["tom","b"]') == {"legs": 4, "species": "cat"}
        store.set_cell("kinds", "b", "kind", "bird").set_cell("pets", "tom", "species", "bird")
        assert queries.get_result_row("q", '["tom","b"]') == {"legs": 4, "species": "bird"}
        assert queries.get_result_row("q", '["felix",null]') == {"species": "cat"}

    def test_joins_may_follow_each_other_and_a_function_may_say_what_matches(
        self, owned: Store, queries: Queries
    ) -> None:
        owned.set_table("toys", {"ball": {"of": "fido"}, "bone": {"of": "fido"}, "mouse": {"of": "felix"}})
        queries.set_query_definition(
            "q",
            "owners",
            lambda q: (
                q.select("name"),
                q.select("toys", "of"),
                q.join_each("pets", "owner", lambda get, row_id: row_id, inner=True),
                q.join_each("toys", "of", from_alias="pets", inner=True),
            ),
        )
        assert ids(queries) == ['["1","fido","ball"]', '["1","fido","bone"]']
        owned.set_cell("toys", "mouse", "of", "fido").del_row("toys", "ball")
        assert set(ids(queries)) == {'["1","fido","bone"]', '["1","fido","mouse"]'}

    def test_a_query_may_be_joined_and_a_table_to_itself(self, owned: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "old", "pets", lambda q: (q.select("owner"), q.where(lambda get: get("age") > 2))
        )
        queries.set_query_definition(
            "q",
            "owners",
            lambda q: (q.select("name"), q.join_each("old", "owner", inner=True, is_query=True)),
        )
        queries.set_query_definition(
            "pairs",
            "pets",
            lambda q: (
                q.select("age"),
                q.select("others", "age").as_("other"),
                q.join_each("pets", "age", "age").as_("others"),
            ),
        )
        assert ids(queries) == ['["1","fido"]']
        owned.set_cell("pets", "felix", "age", 3)
        assert set(ids(queries)) == {'["1","fido"]', '["1","felix"]'}
        assert set(queries.get_result_row_ids("pairs")) == {
            '["fido","fido"]',
            '["fido","felix"]',
            '["felix","fido"]',
            '["felix","felix"]',
            '["rex","rex"]',
        }
        owned.set_cell("pets", "felix", "owner", "2")
        assert set(ids(queries)) == {'["1","fido"]', '["2","felix"]'}

    def test_results_can_be_grouped_and_ordered(self, owned: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "owners",
            lambda q: (
                q.select("name"),
                q.select("pets", "age"),
                q.join_each("pets", "owner"),
                q.group("age", "count").as_("pets"),
                q.order_by("pets", descending=True),
            ),
        )
        assert list(queries.get_result_table("q").values()) == [{"name": "Alice", "pets": 2}, {"name": "Bob"}]


def each_pet(q: QueryBuilder) -> None:
    q.select("name")
    q.select("pets", "age")
    q.join_each("pets", "owner")


SHAPES: dict[str, Any] = {
    "filtered": lambda q: (q.select("rank"), q.where("even", True)),
    "joined": lambda q: (q.select("rank"), q.select("lists", "name"), q.join("lists", "list")),
    "grouped": lambda q: (q.select("list"), q.select("rank"), q.group("rank", "min")),
    "ordered": lambda q: (q.select("rank"), q.order_by("rank"), q.limit(10)),
    "joined by a cell": lambda q: (q.select("rank"), q.join_each("lists", "name", "list")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_write_runs_the_same_lines_however_large_the_table(shape: str) -> None:
    def lines(size: int) -> int:
        store = create_store().set_table(
            "todos",
            {f"{n}": {"rank": n, "even": n % 2 == 0, "list": f"list {n % 100}"} for n in range(size)},
        )
        store.set_table("lists", {f"list {n}": {"name": f"list {n}"} for n in range(100)})
        create_queries(store).set_query_definition("q", "todos", SHAPES[shape])

        def write() -> None:
            for n in range(50):
                store.set_cell("todos", str(n * 7919 % size), "rank", n - size)

        return lines_run(write)

    # What grows with the table would run 20 times as many; the depth of a sorted row makes some difference.
    assert lines(20_000) < 1.5 * lines(1_000)
