"""A Tk program on a screen that nobody sees: the example ``examples/desk``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import replicell
from replicell.app import BlockingApp
from replicell.app.tk import call_from_tk

if TYPE_CHECKING:
    import tkinter
else:
    tkinter = pytest.importorskip("tkinter", reason="this Python has no Tk (Debian: python3-tk)")

from examples.desk.window import TABLES, Window

PATIENCE = 20.0
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """The name of a virtual screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb, the virtual screen, is not installed (Debian: apt-get install xvfb)")
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
        server.terminate()


_kept: list[tkinter.Tk] = []
"""Tk must be freed by its own thread, and garbage is collected by whichever thread is at work."""


@pytest.fixture(scope="module")
def tk(screen: str) -> Iterator[tkinter.Tk]:
    _kept.append(tkinter.Tk(screenName=screen))
    yield _kept[-1]
    _kept[-1].destroy()


@pytest.fixture
def root(tk: tkinter.Tk) -> Iterator[tkinter.Toplevel]:
    """A window of its own for each test."""
    window = tkinter.Toplevel(tk)
    yield window
    window.destroy()


def run_until(root: tkinter.Toplevel, condition: Callable[[], object]) -> None:
    """Run Tk's main loop until a condition holds, which is looked at after every event."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for has not come about"
        root.tk.dooneevent(0)  # Waits for an event; the timer of attach_tk is one.


def wait_a_moment(root: tkinter.Toplevel) -> None:
    """Let Tk do what is due within 20 ms."""
    ended: list[bool] = []
    root.after(20, lambda: ended.append(True))
    run_until(root, lambda: ended)


def open_app(path: Path | str, server: str | None = None) -> BlockingApp:
    return replicell.open_blocking(path, tables=TABLES, row_id_column="id", server=server)


def lines(window: Window) -> tuple[str, ...]:
    return tuple(window.list.get(0, "end"))


def test_an_edit_made_elsewhere_appears_in_the_window(root: tkinter.Toplevel, room: str) -> None:
    with open_app(":memory:", room) as app, open_app(":memory:", room) as elsewhere:
        window = Window(root, app)
        app.attach_tk(root)
        elsewhere.store.set_row("todo", "1", {"text": "Milk", "created": 1})
        run_until(root, lambda: lines(window) == ("☐ Milk",))
        elsewhere.store.set_cell("todo", "1", "completed", True)
        run_until(root, lambda: lines(window) == ("☑ Milk",))
        run_until(root, lambda: "synced" in window.status["text"])


def test_what_is_typed_in_the_window_is_saved_and_arrives_elsewhere(
    root: tkinter.Toplevel, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "desk.db"
    with open_app(path, room) as app, open_app(":memory:", room) as elsewhere:
        window = Window(root, app)
        app.attach_tk(root)
        for text in ("Milk", "  ", "Bread"):
            window.entry.insert(0, text)
            window.entry.focus_force()
            root.update()
            window.entry.event_generate("<Return>")
            root.update()
            window.entry.delete(0, "end")
        assert lines(window) == ("☐ Milk", "☐ Bread")
        window.list.selection_set(0)
        window.list.focus_force()
        root.update()
        window.list.event_generate("<space>")
        elsewhere.wait_for(lambda store: len(store.get_row_ids("todo")) == 2, PATIENCE)
        window.list.selection_clear(0, "end")
        window.list.selection_set(1)
        window.list.event_generate("<Delete>")
        root.update()
        elsewhere.wait_for(lambda store: len(store.get_row_ids("todo")) == 1, PATIENCE)
    with open_app(path) as app:
        (todo,) = app.store.get_table("todo").values()
        assert (todo["text"], todo["completed"]) == ("Milk", True)


def test_what_fails_is_reported_by_tk_and_tried_again(
    tk: tkinter.Tk, root: tkinter.Toplevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[object] = []
    calls: list[int] = []
    monkeypatch.setattr(tk, "report_callback_exception", lambda kind, *_: reported.append(kind))

    def fail_at_first() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise KeyError("the first time")

    with call_from_tk(root, fail_at_first, 0.001):
        run_until(root, lambda: len(calls) > 2)
    assert reported == [KeyError]


def test_a_cancelled_subscription_pumps_no_more(root: tkinter.Toplevel) -> None:
    with open_app(":memory:") as app:
        app.attach_tk(root, interval=0.001).cancel()
        done = app.store.submit(len, ())
        wait_a_moment(root)
        assert not done.done()


def test_a_window_may_be_destroyed_before_the_app_is_closed(root: tkinter.Toplevel) -> None:
    with open_app(":memory:") as app:
        Window(root, app)
        app.attach_tk(root)
        root.update()
        root.destroy()


def test_after_the_end_tk_pumps_no_more(root: tkinter.Toplevel) -> None:
    with open_app(":memory:") as app:
        store = app.store
        app.attach_tk(root, interval=0.001)
    done = store.submit(len, ())
    wait_a_moment(root)
    assert not done.done()
    store.pump()


def run_desk(screen: str, cwd: Path, before: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, after some preparation."""
    program = f"{before}\nfrom examples.desk.__main__ import main\nraise SystemExit(main({list(words)!r}))"
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program],
        cwd=cwd,
        env=os.environ | {"DISPLAY": screen, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_program_says_what_is_wrong(screen: str, tmp_path: Path) -> None:
    result = run_desk(screen, tmp_path, "", "nowhere/desk.db")
    assert result.returncode == 1
    assert result.stderr.startswith("desk: ")
    assert "nowhere" in result.stderr


def test_the_program_ends_when_its_window_is_closed(screen: str, tmp_path: Path) -> None:
    close_soon = """
import tkinter
class Closing(tkinter.Tk):
    def __init__(self):
        super().__init__()
        self.after(50, self.destroy)
tkinter.Tk = Closing
"""
    result = run_desk(screen, tmp_path, close_soon, "desk.db")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "desk.db").exists()
