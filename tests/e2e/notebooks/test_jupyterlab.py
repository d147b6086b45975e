"""Live widgets in a real JupyterLab, in a real browser, with a real kernel."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.notebooks.browser import chromium_path, dark, launched, page_of
from tests.e2e.notebooks.lab import Kernel, Lab, running_lab, write_notebook

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("notebooks")]
EXAMPLES = Path(__file__).parents[3] / "examples" / "notebooks"

CELLS = [
    """
from replicell.store import create_metrics, create_store
from replicell.store.notebook import LiveTable, LiveValue

store = create_store().set_tables_schema({
    "todo": {
        "text": {"type": "string"},
        "hours": {"type": "number"},
        "state": {"enum": ["open", "closed"]},
        "done": {"type": "boolean", "default": False},
    }
})
store.set_table("todo", {
    str(number): {"text": f"task {number}", "hours": number * 37 % 101, "state": "open"}
    for number in range(100_000)
})
store.set_cell("todo", "1", "text", "<img src=x onerror='window.broken = true'>")
table = LiveTable(store, "todo")
table
""",
    """
metrics = create_metrics(store).set_metric_definition("hours", "todo", "sum", "hours")
hours = LiveValue(metrics, "hours")
hours
""",
    "table",
    "store",
]


class Notebook:
    """The open notebook, as a person sees it, and its kernel."""

    def __init__(self, lab: Lab, page: Page, kernel: Kernel) -> None:
        self.lab = lab
        self.page = page
        self.kernel = kernel
        self.table = page.locator(".rc-table").first

    def cell(self, row: str, column: int) -> Locator:
        """Find a cell by its row's id and the number of its column, ids being 1."""
        head = self.page.get_by_role("rowheader", name=row, exact=True)
        return self.table.get_by_role("row").filter(has=head).locator(f"[aria-colindex='{column}']")

    def wait_for_ids(self, *ids: str, place: int = 0) -> None:
        """Wait until the rows in sight have these ids, from a place below the top on."""
        self.page.wait_for_function(
            """([grid, place, ids]) => {
                const rows = [...grid.querySelectorAll(".rc-body .rc-row")];
                rows.sort((one, other) => one.ariaRowIndex - other.ariaRowIndex);
                const found = rows.slice(place, place + ids.length).map(row => row.firstChild.textContent);
                return JSON.stringify(found) === JSON.stringify(ids);
            }""",
            arg=[self.table.element_handle(), place, list(ids)],
        )

    def scroll_to(self, top: int | str) -> None:
        self.table.locator(".rc-grid").evaluate(
            "(grid, top) => { grid.scrollTop = top === 'end' ? grid.scrollHeight : top }", top
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    chromium_path()
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser(lab: Lab) -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def notebook(lab: Lab, browser: Browser) -> Iterator[Notebook]:
    with page_of(browser) as page:
        write_notebook(lab.folder / "live.ipynb", CELLS)
        lab.open(page, "live.ipynb")
        lab.run_all(page)
        kernel = lab.kernel()
        page.wait_for_selector(".rc-table [role=gridcell]")
        page.wait_for_selector(".rc-value")
        yield Notebook(lab, page, kernel)
        kernel.close()


def test_the_page_holds_only_the_rows_in_sight(notebook: Notebook) -> None:
    grid = notebook.table.get_by_role("grid", name="todo")
    expect(grid).to_have_attribute("aria-rowcount", "100001")
    expect(notebook.table.locator(".rc-count")).to_have_text("100,000 rows")
    notebook.wait_for_ids("0", "1", "2")
    assert notebook.table.locator(".rc-body .rc-row").count() < 80
    notebook.scroll_to("end")
    expect(notebook.cell("99999", 2)).to_have_text("task 99999")
    assert notebook.table.locator(".rc-body .rc-row").count() < 80
    notebook.scroll_to(0)
    expect(notebook.cell("0", 2)).to_have_text("task 0")


def test_what_looks_like_html_is_text(notebook: Notebook) -> None:
    expect(notebook.cell("1", 2)).to_have_text("<img src=x onerror='window.broken = true'>")
    assert notebook.page.evaluate("window.broken") is None


def test_a_cell_edited_in_the_page_is_in_the_store(notebook: Notebook) -> None:
    notebook.cell("2", 2).dblclick()
    editor = notebook.table.get_by_role("textbox", name="text of 2")
    editor.fill("buy milk")
    editor.press("Enter")
    expect(notebook.cell("2", 2)).to_have_text("buy milk")
    expect(notebook.cell("2", 2)).not_to_have_attribute("data-state", "waiting")
    notebook.kernel.wait_for("store.get_cell('todo', '2', 'text')", "buy milk")


def test_a_metric_follows_an_edit_in_the_page(notebook: Notebook) -> None:
    content = notebook.page.locator(".rc-value .rc-content").first
    before = int(content.inner_text())
    notebook.cell("0", 3).dblclick()
    editor = notebook.table.get_by_role("textbox", name="hours of 0")
    editor.fill("1000")
    editor.press("Enter")
    expect(content).to_have_text(str(before + 1000))


def test_an_edit_that_the_schema_forbids_shows_why_and_is_put_back(notebook: Notebook) -> None:
    notebook.cell("3", 3).dblclick()
    editor = notebook.table.get_by_role("textbox", name="hours of 3")
    editor.fill("ten")
    editor.press("Enter")
    status = notebook.table.get_by_role("status")
    expect(status).to_have_text("hours of 3: “ten” cannot stand here: it must be of type number.")
    expect(notebook.cell("3", 3)).to_have_text("10")
    notebook.kernel.wait_for("store.get_cell('todo', '3', 'hours')", 10)


def test_an_enum_is_chosen_and_a_boolean_is_ticked(notebook: Notebook) -> None:
    notebook.cell("4", 4).dblclick()
    chooser = notebook.table.get_by_role("combobox", name="state of 4")
    chooser.select_option("closed")
    chooser.press("Enter")
    expect(notebook.cell("4", 4)).to_have_text("closed")
    notebook.cell("4", 5).locator(".rc-check").click()
    expect(notebook.cell("4", 5)).to_have_text("true")
    row = {"text": "task 4", "hours": 4 * 37 % 101, "state": "closed", "done": True}
    notebook.kernel.wait_for("store.get_row('todo', '4')", row)


def test_keys_move_through_the_grid_and_edit(notebook: Notebook) -> None:
    notebook.cell("5", 2).click()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        notebook.page.keyboard.press(key)
    editor = notebook.table.get_by_role("textbox", name="hours of 6")
    editor.fill("77")
    editor.press("Escape")
    expect(notebook.cell("6", 3)).to_be_focused()
    expect(notebook.cell("6", 3)).to_have_text("20")
    notebook.page.keyboard.press("Control+End")
    expect(notebook.cell("99999", 5)).to_be_focused()
    notebook.page.keyboard.press("Control+Home")
    expect(notebook.cell("0", 1)).to_be_focused()


def test_a_change_of_the_store_is_seen_in_the_page(notebook: Notebook) -> None:
    notebook.kernel.run("store.set_cell('todo', '7', 'text', 'changed in the kernel')")
    expect(notebook.cell("7", 2)).to_have_text("changed in the kernel")
    notebook.kernel.run("_ = store.del_row('todo', '8')")
    expect(notebook.cell("8", 2)).to_have_count(0)
    expect(notebook.table.locator(".rc-count")).to_have_text("99,999 rows")
    notebook.wait_for_ids("6", "7", "9", place=6)


def test_a_click_on_a_heading_sorts_all_rows(notebook: Notebook) -> None:
    notebook.kernel.run("_ = store.set_cell('todo', '0', 'hours', 1000)")
    heading = notebook.table.get_by_role("columnheader", name="hours")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    # Of all that have 100 hours, the last comes first.
    notebook.wait_for_ids("0", "99919")
    notebook.kernel.run("store.set_cell('todo', '50000', 'hours', 2000)")
    notebook.wait_for_ids("50000", "0")
    expect(notebook.cell("50000", 3)).to_have_text("2000")
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "none")
    expect(notebook.cell("3", 2)).to_have_text("task 3")


def test_a_busy_cell_shows_its_changes_and_edits_wait_for_its_end(notebook: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    notebook.kernel.run("import threading")
    code = f"store.set_cell('todo', '9', 'text', 'busy'); open({str(gate)!r}).read()"
    notebook.kernel._client.execute(code, store_history=False)
    expect(notebook.cell("9", 2)).to_have_text("busy")
    notebook.cell("10", 2).dblclick()
    editor = notebook.table.get_by_role("textbox", name="text of 10")
    editor.fill("meanwhile")
    editor.press("Enter")
    expect(notebook.cell("10", 2)).to_have_attribute("data-state", "waiting")
    gate.write_text("go on")
    expect(notebook.cell("10", 2)).not_to_have_attribute("data-state", "waiting")
    notebook.kernel.wait_for("store.get_cell('todo', '10', 'text')", "meanwhile")


def test_each_view_of_a_widget_shows_the_same_from_its_own_place(notebook: Notebook) -> None:
    notebook.kernel.wait_for("table.view_count", 2)
    second = notebook.page.locator(".rc-table").nth(1)
    second.get_by_role("columnheader", name="hours").click()
    expect(second.get_by_role("columnheader", name="hours")).to_have_attribute("aria-sort", "ascending")
    expect(notebook.table.get_by_role("columnheader", name="hours")).to_have_attribute("aria-sort", "none")
    notebook.kernel.run("_ = store.set_row('todo', '0', {'text': 'in both', 'hours': -1, 'state': 'open'})")
    expect(notebook.cell("0", 2)).to_have_text("in both")
    expect(second.get_by_role("rowheader").first).to_have_text("0")


def test_what_is_being_typed_outlives_that_the_page_asks_again(notebook: Notebook) -> None:
    notebook.cell("11", 2).dblclick()
    editor = notebook.table.get_by_role("textbox", name="text of 11")
    editor.fill("half a")
    # As when a person looks at another tab of the browser and comes back.
    notebook.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    notebook.kernel.run(
        "_ = store.set_cell('todo', '12', 'text', 'meanwhile elsewhere').del_row('todo', '5')"
    )
    expect(notebook.cell("12", 2)).to_have_text("meanwhile elsewhere")
    expect(editor).to_be_focused()
    editor.press_sequentially(" sentence")
    editor.press("Enter")
    expect(notebook.cell("11", 2)).to_have_text("half a sentence")
    notebook.kernel.wait_for("store.get_cell('todo', '11', 'text')", "half a sentence")


def test_columns_fit_rows_that_come_after_the_table_was_shown(notebook: Notebook) -> None:
    page = notebook.page
    notebook.kernel.run("later = LiveTable(store, 'later')")
    page.evaluate(
        """async () => {
            const notebook = jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = notebook.widgets.length - 1;
            await jupyterapp.commands.execute('notebook:insert-cell-below');
            notebook.activeCell.model.sharedModel.setSource('later');
            await jupyterapp.commands.execute('notebook:run-cell');
        }"""
    )
    expect(page.get_by_text("No rows yet")).to_be_visible()
    notebook.kernel.run("_ = store.del_tables_schema().set_row('later', 'x', {'text': 'a long enough text'})")
    cell = page.get_by_role("gridcell", name="a long enough text")
    expect(cell).to_be_visible()
    page.wait_for_function("cell => cell.scrollWidth <= cell.clientWidth", arg=cell.element_handle())
    notebook.kernel.run("later.close()")
    expect(cell).to_have_count(0)


def test_light_and_dark_are_followed(notebook: Notebook) -> None:
    page = notebook.page
    assert not dark(page, ".rc-table .rc-grid")
    change = "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })"
    page.evaluate(change, "JupyterLab Dark")
    page.wait_for_selector(".rc-table[data-theme=dark]")
    assert dark(page, ".rc-table .rc-grid")
    page.evaluate(change, "JupyterLab Light")
    page.wait_for_selector(".rc-table[data-theme=light]")
    assert not dark(page, ".rc-table .rc-grid")


def test_a_page_that_is_loaded_again_asks_for_everything_again(notebook: Notebook) -> None:
    page = notebook.page
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    notebook.kernel.run("_ = store.set_cell('todo', '2', 'text', 'before loading again')")
    page.reload()
    page.wait_for_selector(".rc-table [role=gridcell]")
    expect(notebook.cell("2", 2)).to_have_text("before loading again")
    notebook.kernel.run("store.set_cell('todo', '2', 'text', 'bought')")
    expect(notebook.cell("2", 2)).to_have_text("bought")
    notebook.kernel.wait_for("table.view_count", 2)


def test_closing_a_widget_ends_all_listening(notebook: Notebook) -> None:
    notebook.kernel.run("table.close(); hours.close()")
    expect(notebook.page.locator(".rc-table")).to_have_count(0)
    # The metric's own is left.
    notebook.kernel.wait_for("store.get_listener_stats()['table']", 1)
    notebook.kernel.wait_for("table.view_count", 0)


def test_the_example_shows_what_a_colleague_writes(lab: Lab, browser: Browser) -> None:
    for name in ("garden.ipynb", "garden.py"):
        shutil.copy(EXAMPLES / name, lab.folder)
    with page_of(browser) as page:
        lab.open(page, "garden.ipynb")
        lab.run_all(page)
        work = page.get_by_role("grid", name="work")
        expect(work.get_by_role("gridcell", name="pick the first apple")).to_be_visible()
        expect(work.get_by_role("row").filter(has=page.get_by_text("sow carrots"))).to_contain_text("8")
        expect(page.locator(".rc-value .rc-content")).to_have_text("32.5")
        expect(page.get_by_label("hours: 11; who: Edith")).to_be_visible()
        work.get_by_role("gridcell", name="8", exact=True).dblclick()
        editor = page.get_by_role("textbox", name="hours of w3")
        editor.fill("30")
        editor.press("Enter")
        expect(page.locator(".rc-value .rc-content")).to_have_text("54.5")
        expect(page.get_by_label("hours: 33; who: Edith")).to_be_visible()
