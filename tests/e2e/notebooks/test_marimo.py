"""Live widgets in a real marimo, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.notebooks.browser import chromium_path, dark, launched, page_of
from tests.e2e.notebooks.marimo_server import running_marimo

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("notebooks")]
EXAMPLES = Path(__file__).parents[3] / "examples" / "notebooks"

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    from replicell.store import create_metrics, create_queries, create_store
    from replicell.store.notebook import LiveTable, LiveValue

    store = create_store().set_tables_schema({
        "todo": {"text": {"type": "string"}, "hours": {"type": "number"}}
    })
    store.set_table("todo", {str(n): {"text": f"task {n}", "hours": n} for n in range(1000)})
    metrics = create_metrics(store).set_metric_definition("hours", "todo", "sum", "hours")
    queries = create_queries(store)
    queries.set_query_definition(
        "longest",
        "todo",
        lambda q: (q.select("text"), q.select("hours"), q.order_by("hours", True), q.limit(3)),
    )
    return LiveTable, LiveValue, metrics, mo, queries, store


@app.cell
def _(LiveTable, mo, store):
    mo.ui.anywidget(LiveTable(store, "todo"))


@app.cell
def _(LiveTable, LiveValue, metrics, mo, queries):
    mo.hstack([mo.ui.anywidget(LiveValue(metrics, "hours")), mo.ui.anywidget(LiveTable(queries, "longest"))])


@app.cell
def _(mo, store):
    def change(_):
        store.set_row("todo", "1", {"text": "changed in the kernel", "hours": 5000})

    mo.ui.button(label="change", on_click=change)


@app.cell
def _(store):
    store


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium_path()
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("marimo")
    notebook = folder / "live.py"
    notebook.write_text(NOTEBOOK)
    with running_marimo(folder, notebook, "run") as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    with page_of(browser, scheme="dark") as page:
        page.goto(address)
        page.get_by_role("grid", name="todo").get_by_role("gridcell", name="task 0").wait_for()
        yield page


def test_a_cell_edited_in_the_page_is_in_the_store(page: Page) -> None:
    page.get_by_role("grid", name="todo").get_by_role("gridcell", name="7", exact=True).dblclick()
    editor = page.get_by_role("textbox", name="hours of 7")
    editor.fill("2007")
    editor.press("Enter")
    # The metric and the query are worked out in the kernel, from the store.
    expect(page.locator(".rc-value .rc-content")).to_have_text(str(sum(range(1000)) + 2000))
    longest = page.get_by_role("grid", name="longest")
    expect(longest.get_by_role("rowheader")).to_have_text(["7", "999", "998"])
    expect(longest.get_by_role("gridcell", name="2007")).to_be_visible()


def test_an_edit_that_the_schema_forbids_shows_why(page: Page) -> None:
    page.get_by_role("grid", name="todo").get_by_role("gridcell", name="3", exact=True).dblclick()
    editor = page.get_by_role("textbox", name="hours of 3")
    editor.fill("three")
    editor.press("Enter")
    expect(page.get_by_text("hours of 3: “three” cannot stand here")).to_be_visible()
    expect(
        page.get_by_role("grid", name="todo").get_by_role("gridcell", name="3", exact=True)
    ).to_be_visible()


def test_a_change_of_the_store_is_seen_in_the_page(page: Page) -> None:
    page.get_by_role("button", name="change").click()
    todo = page.get_by_role("grid", name="todo")
    expect(todo.get_by_role("gridcell", name="changed in the kernel")).to_be_visible()
    expect(page.get_by_role("grid", name="longest").get_by_role("rowheader").first).to_have_text("1")


def test_dark_is_followed(page: Page) -> None:
    expect(page.locator(".rc-table").first).to_have_attribute("data-theme", "dark")
    assert dark(page, ".rc-table .rc-grid")


def test_a_store_is_shown_as_html(page: Page) -> None:
    expect(page.locator(".replicell .head").last).to_contain_text("1 table, 1,000 rows, 0 values")


def test_a_page_that_is_loaded_again_gets_what_there_is_now(page: Page) -> None:
    page.reload()
    todo = page.get_by_role("grid", name="todo")
    expect(
        todo.get_by_role("gridcell", name="changed in the kernel").or_(
            todo.get_by_role("gridcell", name="task 1", exact=True)
        )
    ).to_be_visible()
    page.get_by_role("button", name="change").click()
    expect(todo.get_by_role("gridcell", name="changed in the kernel")).to_be_visible()


def test_the_example_shows_what_a_colleague_writes(browser: Browser, tmp_path: Path) -> None:
    for name in ("garden_marimo.py", "garden.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    with (
        running_marimo(tmp_path, tmp_path / "garden_marimo.py", "edit") as address,
        page_of(browser) as page,
    ):
        page.goto(address)
        work = page.get_by_role("grid", name="work")
        expect(work.get_by_role("gridcell", name="water everything")).to_be_visible()
        expect(page.get_by_label("hours: 4; who: Edith")).to_be_visible()
        page.get_by_role("button", name="Let the colleague edit").click()
        expect(work.get_by_role("gridcell", name="pick the first apple")).to_be_visible()
        expect(page.locator(".rc-value .rc-content")).to_have_text("32.5")
        # The cell of the chart runs again by itself.
        expect(page.get_by_label("hours: 11; who: Edith")).to_be_visible()
