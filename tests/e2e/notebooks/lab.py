"""A JupyterLab server of a test's own, a notebook open in it, and the kernel behind that."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Page

from tests.e2e.notebooks.browser import PATIENCE

__all__ = ["Kernel", "Lab", "running_lab", "write_notebook"]

_READY = """async () => {
    const widget = jupyterapp.shell.currentWidget;
    await widget.context.ready;
    await widget.sessionContext.ready;
    await widget.sessionContext.session.kernel.info;
}"""


class Kernel:
    """The kernel of the notebook, asked behind the page's back."""

    def __init__(self, connection_file: Path) -> None:
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        self._client.start_channels()

    def run(self, code: str) -> None:
        """Run code to its end; it must not fail."""
        reply = self._client.execute_interactive(code, store_history=False, timeout=40, output_hook=_ignore)
        assert reply["content"]["status"] == "ok", reply["content"]

    def value(self, expression: str) -> Any:
        """Return what an expression is, if JSON can say it."""
        reply = self._client.execute_interactive(
            "import json",
            user_expressions={"it": f"json.dumps({expression})"},
            store_history=False,
            timeout=40,
            output_hook=_ignore,
        )
        answer = reply["content"]["user_expressions"]["it"]
        assert answer["status"] == "ok", answer
        # The text is the repr of a string of JSON.
        return json.loads(eval(answer["data"]["text/plain"], {"__builtins__": {}}))

    def wait_for(self, expression: str, expected: object) -> None:
        """Ask until an expression is what is expected: what happens in a page reaches the kernel later."""
        deadline = time.monotonic() + PATIENCE / 1000
        while (found := self.value(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {expected!r}"

    def close(self) -> None:
        self._client.stop_channels()


class Lab:
    """A running JupyterLab."""

    def __init__(self, url: str, folder: Path, runtime: Path) -> None:
        self.url = url
        self.folder = folder
        self._runtime = runtime

    def open(self, page: Page, name: str) -> None:
        """Show a notebook, its kernel started."""
        page.goto(f"{self.url}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook")
        page.evaluate(_READY)

    def run_all(self, page: Page) -> None:
        """Start running all cells, as the menu does; what they show is to be waited for."""
        page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")

    def kernel(self) -> Kernel:
        """Reach the only kernel that runs."""
        (connection_file,) = self._runtime.glob("kernel-*.json")
        return Kernel(connection_file)


@contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """Run JupyterLab on a free port, without token, news or look-ups, and with settings of its own."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    notebooks, runtime = folder / "notebooks", folder / "runtime"
    notebooks.mkdir()
    places = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": runtime,
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={notebooks}",
    ]
    log = folder / "server.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(place) for name, place in places.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Lab(_address(process, written), notebooks, runtime)
        finally:
            process.terminate()
            assert process.stdout is not None
            written.write(process.stdout.read())
            process.stdout.close()
            process.wait(30)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "source": cell,
            }
            for number, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook))


def _address(process: subprocess.Popen[str], log: Any) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        log.write(line)
        found = re.search(r"(http://127\.0\.0\.1:\d+)/", line)
        if found:
            return found[1]
    raise AssertionError("JupyterLab ended before it was ready; see its log")


def _ignore(_message: object) -> None:
    """Leave output to the page."""
