"""Who hears of results, parameters and definitions, when, and what if somebody fails or interferes."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import MISSING, Queries, Store, create_queries, create_store

KINDS = (
    "table",
    "table_cell_ids",
    "row_count",
    "row_ids",
    "sorted_row_ids",
    "row",
    "cell_ids",
    "cell",
)


@pytest.fixture
def store() -> Store:
    return create_store().set_table("pets", {"fido": {"age": 3, "sold": True}, "felix": {"age": 2}})


@pytest.fixture
def queries(store: Store) -> Queries:
    return create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))


class Ear:
    """Notes what listeners are told, functions of changes as what they answer."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def listens(self, name: str) -> Any:
        def hear(_: object, *arguments: Any) -> None:
            told = [
                argument() if callable(argument) and name.endswith("_ids") else argument
                for argument in arguments
                if name.endswith("_ids") or not callable(argument)
            ]
            self.heard.append((name, *told))

        return hear

    def told(self) -> list[Any]:
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def ear() -> Ear:
    return Ear()


class TestResultListeners:
    def test_hear_of_all_that_changes_in_the_order_of_a_store(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        queries.add_result_table_listener("ages", ear.listens("table"))
        queries.add_result_table_cell_ids_listener("ages", ear.listens("table_cell_ids"))
        queries.add_result_row_count_listener("ages", ear.listens("row_count"))
        queries.add_result_row_ids_listener("ages", ear.listens("row_ids"))
        queries.add_result_sorted_row_ids_listener("ages", "age", False, 0, None, ear.listens("sorted"))
        queries.add_result_row_listener("ages", "rex", ear.listens("row"))
        queries.add_result_cell_ids_listener("ages", "rex", ear.listens("cell_ids"))
        queries.add_result_cell_listener("ages", "rex", "age", ear.listens("cell"))
        store.set_row("pets", "rex", {"age": 1})
        assert ear.told() == [
            ("row_count", "ages", 3),
            ("row_ids", "ages", {"rex": 1}),
            ("sorted", "ages", "age", False, 0, None, ["rex", "felix", "fido"]),
            ("cell_ids", "ages", "rex", {"age": 1}),
            ("cell", "ages", "rex", "age", 1, MISSING),
            ("row", "ages", "rex"),
            ("table", "ages"),
        ]
        store.set_cell("pets", "rex", "age", 9)
        assert ear.told() == [
            ("sorted", "ages", "age", False, 0, None, ["felix", "fido", "rex"]),
            ("cell", "ages", "rex", "age", 9, 1),
            ("row", "ages", "rex"),
            ("table", "ages"),
        ]
        store.set_cell("pets", "rex", "sold", True).set_cell("pets", "rex", "age", 9)
        assert ear.told() == []

    def test_the_change_function_answers_for_the_result(self, store: Store, queries: Queries) -> None:
        changes: list[Any] = []
        queries.add_result_row_listener(
            None, None, lambda queries, q, r, change: changes.append(change(q, r, "age"))
        )
        store.set_cell("pets", "fido", "age", 4)
        assert changes == [(True, 3, 4)]

    def test_none_stands_for_every_query_also_those_to_come(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        queries.add_result_cell_listener(None, None, None, ear.listens("any"))
        queries.add_result_cell_listener("ages", "fido", "age", ear.listens("exact"))
        queries.set_query_definition("sold", "pets", lambda q: q.select("sold"))
        assert ear.told() == [("any", "sold", "fido", "sold", True, MISSING)]
        store.set_row("pets", "fido", {"age": 4})
        assert ear.told() == [
            ("exact", "ages", "fido", "age", 4, 3),
            ("any", "ages", "fido", "age", 4, 3),
            ("any", "sold", "fido", "sold", MISSING, True),
        ]

    def test_a_query_that_is_not_there_yet_can_be_listened_to(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        queries.add_result_row_ids_listener("sold", ear.listens("row_ids"))
        queries.set_query_definition("sold", "pets", lambda q: q.select("sold"))
        assert ear.told() == [("row_ids", "sold", {"fido": 1})]
        queries.del_query_definition("sold")
        assert ear.told() == [("row_ids", "sold", {"fido": -1})]
        queries.set_query_definition("sold", "pets", lambda q: q.select("sold"))
        assert ear.told() == [("row_ids", "sold", {"fido": 1})]

    def test_a_new_definition_tells_only_of_differences(self, queries: Queries, ear: Ear) -> None:
        queries.add_result_cell_listener("ages", None, None, ear.listens("cell"))
        queries.set_query_definition("ages", "pets", lambda q: (q.select("age"), q.where("sold", True)))
        assert ear.told() == [("cell", "ages", "felix", "age", MISSING, 2)]

    def test_ids_are_used_again_and_kinds_are_counted(self, queries: Queries) -> None:
        added: Any = {
            kind: getattr(queries, f"add_result_{kind}_listener")
            for kind in KINDS
            if kind != "sorted_row_ids"
        }
        wildcards = {"row": 1, "cell_ids": 1, "cell": 2}
        ids = [add(*[None] * (1 + wildcards.get(kind, 0)), print) for kind, add in added.items()]
        ids.append(queries.add_result_sorted_row_ids_listener("ages", None, False, 0, 1, print))
        assert ids == [str(number) for number in range(8)]
        assert queries.get_listener_stats() == {
            **dict.fromkeys(KINDS, 1),
            "param_values": 0,
            "param_value": 0,
        }
        for listener_id in ids:
            queries.del_listener(listener_id)
        assert set(queries.get_listener_stats().values()) == {0}
        assert queries.add_query_ids_listener(print) == "0"
        queries.del_listener("no such listener").del_listener("p9")

    def test_a_listener_must_be_callable(self, queries: Queries) -> None:
        wrong: Any = "not callable"
        with pytest.raises(TypeError, match="a listener must be callable"):
            queries.add_result_row_ids_listener("ages", wrong)


class TestTiming:
    def test_results_are_written_at_row_time_and_told_of_when_the_transaction_is_over(
        self, store: Store
    ) -> None:
        seen: list[Any] = []
        queries = create_queries(store)

        def look(name: str) -> Any:
            return lambda *_: seen.append((name, queries.get_result_cell("ages", "fido", "age")))

        store.add_cell_listener("pets", None, None, look("cell"))
        store.add_did_finish_transaction_listener(look("did finish, before"))
        queries.set_query_definition("ages", "pets", lambda q: q.select("age"))
        store.add_table_listener("pets", look("table"))
        store.add_did_finish_transaction_listener(look("did finish, after"))
        queries.add_result_table_listener("ages", look("result"))
        with store.transaction():
            store.set_cell("pets", "fido", "age", 4).set_cell("pets", "felix", "age", 5)
            look("inside")()
        assert seen == [
            ("inside", 3),
            ("cell", 3),
            ("cell", 4),
            ("table", 4),
            ("did finish, before", 4),
            ("result", 4),
            ("did finish, after", 4),
        ]

    def test_queries_over_queries_follow_in_the_same_transaction(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        queries.set_query_definition("old", True, "ages", lambda q: (q.select("age"), q.where("age", 9)))
        queries.set_query_definition("other", "pets", lambda q: q.select("age"))
        queries.add_result_table_listener(None, ear.listens("table"))
        store.set_cell("pets", "fido", "age", 9)
        assert ear.told() == [("table", "ages"), ("table", "old"), ("table", "other")]

    def test_what_a_query_joins_is_published_before_it_and_it_only_once(self, store: Store, ear: Ear) -> None:
        queries = create_queries(store)
        queries.set_query_definition(
            "both",
            "pets",
            lambda q: (
                q.select("age"),
                q.select("ages", "age").as_("same"),
                q.join(True, "ages", lambda _, r: r),
            ),
        )
        queries.set_query_definition("ages", "pets", lambda q: q.select("age"))
        queries.add_result_table_listener(None, ear.listens("table"))
        store.set_table("pets", {"fido": {"age": 4}, "felix": {"age": 5}})
        assert ear.told() == [("table", "ages"), ("table", "both")]
        assert queries.get_result_row("both", "fido") == {"age": 4, "same": 4}

    def test_nothing_is_told_of_a_transaction_that_is_undone(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        queries.add_result_table_listener(None, ear.listens("table"))
        store.transaction(lambda: store.set_cell("pets", "fido", "age", 9), lambda store: True)
        assert (ear.told(), queries.get_result_cell("ages", "fido", "age")) == ([], 3)


class TestParameters:
    @pytest.fixture
    def aged(self, queries: Queries) -> Queries:
        return queries.set_query_definition(
            "aged", "pets", lambda q: (q.select("age"), q.where("age", q.param("age"))), {"age": 3}
        )

    def test_a_change_builds_the_query_anew(self, aged: Queries, ear: Ear) -> None:
        aged.add_result_row_ids_listener("aged", ear.listens("row_ids"))
        aged.set_param_value("aged", "age", 2)
        assert ear.told() == [("row_ids", "aged", {"fido": -1, "felix": 1})]
        aged.set_param_values("aged", {"other": [1, 2]})
        assert ear.told() == [("row_ids", "aged", {"felix": -1})]
        assert (aged.get_param_values("aged"), aged.get_param_value("aged", "age")) == (
            {"other": [1, 2]},
            None,
        )

    def test_listeners_hear_of_parameters_after_results(self, aged: Queries, ear: Ear) -> None:
        aged.add_param_values_listener(None, ear.listens("values"))
        aged.add_param_value_listener("aged", "age", ear.listens("value"))
        aged.add_result_table_listener("aged", ear.listens("table"))
        aged.set_param_value("aged", "age", 2)
        assert ear.told() == [("table", "aged"), ("value", "aged", "age", 2), ("values", "aged", {"age": 2})]
        aged.set_param_value("aged", "age", 2).set_param_values("unknown", {"age": 1})
        assert ear.told() == []
        aged.set_param_value("aged", "age", True)
        aged.set_param_values("aged", {})
        assert [event[-1] for event in ear.told() if event[0] == "value"] == [True, MISSING]

    def test_their_listeners_have_ids_of_their_own(self, aged: Queries, ear: Ear) -> None:
        listener_id = aged.add_param_values_listener(None, ear.listens("values"))
        assert (listener_id, aged.get_listener_stats()["param_values"]) == ("p0", 1)
        aged.del_listener(listener_id).set_param_value("aged", "age", 2)
        assert (ear.told(), aged.get_listener_stats()["param_values"]) == ([], 0)

    def test_a_build_that_fails_leaves_them_as_they_were(self, queries: Queries, ear: Ear) -> None:
        queries.set_query_definition(
            "inverse", "pets", lambda q: (q.select("age"), q.where("age", 6 / q.param("n"))), {"n": 2}
        )
        queries.add_param_value_listener(None, None, ear.listens("value"))
        with pytest.raises(ZeroDivisionError):
            queries.set_param_value("inverse", "n", 0)
        assert queries.get_param_values("inverse") == {"n": 2}
        assert (queries.get_result_row_ids("inverse"), ear.told()) == (["fido"], [])

    def test_they_go_with_the_definition_and_with_one_that_gives_none(self, aged: Queries, ear: Ear) -> None:
        aged.add_param_value_listener(None, None, ear.listens("value"))
        aged.set_query_definition("aged", "pets", lambda q: q.select("age"))
        assert ear.told() == [("value", "aged", "age", MISSING)]
        aged.set_query_definition("aged", "pets", lambda q: q.select("age"), {"age": 1})
        ear.told()
        aged.del_query_definition("aged")
        assert (ear.told(), aged.get_param_values("aged")) == ([("value", "aged", "age", MISSING)], {})

    def test_what_cannot_be_a_cell_is_ignored(self, aged: Queries) -> None:
        wrong: Any = object()
        aged.set_param_value("aged", "age", wrong)
        assert aged.get_param_values("aged") == {"age": 3}


class TestDefinitionListeners:
    def test_hear_when_queries_come_and_go_but_not_when_they_are_defined_anew(self, store: Store) -> None:
        queries = create_queries(store)
        heard: list[list[str]] = []
        queries.add_query_ids_listener(lambda queries: heard.append(queries.get_query_ids()))
        queries.set_query_definition("a", "pets", lambda q: q.select("age"))
        queries.set_query_definition("b", "pets", lambda q: q.select("age"))
        queries.set_query_definition("a", "pets", lambda q: q.select("sold"))
        queries.del_query_definition("a").del_query_definition("unknown")
        assert heard == [["a"], ["a", "b"], ["b"], ["b"]]

    def test_results_go_before_the_definition_is_told_to_be_gone(self, queries: Queries, ear: Ear) -> None:
        queries.add_result_row_ids_listener("ages", ear.listens("row_ids"))
        queries.add_query_ids_listener(ear.listens("query"))
        queries.del_query_definition("ages")
        assert ear.told() == [("row_ids", "ages", {"fido": -1, "felix": -1}), ("query",)]

    def test_an_error_discards_a_new_definition(self, queries: Queries) -> None:
        def refuse(_: Queries) -> None:
            raise ValueError("no more queries")

        queries.add_query_ids_listener(refuse)
        with pytest.raises(ValueError, match="no more queries"):
            queries.set_query_definition("more", "pets", lambda q: q.select("age"))
        assert (queries.get_query_ids(), queries.get_result_table("more")) == (["ages"], {})


class TestErrorsOfListeners:
    def test_reach_who_wrote_when_everybody_has_been_told(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        def fail(*_: Any) -> None:
            raise ValueError("listener")

        queries.set_query_definition("more", "pets", lambda q: q.select("age"))
        queries.add_result_table_listener("ages", fail)
        queries.add_result_table_listener("ages", ear.listens("table"))
        queries.add_result_table_listener("more", ear.listens("table"))
        with pytest.raises(ValueError, match="listener") as raised:
            store.set_cell("pets", "fido", "age", 9)
        assert ear.told() == [("table", "ages"), ("table", "more")]
        assert queries.get_result_cell("ages", "fido", "age") == 9
        assert "fail" in raised.value.__notes__[0]

    def test_of_several_listeners_come_as_a_group(self, store: Store, queries: Queries) -> None:
        def fail(*_: Any) -> None:
            raise ValueError("listener")

        queries.add_result_table_listener("ages", fail)
        queries.add_result_row_listener("ages", None, fail)
        with pytest.raises(ExceptionGroup) as raised:
            store.set_cell("pets", "fido", "age", 9)
        assert len(raised.value.exceptions) == 2

    def test_of_the_store_do_not_keep_results_from_following(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        def fail(*_: Any) -> None:
            raise ValueError("listener")

        store.add_cell_listener(None, None, None, fail)
        queries.add_result_table_listener("ages", ear.listens("table"))
        with pytest.raises(ValueError, match="listener"):
            store.set_table("pets", {"fido": {"age": 9}, "rex": {"age": 1}})
        assert queries.get_result_table("ages") == {"fido": {"age": 9}, "rex": {"age": 1}}
        assert ear.told() == [("table", "ages")]


class TestListenersThatInterfere:
    def test_writes_to_the_store_are_refused_while_it_tells_of_a_transaction(
        self, store: Store, queries: Queries
    ) -> None:
        queries.add_result_table_listener("ages", lambda *_: store.set_cell("pets", "rex", "age", 1))
        store.set_cell("pets", "fido", "age", 9)
        assert not store.has_row("pets", "rex")

    def test_writes_while_a_query_is_defined_are_followed_and_told_of(
        self, store: Store, queries: Queries, ear: Ear
    ) -> None:
        def write_once(*_: Any) -> None:
            store.set_cell("pets", "rex", "age", 1)

        queries.add_result_row_ids_listener("new", write_once)
        queries.add_result_row_ids_listener("new", ear.listens("row_ids"))
        queries.set_query_definition("new", "pets", lambda q: q.select("age"))
        assert queries.get_result_row_ids("new") == ["fido", "felix", "rex"]
        assert ear.told() == [("row_ids", "new", {"fido": 1, "felix": 1}), ("row_ids", "new", {"rex": 1})]

    def test_a_listener_may_set_a_parameter_of_its_own_query(self, store: Store, queries: Queries) -> None:
        queries.set_query_definition(
            "aged", "pets", lambda q: (q.select("age"), q.where("age", q.param("age"))), {"age": 3}
        )
        queries.add_result_row_ids_listener(
            "aged", lambda queries, *_: queries.set_param_value("aged", "age", 2)
        )
        store.set_cell("pets", "rex", "age", 3)
        assert queries.get_param_values("aged") == {"age": 2}
        assert queries.get_result_row_ids("aged") == ["felix"]

    def test_or_define_it_anew_or_delete_it(self, store: Store, queries: Queries) -> None:
        queries.add_result_cell_listener(
            "ages",
            None,
            "age",
            lambda queries, *_: queries.set_query_definition("ages", "pets", lambda q: q.select("sold")),
        )
        store.set_cell("pets", "fido", "age", 9)
        assert queries.get_result_table("ages") == {"fido": {"sold": True}}
        queries.add_result_row_ids_listener("ages", lambda queries, *_: queries.del_query_definition("ages"))
        store.set_cell("pets", "felix", "sold", False)
        assert (queries.get_query_ids(), queries.get_result_table("ages")) == ([], {})

    def test_or_define_others_that_read_it(self, store: Store, queries: Queries) -> None:
        def define(queries: Queries, *_: Any) -> None:
            queries.set_query_definition("more", True, "ages", lambda q: q.select("age"))

        queries.add_result_table_listener("ages", define)
        store.set_cell("pets", "fido", "age", 9)
        assert queries.get_result_table("more") == queries.get_result_table("ages")
        store.set_cell("pets", "felix", "age", 8)
        assert queries.get_result_table("more") == queries.get_result_table("ages")

    def test_an_error_in_a_definition_inside_a_listener_reaches_the_listener(
        self, store: Store, queries: Queries
    ) -> None:
        caught: list[Exception] = []

        def define(queries: Queries, *_: Any) -> None:
            try:
                queries.set_query_definition("more", "pets", lambda q: 1 / 0)
            except ZeroDivisionError as error:
                caught.append(error)

        queries.add_result_table_listener("ages", define)
        store.set_cell("pets", "fido", "age", 9)
        assert len(caught) == 1
