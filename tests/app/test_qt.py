"""The guide's lines for Qt, run in a program of Qt's own."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent.parent / "docs" / "apps.md"

BEFORE = """
import threading
from PySide6.QtCore import QCoreApplication, QTimer

qt = QCoreApplication([])
"""

AFTER = """
def tell(store, table_id, row_id, get_cell_change):
    print(row_id, threading.current_thread() is threading.main_thread())
    qt.quit()

app.store.add_row_listener("todo", None, tell)
QTimer.singleShot(20_000, qt.quit)
print("listening", flush=True)
qt.exec()
app.close()
"""

SOMEBODY_ELSE = """
import replicell

with replicell.open_blocking("desk.db", tables=["todo"]) as app:
    app.store.set_row("todo", "theirs", {"text": "Milk"})
"""


@pytest.mark.skipif(
    importlib.util.find_spec("PySide6") is None,
    reason="PySide6 is not installed (pip install PySide6-Essentials)",
)
def test_what_others_write_comes_into_the_thread_of_qt(tmp_path: Path) -> None:
    lines = re.search(r"```text\n(import replicell\nfrom PySide6.*?)```", GUIDE.read_text(), re.DOTALL)
    assert lines is not None
    with subprocess.Popen(
        [sys.executable, "-c", BEFORE + lines[1] + AFTER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "listening\n"
        subprocess.run([sys.executable, "-c", SOMEBODY_ELSE], cwd=tmp_path, check=True, timeout=30)
        assert program.stdout.read() == "theirs True\n"
        assert program.wait(30) == 0
