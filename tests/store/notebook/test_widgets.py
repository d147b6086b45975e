"""The widgets themselves, with a comm that records what would go to the pages."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from replicell.store import (
    ArgumentError,
    MissingPackageError,
    Store,
    create_metrics,
    create_queries,
    create_store,
)
from replicell.store.notebook import LiveTable, LiveValue
from replicell.store.notebook import widgets as module


class RecordingComm(BaseComm):
    """A comm whose messages stay here."""

    sent: list[tuple[str, dict[str, Any]]]

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        sent = self.__dict__.setdefault("sent", [])
        sent.append((msg_type, json.loads(json.dumps(data))))

    def custom(self) -> list[dict[str, Any]]:
        """The contents of the custom messages."""
        return [data["content"] for _, data in self.sent if data and data.get("method") == "custom"]

    def receive(self, content: Any) -> None:
        """Do what happens when a page sends a message."""
        data = {"method": "custom", "content": content}
        self.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    yield
    LiveTable.close_all()


def pages_of(widget: Any) -> RecordingComm:
    """The comm of a widget, by which it reaches its pages."""
    assert isinstance(widget.comm, RecordingComm)
    return widget.comm


def todos(count: int = 3) -> Store:
    return create_store().set_table("todo", {f"t{number}": {"hours": number} for number in range(count)})


def test_opening_a_widget_sends_no_rows() -> None:
    widget = LiveTable(todos(10_000), "todo")
    [(kind, data)] = pages_of(widget).sent
    assert kind == "comm_open"
    state = data["state"]
    assert "class TablePage" in state["_esm"]
    assert ".rc-grid" in state["_css"]
    del state["_esm"], state["_css"]
    assert len(json.dumps(state)) < 1_000


def test_changes_go_as_custom_messages_and_traits_never_do() -> None:
    store = todos()
    widget = LiveTable(store, "todo")
    pages_of(widget).receive({"kind": "open", "view": "a", "offset": 0, "limit": 10})
    store.set_cell("todo", "t1", "hours", 5)
    store.set_cell("todo", "t2", "hours", 6)
    methods = [data.get("method") for kind, data in pages_of(widget).sent if kind == "comm_msg"]
    assert methods == ["custom", "custom", "custom"]
    assert pages_of(widget).custom()[1:] == [
        {"kind": "changed", "view": "a", "rows": {"t1": {"hours": 5}}},
        {"kind": "changed", "view": "a", "rows": {"t2": {"hours": 6}}},
    ]


def test_an_edit_from_a_page_is_written() -> None:
    store = todos()
    widget = LiveTable(store, "todo")
    pages_of(widget).receive({"kind": "open", "view": "a", "limit": 10})
    pages_of(widget).receive(
        {"kind": "edit", "view": "a", "row": "t1", "cell": "hours", "text": "7", "request": 1}
    )
    assert store.get_cell("todo", "t1", "hours") == 7
    assert pages_of(widget).custom()[-1] == {"kind": "edited", "view": "a", "request": 1, "error": None}


def test_pages_are_told_the_title_the_height_and_whether_to_edit() -> None:
    widget = LiveTable(todos(), "todo", editable=False, height=200, reruns=True)
    pages_of(widget).receive({"kind": "open", "view": "a", "limit": 10})
    [opened] = pages_of(widget).custom()
    told = {key: opened[key] for key in ("title", "height", "editable", "reruns")}
    assert told == {"title": "todo", "height": 200, "editable": False, "reruns": True}


def test_closing_ends_all_listening_and_may_be_done_again() -> None:
    store = todos()
    widget = LiveTable(store, "todo")
    pages = pages_of(widget)
    pages.receive({"kind": "open", "view": "a", "limit": 10, "sort": "hours"})
    assert widget.view_count == 1
    widget.close()
    widget.close()
    assert sum(store.get_listener_stats().values()) == 0
    sent = len(pages.sent)
    store.set_cell("todo", "t1", "hours", 5)
    pages.receive({"kind": "open", "view": "b", "limit": 10})
    assert len(pages.sent) == sent
    assert widget.view_count == 0


def test_a_comm_that_the_page_closes_ends_all_listening() -> None:
    store = todos()
    widget = LiveTable(store, "todo")
    pages_of(widget).receive({"kind": "open", "view": "a", "limit": 10})
    pages_of(widget).handle_close({})
    assert sum(store.get_listener_stats().values()) == 0


def test_a_closed_widget_is_collected() -> None:
    store = todos()
    widget = LiveTable(store, "todo")
    pages_of(widget).receive({"kind": "open", "view": "a", "limit": 10})
    widget.close()
    gone = weakref.ref(widget)
    del widget
    gc.collect()
    assert gone() is None


def test_where_no_widget_can_run_there_is_html() -> None:
    store = todos().set_value("open", "<b>")
    bundle = LiveTable(store, "todo")._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "3 rows by 1 cell" in data["text/html"]
    value = LiveValue(store, "open", label="<i>")._repr_mimebundle_()
    html = (value[0] if isinstance(value, tuple) else value)["text/html"]
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html


def test_queries_values_and_metrics_can_be_shown() -> None:
    store = todos().set_value("owner", "Ada")
    queries = create_queries(store).set_query_definition("q", "todo", lambda q: q.select("hours"))
    metrics = create_metrics(store).set_metric_definition("rows", "todo")
    shown = [LiveTable(queries, "q"), LiveValue(store, "owner"), LiveValue(metrics, "rows", label="todos")]
    for widget in shown:
        pages_of(widget).receive({"kind": "open", "view": "a", "limit": 1})
    opened = [pages_of(widget).custom()[0] for widget in shown]
    assert [(message["title"], message["editable"]) for message in opened] == [
        ("q", False),
        ("owner", True),
        ("todos", False),
    ]
    assert [message.get("value") for message in opened] == [None, "Ada", 3]


@pytest.mark.parametrize("wrong", [None, "store", {"todo": {}}])
def test_what_is_no_source_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="a LiveTable is of a store or of queries"):
        LiveTable(wrong, "todo")
    with pytest.raises(ArgumentError, match="a LiveValue is of a store or of metrics"):
        LiveValue(wrong, "x")


def test_without_anywidget_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(MissingPackageError, match=r'pip install "replicell\[notebook\]"'):
        importlib.import_module(module.__name__)


def test_the_package_has_no_other_names() -> None:
    package = importlib.import_module("replicell.store.notebook")
    with pytest.raises(AttributeError, match="no attribute 'DeadTable'"):
        _ = package.DeadTable
