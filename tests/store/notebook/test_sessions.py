"""What pages are sent, message by message and byte by byte, and what is done with what they say."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from typing import Any

import pytest

from replicell.store import Store, create_metrics, create_middleware, create_queries, create_store
from replicell.store.notebook.pacing import Pacer
from replicell.store.notebook.sessions import TableSession, ValueSession
from replicell.store.notebook.sources import MetricValue, QueryResult, StoreTable, StoreValue
from tests.store.notebook.pages import Page, size_of


def todos(count: int = 3, **options: Any) -> Store:
    rows = {f"t{number}": {"text": f"task {number}", "hours": number} for number in range(count)}
    return Store(**options).set_table("todo", rows)


def page_of(store: Store, **options: Any) -> Page:
    messages: list[dict[str, Any]] = []
    return Page(TableSession(StoreTable(store, "todo"), messages.append, **options), messages)


def heard_page_of(store: Store) -> tuple[Page, asyncio.Event]:
    """Make a page, and an event for each message that arrives."""
    messages: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    def send(message: dict[str, Any]) -> None:
        messages.append(message)
        arrived.set()

    return Page(TableSession(StoreTable(store, "todo"), send), messages), arrived


def listeners_of(store: Store) -> int:
    return sum(store.get_listener_stats().values())


# --- what a page is sent -----------------------------------------------------------------------------------


def test_a_page_that_opens_a_view_gets_its_window_and_no_more() -> None:
    page = page_of(todos(100_000))
    messages = page.open(limit=20)
    assert len(messages) == 1
    assert page.order == [f"t{number}" for number in range(20)]
    assert page.rows["t3"] == {"text": "task 3", "hours": 3}
    assert (page.count, page.columns) == (100_000, ["text", "hours"])
    assert size_of(messages) < 2_000


def test_a_changed_cell_is_one_small_message() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    messages = page.after(lambda: store.set_cell("todo", "t1", "hours", 5))
    assert messages == [{"kind": "changed", "view": "a", "rows": {"t1": {"hours": 5}}}]
    assert size_of(messages) == 55


def test_a_transaction_is_one_message_however_much_it_writes() -> None:
    store = todos(1000)
    page = page_of(store)
    page.open(limit=5)

    def write() -> None:
        with store.transaction():
            for number in range(1000):
                store.set_cell("todo", f"t{number}", "hours", -1)

    messages = page.after(write)
    assert len(messages) == 1
    assert list(messages[0]["rows"]) == ["t0", "t1", "t2", "t3", "t4"]


def test_what_happens_outside_the_window_sends_nothing() -> None:
    store = todos(100)
    page = page_of(store)
    page.open(limit=5)
    assert page.after(lambda: store.set_cell("todo", "t50", "hours", 5)) == []
    assert page.after(lambda: store.set_cell("other", "x", "y", 5)) == []
    assert page.after(lambda: store.del_row("todo", "t50")) == [{"kind": "changed", "view": "a", "count": 99}]


def test_rows_that_come_and_go_shift_the_others() -> None:
    store = todos(10)
    page = page_of(store)
    page.open(limit=4)
    [message] = page.after(lambda: store.del_row("todo", "t1"))
    assert page.order == ["t0", "t2", "t3", "t4"]
    assert list(message["rows"]) == ["t4"]
    assert page.count == 9


def test_a_row_that_is_moved_by_sorting_is_not_sent_again() -> None:
    store = todos(10)
    page = page_of(store)
    page.open(limit=10, sort="hours")
    [message] = page.after(lambda: store.set_cell("todo", "t9", "hours", -1))
    assert page.order[:2] == ["t9", "t0"]
    assert message["rows"] == {"t9": {"hours": -1}}


def test_a_page_that_scrolls_gets_only_rows_it_does_not_have() -> None:
    page = page_of(todos(100))
    page.open(limit=10)
    [message] = page.say("look", offset=4, limit=10, request=7)
    assert message["request"] == 7
    assert sorted(message["rows"]) == ["t10", "t11", "t12", "t13"]
    assert page.order == [f"t{number}" for number in range(4, 14)]
    assert page.rows["t5"]["text"] == "task 5"


def test_a_page_never_gets_more_than_500_rows_at_once() -> None:
    page = page_of(todos(2000))
    page.open(limit=1_000_000)
    assert len(page.order) == 500


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_that_sorts_gets_the_window_in_that_order(descending: bool) -> None:
    store = todos(50)
    page = page_of(store)
    page.open(limit=5)
    page.say("look", offset=2, limit=5, sort="hours", descending=descending, request=1)
    assert page.order == store.get_sorted_row_ids("todo", "hours", descending, 2, 5)


def test_a_new_cell_id_is_a_new_column() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    page.after(lambda: store.set_cell("todo", "t0", "who", "Ada"))
    assert page.columns == ["text", "hours", "who"]
    assert page.rows["t0"]["who"] == "Ada"


def test_columns_may_be_chosen() -> None:
    store = todos()
    page = page_of(store, column_ids=["hours"])
    page.open()
    assert page.rows["t0"] == {"hours": 0}
    assert page.after(lambda: store.set_cell("todo", "t0", "text", "hidden")) == []


def test_each_page_has_its_own_window() -> None:
    store = todos(100)
    one = page_of(store)
    other = Page(one.session, one.messages, "b")
    one.open(limit=5)
    other.open(limit=5, sort="hours", descending=True)
    assert one.after(lambda: store.set_cell("todo", "t0", "text", "x")) != []
    other.follow()
    assert other.order[0] == "t99"
    assert [message["view"] for message in one.messages] == ["a", "b", "a"]


def test_a_page_shows_what_the_store_has_after_any_history() -> None:
    dice = random.Random(5)
    store = todos(30)
    page = page_of(store)
    page.open(limit=8)
    look: dict[str, Any] = {"offset": 0, "sort": None, "descending": False}
    for step in range(400):
        row_id = f"t{dice.randrange(40)}"
        match dice.randrange(6):
            case 0:
                store.del_row("todo", row_id)
            case 1:
                store.set_row("todo", row_id, {"hours": dice.randrange(9), "tags": [step]})
            case 2:
                store.del_cell("todo", row_id, "hours")
            case 3:
                look = {
                    "offset": dice.randrange(30),
                    "sort": dice.choice((None, "hours", "text")),
                    "descending": dice.random() < 0.5,
                }
                page.say("look", limit=8, request=step, **look)
            case 4 if dice.random() < 0.1:
                store.del_table("todo")
            case _:
                store.set_cell("todo", row_id, "text", f"step {step}")
        page.follow()
        if look["sort"] is None:
            expected = store.get_row_ids("todo")[look["offset"] : look["offset"] + 8]
        else:
            expected = store.get_sorted_row_ids("todo", look["sort"], look["descending"], look["offset"], 8)
        assert page.order == expected
        assert page.count == store.get_row_count("todo")
        for shown in page.order:
            cells = store.get_row("todo", shown)
            assert page.rows[shown].keys() == cells.keys()
            assert page.rows[shown].get("text") == cells.get("text")
            assert page.rows[shown].get("hours") == cells.get("hours")


def test_the_result_of_a_query_is_followed_in_its_own_order() -> None:
    store = todos(10)
    queries = create_queries(store).set_query_definition(
        "long", "todo", lambda q: (q.select("hours"), q.order_by("hours", True), q.limit(3))
    )
    messages: list[dict[str, Any]] = []
    page = Page(TableSession(QueryResult(queries, "long"), messages.append), messages)
    page.open()
    assert page.order == ["t9", "t8", "t7"]
    page.after(lambda: store.set_cell("todo", "t0", "hours", 100))
    assert page.order == ["t0", "t9", "t8"]
    page.say("look", offset=0, limit=3, sort="hours", request=1)
    assert page.order == ["t8", "t9", "t0"]
    page.say("close")
    assert sum(queries.get_listener_stats().values()) == 0


def test_a_query_that_is_defined_later_or_anew_is_followed() -> None:
    store = todos(4)
    queries = create_queries(store)
    messages: list[dict[str, Any]] = []
    page = Page(TableSession(QueryResult(queries, "q"), messages.append), messages)
    page.open()
    assert page.order == []
    page.after(lambda: queries.set_query_definition("q", "todo", lambda q: q.select("hours")))
    assert page.order == ["t0", "t1", "t2", "t3"]
    page.after(lambda: queries.del_query_definition("q"))
    assert page.order == []


# --- values ------------------------------------------------------------------------------------------------


def test_a_value_and_a_metric_are_followed() -> None:
    store = todos().set_value("owner", "Ada")
    metrics = create_metrics(store).set_metric_definition("hours", "todo", "sum", "hours")
    messages: list[dict[str, Any]] = []
    owner = Page(ValueSession(StoreValue(store, "owner"), messages.append), messages)
    hours = Page(ValueSession(MetricValue(metrics, "hours"), messages.append), messages, "b")
    owner.open()
    hours.open()
    assert (owner.value, hours.value) == ("Ada", 3)
    assert owner.after(lambda: store.set_value("owner", "Grace")) == [
        {"kind": "changed", "value": "Grace", "view": "a"}
    ]
    assert hours.after(lambda: store.set_cell("todo", "t0", "hours", 10)) == [
        {"kind": "changed", "value": 13, "view": "b"}
    ]


def test_a_value_is_edited_through_its_schema_and_a_metric_is_not() -> None:
    store = create_store().set_values_schema({"size": {"type": "number"}}).set_value("size", 1)
    metrics = create_metrics(store).set_metric_definition("rows", "todo")
    messages: list[dict[str, Any]] = []
    size = Page(ValueSession(StoreValue(store, "size"), messages.append), messages)
    size.open()
    assert size.say("edit", text="12", request=1)[-1]["error"] is None
    assert store.get_value("size") == 12
    refused = size.say("edit", text="big", request=2)[-1]
    assert refused["error"] == "“big” cannot stand here: it must be of type number."
    assert store.get_value("size") == 12
    rows = Page(ValueSession(MetricValue(metrics, "rows"), messages.append), messages, "b")
    rows.open()
    assert "reading only" in rows.say("edit", text="12", request=3)[-1]["error"]


# --- edits -------------------------------------------------------------------------------------------------


def test_an_edit_is_in_the_store_and_answered() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    messages = page.say("edit", row="t1", cell="hours", text="7.5", request=3)
    assert messages == [
        {"kind": "changed", "rows": {"t1": {"hours": 7.5}}, "view": "a"},
        {"kind": "edited", "request": 3, "error": None, "view": "a"},
    ]
    assert store.get_cell("todo", "t1", "hours") == 7.5


def test_an_edit_that_is_refused_changes_nothing_and_says_why() -> None:
    store = todos().set_tables_schema({"todo": {"text": {"type": "string"}, "hours": {"type": "number"}}})
    page = page_of(store)
    page.open()
    [answer] = page.say("edit", row="t1", cell="hours", text="soon", request=3)
    assert answer["error"] == "“soon” cannot stand here: it must be of type number."
    assert store.get_cell("todo", "t1", "hours") == 1


def test_a_cell_can_be_cleared_and_gets_its_default() -> None:
    schema: Any = {"todo": {"text": {"type": "string"}, "hours": {"type": "number", "default": 1}}}
    store = todos().set_tables_schema(schema)
    page = page_of(store)
    page.open()
    assert page.say("edit", row="t2", cell="hours", clear=True, request=1)[-1]["error"] is None
    assert store.get_row("todo", "t2") == {"text": "task 2", "hours": 1}
    assert page.say("edit", row="t2", cell="text", clear=True, request=2)[-1]["error"] is None
    assert page.rows["t2"] == {"hours": 1}


def test_an_edit_that_middleware_changes_or_forbids_says_so() -> None:
    store = todos()
    create_middleware(store).add_will_set_cell_callback(
        lambda table_id, row_id, cell_id, cell: cell if cell_id == "hours" else "no"
    )
    page = page_of(store)
    page.open()
    answer = page.say("edit", row="t1", cell="text", text="yes", request=1)[-1]
    assert answer["error"] == "Something in the program made it “no”: look at its middleware and listeners."


def test_an_error_of_a_listener_is_told_to_who_edits() -> None:
    store = todos()

    def fail(*_: Any) -> None:
        raise RuntimeError("no luck")

    store.add_cell_listener("todo", "t1", None, fail)
    page = page_of(store)
    page.open()
    assert (
        page.say("edit", row="t1", cell="hours", text="9", request=1)[-1]["error"] == "RuntimeError: no luck"
    )


def test_a_row_that_is_gone_cannot_be_edited_back_to_life() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    store.del_row("todo", "t1")
    assert "not there any more" in page.say("edit", row="t1", cell="hours", text="9", request=1)[-1]["error"]
    assert not store.has_row("todo", "t1")


def test_a_table_for_reading_only_and_a_query_take_no_edits() -> None:
    store = todos()
    page = page_of(store, described={"editable": False})
    assert page.open()[0]["editable"] is False
    assert "reading only" in page.say("edit", row="t1", cell="hours", text="9", request=1)[-1]["error"]
    queries = create_queries(store).set_query_definition("q", "todo", lambda q: q.select("hours"))
    messages: list[dict[str, Any]] = []
    result = Page(TableSession(QueryResult(queries, "q"), messages.append), messages)
    assert result.open()[0]["editable"] is False
    assert "reading only" in result.say("edit", row="t1", cell="hours", text="9", request=1)[-1]["error"]
    assert store.get_cell("todo", "t1", "hours") == 1


def test_a_long_text_is_sent_whole_only_when_it_is_edited() -> None:
    store = todos().set_cell("todo", "t0", "text", "x" * 10_000)
    page = page_of(store)
    assert size_of(page.open()) < 1_000
    assert page.rows["t0"]["text"] == ["text", "x" * 300, 10_000]
    [answer] = page.say("read", row="t0", cell="text", request=4)
    assert answer == {"kind": "read", "request": 4, "text": "x" * 10_000, "view": "a"}


# --- coming, going, and going wrong ------------------------------------------------------------------------


def test_nothing_is_listened_to_while_no_page_looks() -> None:
    store = todos()
    page = page_of(store)
    assert listeners_of(store) == 0
    page.open(sort="hours")
    assert listeners_of(store) == 2
    page.say("close")
    assert listeners_of(store) == 0
    assert page.after(lambda: store.set_cell("todo", "t0", "hours", 9)) == []


def test_a_page_that_opens_again_gets_everything_again_and_no_second_view() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    [message] = page.open()
    assert list(message["rows"]) == ["t0", "t1", "t2"]
    assert page.session.view_count == 1


def test_a_page_that_the_kernel_does_not_know_is_asked_to_open_again() -> None:
    page = page_of(todos())
    assert page.say("look", offset=0, limit=5, request=1) == [{"kind": "reopen", "view": "a"}]


def test_a_session_that_is_over_says_nothing_any_more() -> None:
    store = todos()
    page = page_of(store)
    page.open(sort="text")
    page.session.stop()
    page.session.stop()
    assert listeners_of(store) == 0
    assert page.after(lambda: store.set_cell("todo", "t0", "hours", 9)) == []
    assert page.open() == []


def test_lost_pages_make_room_for_new_ones() -> None:
    store = todos()
    first = page_of(store)
    for number in range(100):
        Page(first.session, first.messages, f"view {number}").open(sort="hours")
    assert first.session.view_count == 32
    assert listeners_of(store) == 33


@pytest.mark.parametrize(
    "message",
    [
        None,
        "open",
        {},
        {"kind": "open"},
        {"kind": "open", "view": 5},
        {"view": "a"},
        {"kind": "nonsense", "view": "a"},
        {"kind": "look", "view": "a", "offset": "x", "limit": None, "sort": 5},
        {"kind": "look", "view": "a", "offset": float("nan"), "limit": 1e300},
        {"kind": "edit", "view": "a"},
        {"kind": "read", "view": "a", "row": ["t1"]},
    ],
)
def test_nonsense_from_a_page_does_no_harm(message: Any) -> None:
    store = todos()
    page = page_of(store)
    page.open()
    page.session.receive(message)
    assert store.get_tables() == todos().get_tables()
    page.after(lambda: store.set_cell("todo", "t0", "hours", 9))
    page.say("look", offset=0, limit=3, request=9)
    assert page.rows["t0"]["hours"] == 9


def test_a_page_that_cannot_be_reached_does_not_fail_the_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = todos()
    broken = False

    def send(message: object) -> None:
        if broken:
            raise OSError("the connection is gone")

    session = TableSession(StoreTable(store, "todo"), send)
    session.receive({"kind": "open", "view": "a", "limit": 5})
    broken = True
    with caplog.at_level(logging.ERROR, "replicell.store.notebook"):
        store.set_cell("todo", "t0", "hours", 9)
    assert store.get_cell("todo", "t0", "hours") == 9
    assert "could not be told" in caplog.text


# --- with an event loop ------------------------------------------------------------------------------------


async def test_a_burst_is_two_messages_the_first_at_once() -> None:
    store = todos(1000)
    page, arrived = heard_page_of(store)
    page.open()
    page.after(lambda: store.set_cell("todo", "t0", "hours", -1))
    assert page.rows["t0"]["hours"] == -1
    for number in range(500):
        store.set_cell("todo", "t1", "hours", number)
    arrived.clear()
    await arrived.wait()
    page.follow()
    assert page.rows["t1"]["hours"] == 499
    assert len(page.messages) <= 4


async def test_a_page_that_never_answers_is_given_up_until_it_does() -> None:
    store = todos()
    tells: list[Any] = []

    class EagerPacer(Pacer):
        """Tells at once, as if the loop had run."""

        def note(self) -> None:
            tells.append(1)
            self._tell(True)

    page = page_of(store, make_pacer=EagerPacer)
    page.open()
    for number in range(200):
        store.set_cell("todo", "t0", "hours", number + 1000)
    changed = [message for message in page.messages if message["kind"] == "changed"]
    assert len(tells) == 200
    assert len(changed) == 64
    assert [at for at, message in enumerate(changed) if message.get("ask")] == [15, 31, 47, 63]
    page.say("here")
    assert page.rows["t0"]["hours"] == 1199
    store.set_cell("todo", "t0", "hours", 0)
    page.follow()
    assert page.rows["t0"]["hours"] == 0


async def test_a_message_from_another_thread_is_dealt_with_in_the_owners() -> None:
    store = todos()
    page, arrived = heard_page_of(store)
    page.open()
    arrived.clear()
    edit = {"kind": "edit", "view": "a", "row": "t1", "cell": "hours", "text": "8", "request": 1}
    thread = threading.Thread(target=page.session.receive, args=(edit,))
    thread.start()
    thread.join()
    assert store.get_cell("todo", "t1", "hours") == 1
    await arrived.wait()
    assert store.get_cell("todo", "t1", "hours") == 8


def test_without_a_loop_what_comes_from_another_thread_waits_for_the_pump() -> None:
    store = todos()
    page = page_of(store)
    page.open()
    edit = {"kind": "edit", "view": "a", "row": "t1", "cell": "hours", "text": "8", "request": 1}
    thread = threading.Thread(target=page.session.receive, args=(edit,))
    thread.start()
    thread.join()
    assert store.get_cell("todo", "t1", "hours") == 1
    store.pump()
    assert store.get_cell("todo", "t1", "hours") == 8
