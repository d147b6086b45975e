"""A headless Chromium of the system's own, for the tests that look at notebooks as a person does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

__all__ = ["PATIENCE", "chromium_path", "dark", "launched", "page_of"]

PATIENCE = 40_000
"""Milliseconds to wait for anything in a page; a busy machine starts a notebook slowly."""

expect.set_options(timeout=PATIENCE)

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str:
    """Return where Chromium is, or skip the test."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("Chromium is missing: apt-get install chromium, or tools/prepare --screens, installs it")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium; sockets and processes are gone afterwards."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, *, scheme: str = "light") -> Iterator[Page]:
    """Open a page whose scripts must not fail."""
    context = browser.new_context(
        viewport={"width": 1000, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert failures == []


def dark(page: Page, selector: str) -> bool:
    """Tell whether an element of a page has a dark ground."""
    return bool(
        page.eval_on_selector(
            selector,
            """element => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.fillStyle = getComputedStyle(element).backgroundColor;
                canvas.fillRect(0, 0, 1, 1);
                const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
                return red + green + blue < 384;
            }""",
        )
    )
