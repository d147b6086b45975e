"""Grouping: aggregates, having, distinct, and the ids of groups."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from replicell.store import MISSING, Queries, QueryBuilder, Store, create_queries, create_store


@pytest.fixture
def store() -> Store:
    return create_store().set_table(
        "pets",
        {
            "fido": {"species": "dog", "price": 5},
            "felix": {"species": "cat", "price": 4},
            "cujo": {"species": "dog", "price": 6},
            "tom": {"species": "cat"},
        },
    )


@pytest.fixture
def queries(store: Store) -> Queries:
    return create_queries(store)


def by_species(aggregate: Any, *short_cuts: Any) -> Callable[[QueryBuilder], object]:
    return lambda q: (q.select("species"), q.select("price"), q.group("price", aggregate, *short_cuts))


def result(queries: Queries) -> dict[str, dict[str, Any]]:
    return queries.get_result_table("q")


@pytest.mark.parametrize(
    ("aggregate", "dogs", "cats"),
    [
        ("count", 2, 1),
        ("sum", 11, 4),
        ("avg", 5.5, 4),
        ("min", 5, 4),
        ("max", 6, 4),
        ("count_distinct", 2, 1),
        ("no such aggregate", 2, 1),
    ],
)
def test_rows_are_aggregated_where_all_other_cells_agree(
    queries: Queries, aggregate: str, dogs: float, cats: float
) -> None:
    queries.set_query_definition("q", "pets", by_species(aggregate))
    assert result(queries) == {
        "0": {"species": "dog", "price": dogs},
        "1": {"species": "cat", "price": cats},
    }


def test_one_cell_may_have_several_aggregates(queries: Queries) -> None:
    queries.set_query_definition(
        "q",
        "pets",
        lambda q: (
            q.select("species"),
            q.select("price"),
            q.group("price", "min").as_("least"),
            q.group("price", "max").as_("most"),
        ),
    )
    assert result(queries)["0"] == {"species": "dog", "least": 5, "most": 6}


def test_without_other_cells_all_rows_are_one_group(store: Store, queries: Queries) -> None:
    queries.set_query_definition("q", "pets", lambda q: (q.select("price"), q.group("price", "sum")))
    assert result(queries) == {"0": {"price": 15}}
    store.del_table("pets")
    assert result(queries) == {}


def test_an_absent_cell_makes_a_group_of_its_own_and_booleans_are_no_numbers(store: Store) -> None:
    rows: list[dict[str, Any]] = [{}, {"x": 1}, {"x": True}, {"x": None}]
    for number, row in enumerate(rows):
        store.set_row("t", str(number), {"n": 1, **row})
    queries = create_queries(store).set_query_definition(
        "q", "t", lambda q: (q.select("x"), q.select("n"), q.group("n", "count"))
    )
    assert list(result(queries).values()) == [
        {"n": 1},
        {"x": 1, "n": 1},
        {"x": True, "n": 1},
        {"x": None, "n": 1},
    ]


def test_objects_make_groups_by_their_content(store: Store, queries: Queries) -> None:
    store.set_table("t", {"a": {"x": {"k": 1}, "n": 1}, "b": {"x": {"k": 1}, "n": 2}})
    queries.set_query_definition("q", "t", lambda q: (q.select("x"), q.select("n"), q.group("n", "sum")))
    assert result(queries) == {"0": {"x": {"k": 1}, "n": 3}}


def test_no_cells_give_no_aggregate_and_no_count_of_0(store: Store, queries: Queries) -> None:
    queries.set_query_definition("q", "pets", by_species("count"))
    store.del_cell("pets", "felix", "price")
    assert result(queries)["1"] == {"species": "cat"}
    store.set_cell("pets", "tom", "price", 3)
    assert result(queries)["1"] == {"species": "cat", "price": 1}


@pytest.mark.parametrize("aggregate", ["sum", "avg", "min", "max"])
def test_what_is_no_number_gives_no_aggregate(store: Store, queries: Queries, aggregate: str) -> None:
    queries.set_query_definition("q", "pets", by_species(aggregate))
    store.set_cell("pets", "fido", "price", "much")
    assert result(queries)["0"] == {"species": "dog"}
    store.set_cell("pets", "fido", "price", True).set_cell("pets", "cujo", "price", None)
    expected = {"sum": 1, "avg": 0.5, "min": 0, "max": 1}
    assert result(queries)["0"]["price"] == expected[aggregate]


def test_a_minimum_that_goes_leaves_the_next(store: Store, queries: Queries) -> None:
    queries.set_query_definition("q", "pets", by_species("min"))
    for price, least in ((9, 6), (1, 1), (6, 6), (7, 6)):
        store.set_cell("pets", "fido", "price", price)
        assert result(queries)["0"]["price"] == least
    store.del_row("pets", "cujo")
    assert result(queries)["0"]["price"] == 7


@pytest.mark.parametrize("aggregate", ["sum", "avg"])
def test_sums_and_means_do_not_drift(store: Store, aggregate: str) -> None:
    chance = random.Random(5)
    numbers: list[float] = [chance.uniform(-1e3, 1e3) for _ in range(50)]
    store.set_table("t", {str(n): {"x": number} for n, number in enumerate(numbers)})
    queries = create_queries(store).set_query_definition(
        "q", "t", lambda q: (q.select("x"), q.group("x", aggregate))
    )
    for _ in range(2000):
        place = chance.randrange(50)
        numbers[place] = chance.choice((1e15, 0.1, 1e-9, 3, -7))
        store.set_cell("t", str(place), "x", numbers[place])
    exact = Fraction(0)
    for number in numbers:
        exact += Fraction(number)
    assert queries.get_result_cell("q", "0", "x") == float(exact if aggregate == "sum" else exact / 50)


def test_a_sum_that_is_no_number_any_more_is_left_out(store: Store, queries: Queries) -> None:
    queries.set_query_definition("q", "pets", by_species("sum"))
    store.set_cell("pets", "fido", "price", 1.7e308).set_cell("pets", "cujo", "price", 1.7e308)
    assert result(queries)["0"] == {"species": "dog"}


class TestCustomAggregates:
    def test_a_function_gets_all_cells_and_their_number(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", by_species(lambda cells, length: [sorted(cells), length]))
        assert result(queries)["0"]["price"] == [[5, 6], 2]
        store.set_cell("pets", "tom", "price", 1)
        assert result(queries)["1"]["price"] == [[1, 4], 2]

    def test_short_cuts_are_taken_where_there_are_any(self, store: Store, queries: Queries) -> None:
        calls: list[tuple[Any, ...]] = []

        def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                calls.append((name, *arguments))
                return function(*arguments)

            return call

        queries.set_query_definition(
            "q",
            "pets",
            by_species(
                noted("all", lambda cells, length: sum(cells)),
                noted("add", lambda total, cell, length: total + cell),
                noted("remove", lambda total, cell, length: total - cell),
                noted("replace", lambda total, cell, old, length: total - old + cell),
            ),
        )
        calls.clear()
        store.set_row("pets", "rex", {"species": "dog", "price": 7})
        store.set_cell("pets", "rex", "price", 8)
        store.del_row("pets", "rex")
        assert calls == [("add", 11, 7, 2), ("replace", 18, 8, 7, 3), ("remove", 19, 8, 3)]
        assert result(queries)["0"]["price"] == 11

    def test_a_short_cut_that_is_missing_has_all_computed_anew(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", by_species(lambda cells, length: sum(cells), lambda *_: MISSING)
        )
        store.set_row("pets", "rex", {"species": "dog", "price": 7})
        assert result(queries)["0"]["price"] == 18

    def test_a_function_that_fails_reaches_who_wrote_and_hurts_nothing_else(
        self, store: Store, queries: Queries
    ) -> None:
        queries.set_query_definition("q", "pets", by_species(lambda cells, length: 60 / min(cells)))
        queries.set_query_definition("sums", "pets", by_species("sum"))
        with pytest.raises(ZeroDivisionError):
            store.set_cell("pets", "fido", "price", 0)
        assert queries.get_result_cell("sums", "0", "price") == 6
        store.set_cell("pets", "fido", "price", 3)
        assert result(queries)["0"]["price"] == 20


class TestHaving:
    def test_keeps_groups_that_meet_all_conditions(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("price"),
                q.group("price", "sum").as_("total"),
                q.having(lambda get: get("total") > 4),
                q.having("species", "dog"),
            ),
        )
        assert result(queries) == {"0": {"species": "dog", "total": 11}}
        store.set_cell("pets", "cujo", "species", "cat")
        assert result(queries) == {"0": {"species": "dog", "total": 5}}

    def test_without_group_gives_the_distinct_combinations(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("species"), q.having(lambda get: get("species") != "cow"))
        )
        assert list(result(queries).values()) == [{"species": "dog"}, {"species": "cat"}]
        store.set_row("pets", "elsa", {"species": "cow"}).del_row("pets", "felix").del_row("pets", "tom")
        assert list(result(queries).values()) == [{"species": "dog"}]

    def test_a_group_that_is_hidden_keeps_its_row_id_to_itself(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q",
            "pets",
            lambda q: (
                q.select("species"),
                q.select("price"),
                q.group("price", "sum"),
                q.having(lambda get: get("price") > 3),
            ),
        )
        assert result(queries) == {"0": {"species": "dog", "price": 11}, "1": {"species": "cat", "price": 4}}
        store.set_cell("pets", "felix", "price", 1)
        assert result(queries) == {"0": {"species": "dog", "price": 11}}
        store.set_row("pets", "elsa", {"species": "cow", "price": 9})
        assert result(queries)["2"] == {"species": "cow", "price": 9}
        store.set_cell("pets", "felix", "price", 5)
        assert result(queries)["1"] == {"species": "cat", "price": 5}
        assert len(result(queries)) == 3


def test_row_ids_of_groups_that_are_gone_are_used_again(store: Store, queries: Queries) -> None:
    queries.set_query_definition("q", "pets", by_species("sum"))
    store.del_row("pets", "fido").del_row("pets", "cujo")
    assert list(result(queries)) == ["1"]
    store.set_row("pets", "elsa", {"species": "cow", "price": 9})
    store.set_row("pets", "rex", {"species": "dog", "price": 9})
    assert [row["species"] for row in result(queries).values()] == ["cat", "cow", "dog"]
    assert list(result(queries)) == ["1", "0", "2"]


class TestDistinct:
    def test_keeps_one_row_for_each_combination(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition("q", "pets", lambda q: (q.select("species"), q.distinct()))
        assert list(result(queries).values()) == [{"species": "dog"}, {"species": "cat"}]
        store.set_cell("pets", "tom", "species", "bird")
        assert {"species": "bird"} in result(queries).values()
        store.set_cell("pets", "tom", "species", "dog")
        assert list(result(queries).values()) == [{"species": "dog"}, {"species": "cat"}]

    def test_distinct_cells_can_be_counted(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "q", "pets", lambda q: (q.select("species"), q.group("species", "count_distinct").as_("kinds"))
        )
        assert result(queries) == {"0": {"kinds": 2}}
        store.set_cell("pets", "tom", "species", "bird").set_cell("pets", "cujo", "species", True)
        assert result(queries) == {"0": {"kinds": 4}}
        store.del_table("pets")
        assert result(queries) == {}
