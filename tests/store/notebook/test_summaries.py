"""How a store and what is derived from it look in a notebook: escaped, cut, counted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest

from replicell.store import (
    Store,
    create_indexes,
    create_metrics,
    create_queries,
    create_relationships,
    create_store,
)
from replicell.store.notebook.summaries import summary_of, table_summary
from tests.store.effort import lines_run

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</td></table></style><svg/onload=alert(1)>",
    "&lt;b&gt;",
    "\ud800 lone",
    "\x00\x1b[31m",
]


KNOWN_TAGS = {"div", "style", "span", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}


@dataclass
class Pet:
    """A row."""

    age: int
    tags: list[str]


class Reader(HTMLParser):
    """Collects the elements, attributes and text of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag in ("td", "th"):
            self._in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


def derived(store: Store) -> list[Any]:
    """Everything that can be derived from a store, with the names of its own table."""
    [table_id] = store.get_table_ids()
    [cell_id] = store.get_table_cell_ids(table_id)
    return [
        store,
        create_queries(store).set_query_definition(table_id, table_id, lambda q: q.select(cell_id)),
        create_metrics(store).set_metric_definition(table_id, table_id),
        create_indexes(store).set_index_definition(table_id, table_id, cell_id),
        create_relationships(store).set_relationship_definition(table_id, table_id, table_id, cell_id),
    ]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_the_content_becomes_html(hostile: str) -> None:
    store = create_store().set_table(hostile, {hostile: {hostile: hostile}})
    for thing in derived(store):
        html = thing._repr_html_()
        html.encode()
        read = Reader(html)
        assert read.tags <= KNOWN_TAGS
        assert read.attributes <= {"class", "scope", "open"}
    store.set_value(hostile, hostile)
    assert Reader(store._repr_html_()).cells.count(hostile.replace("\ud800", "?")) == 5


def test_a_store_shows_its_tables_and_values_with_counts() -> None:
    store = create_store().set_table("pets", {"fido": {"age": 3, "tags": ["good"]}, "felix": {"sold": None}})
    store.set_value("open", True)
    html = store._repr_html_()
    assert "1 table, 2 rows, 1 value" in html
    assert "2 rows by 3 cells" in html
    assert Reader(html).cells == [
        *("id", "age", "tags", "sold"),
        *("fido", "3", '["good"]', ""),
        *("felix", "", "", "null"),
        *("value", "content"),
        *("open", "true"),
    ]


def test_long_tables_are_cut_and_say_by_how_much() -> None:
    cells = {f"c{column}": column for column in range(30)}
    store = create_store().set_table("t", {f"r{row}": cells for row in range(1000)})
    html = table_summary(store, "t")
    assert "… and 980 more rows and 10 more columns" in html
    assert Reader(html).cells.count("18") == 20
    assert len(html) < 20_000


def test_long_texts_are_cut_and_say_how_long_they_are() -> None:
    html = create_store().set_cell("t" * 500, "r" * 500, "c", "x" * 100_000)._repr_html_()
    assert "x" * 120 + "… (100,000 characters)" in html
    assert len(html) < 4_000


def test_many_tables_are_cut() -> None:
    store = create_store().set_tables({f"t{number}": {"r": {"c": 1}} for number in range(100)})
    html = store._repr_html_()
    assert html.count("<details") == 20
    assert "… and 80 more tables" in html


def test_showing_a_store_costs_the_same_however_many_rows_it_has() -> None:
    def effort(rows: int) -> int:
        store = create_store().set_table("t", {str(row): {"c": row} for row in range(rows)})
        return lines_run(store._repr_html_)

    small, large = effort(100), effort(100_000)
    assert large < 1.1 * small


def test_metrics_indexes_and_relationships_show_what_they_hold() -> None:
    store = create_store().set_tables(
        {
            "pets": {"fido": {"species": "dog", "age": 3}, "rex": {"species": "dog", "age": 1}},
            "species": {"dog": {"legs": 4}},
        }
    )
    metrics = create_metrics(store).set_metric_definition("oldest", "pets", "max", "age")
    metrics.set_metric_definition("none", "nothing", "max", "age")
    assert Reader(metrics._repr_html_()).cells[3:] == ["oldest", "pets", "3", "none", "nothing", ""]
    indexes = create_indexes(store).set_index_definition("by species", "pets", "species")
    assert "of pets: 1 slice" in indexes._repr_html_()
    assert Reader(indexes._repr_html_()).cells[3:] == ["dog", "2", "fido, rex"]
    relationships = create_relationships(store)
    relationships.set_relationship_definition("kind", "pets", "species", "species")
    assert "pets → species: 2 rows linked" in relationships._repr_html_()
    assert Reader(relationships._repr_html_()).cells[2:] == ["fido", "dog", "rex", "dog"]


def test_queries_show_their_results_in_order() -> None:
    store = create_store().set_table("pets", {"fido": {"age": 3}, "rex": {"age": 1}})
    queries = create_queries(store).set_query_definition(
        "by age", "pets", lambda q: (q.select("age"), q.order_by("age"))
    )
    assert Reader(queries._repr_html_()).cells == ["id", "age", "rex", "1", "fido", "3"]


def test_empty_things_show_that_they_are() -> None:
    store = create_store()
    assert "0 tables, 0 rows, 0 values" in store._repr_html_()
    shown = [create(store)._repr_html_() for create in (create_queries, create_metrics, create_indexes)]
    assert [html.split('note">')[1].split("<")[0] for html in shown] == [
        "0 queries",
        "0 metrics",
        "0 indexes",
    ]


def test_a_mime_bundle_holds_text_and_html_as_asked_for() -> None:
    store = create_store()
    assert store._repr_mimebundle_() == {"text/plain": repr(store), "text/html": store._repr_html_()}
    assert list(store._repr_mimebundle_(include={"text/html"})) == ["text/html"]
    assert list(store._repr_mimebundle_(exclude={"text/html"})) == ["text/plain"]
    assert len(store._repr_mimebundle_(include=set(), exclude=set())) == 2


def test_what_has_no_summary_says_so() -> None:
    with pytest.raises(TypeError, match="no summary of a str"):
        summary_of("pets")


def test_showing_a_store_needs_no_package() -> None:
    program = (
        "import sys, replicell.store as s; s.Store().set_cell('t', 'r', 'c', 1)._repr_html_();"
        "print(*[name for name in ('anywidget', 'IPython', 'marimo', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_views_of_a_store_show_their_part_of_it() -> None:
    store = create_store().set_table("pets", {"fido": {"age": 3, "tags": ["good"]}}).set_value("open", True)
    assert store.tables._repr_html_() == store._repr_html_()
    assert store.tables["pets"]._repr_html_() == table_summary(store, "pets")
    assert store.table(Pet, "pets")._repr_html_() == table_summary(store, "pets")
    fido = store.tables["pets"]["fido"]
    assert Reader(fido._repr_html_()).cells == ["cell", "content", "age", "3", "tags", '["good"]']
    assert "2 cells" in fido._repr_html_()
