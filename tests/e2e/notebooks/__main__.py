"""Take the pictures in docs/ anew: ``python -m tests.e2e.notebooks``; look at them before keeping them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.notebooks.browser import launched, page_of
from tests.e2e.notebooks.lab import running_lab
from tests.e2e.notebooks.marimo_server import running_marimo

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "notebooks"
PICTURES = ROOT / "docs"
_COLLAPSE = "jupyterapp.commands.execute('application:toggle-left-area')"
_DARK = "jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })"


def in_jupyterlab(folder: Path) -> None:
    """Show the example in JupyterLab, an edit refused, in light and in dark."""
    with running_lab(folder) as lab, launched() as browser, page_of(browser) as page:
        for name in ("garden.ipynb", "garden.py"):
            shutil.copy(EXAMPLES / name, lab.folder)
        lab.open(page, "garden.ipynb")
        page.evaluate(_COLLAPSE)
        lab.run_all(page)
        work = page.get_by_role("grid", name="work")
        expect(work.get_by_role("gridcell", name="pick the first apple")).to_be_visible()
        page.get_by_label("hours: 11; who: Edith").wait_for()
        refuse_an_edit(page)
        page.get_by_role("heading", name="The table, live").evaluate("element => element.scrollIntoView()")
        page.screenshot(path=PICTURES / "notebook-jupyter.png")
        page.evaluate(_DARK)
        page.wait_for_selector(".rc-table[data-theme=dark]")
        page.get_by_role("heading", name="The table, live").evaluate("element => element.scrollIntoView()")
        page.screenshot(path=PICTURES / "notebook-jupyter-dark.png")


def in_marimo(folder: Path) -> None:
    """Show the example in marimo, after a colleague's edit, in light and in dark."""
    for name in ("garden_marimo.py", "garden.py"):
        shutil.copy(EXAMPLES / name, folder)
    with running_marimo(folder, folder / "garden_marimo.py", "run") as address, launched() as browser:
        for scheme, name in (("light", "notebook-marimo.png"), ("dark", "notebook-marimo-dark.png")):
            with page_of(browser, scheme=scheme) as page:
                page.goto(address)
                work = page.get_by_role("grid", name="work")
                work.get_by_role("gridcell", name="water everything").wait_for()
                page.get_by_role("button", name="Let the colleague edit").click()
                work.get_by_role("gridcell", name="pick the first apple").wait_for()
                page.get_by_label("hours: 11; who: Edith").wait_for()
                page.screenshot(path=PICTURES / name)


def refuse_an_edit(page: Page) -> None:
    """Type something that the schema forbids."""
    row = page.get_by_role("row").filter(has=page.get_by_text("build a compost bin"))
    row.get_by_role("gridcell", name="3", exact=True).dblclick()
    editor = page.get_by_role("textbox", name="hours of w2")
    editor.fill("an afternoon")
    editor.press("Enter")
    expect(page.get_by_text("cannot stand here")).to_be_visible()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_jupyterlab(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        in_marimo(Path(folder))


if __name__ == "__main__":
    main()
