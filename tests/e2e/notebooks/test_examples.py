"""The example notebooks run from top to bottom, and are what they say: replicas in a room."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import replicell
from replicell.sync import SyncServer
from tests.e2e.notebooks.lab import write_notebook

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("notebooks")]

EXAMPLES = Path(__file__).parents[3] / "examples" / "notebooks"
TABLES = {"work": {"task": {"type": "string"}, "who": {"type": "string"}, "hours": {"type": "number"}}}

RUN_MARIMO = """
import json, sys
sys.path.insert(0, ".")
import garden_marimo

outputs, names = garden_marimo.app.run()
chart = names["chart_of_hours"](names["queries"])
print(json.dumps({
    "work": names["store"].get_table("work"),
    "theirs": names["colleague"].store.get_table("work"),
    "bars": next(iter(chart.to_dict()["datasets"].values())),
    "shown": [type(output).__name__ for output in outputs],
}))
"""


async def test_the_jupyter_notebook_joins_a_room_and_shares_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SyncServer(tmp_path / "rooms", host="127.0.0.1", port=0) as server:
        room = f"{server.url}/garden"
        monkeypatch.setenv("REPLICELL_ROOM", room)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
        notebook: Any = nbformat.read(  # type: ignore[no-untyped-call]  # the package has no types
            EXAMPLES / "garden.ipynb", as_version=4
        )
        client = NotebookClient(
            notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
        )
        await client.async_execute()
        async with replicell.open(tmp_path / "test.db", tables=TABLES, server=room) as app:
            await app.wait_until_synced(20)
            assert app.store.get_cell("work", "w9", "task") == "pick the first apple"
            assert app.store.get_cell("work", "w1", "who") == "Ada"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type in ("error", "stream")] == []
    shown: list[dict[str, Any]] = [output["data"] for output in outputs]
    assert "1 table, 8 rows" in shown[0]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in shown[1]
    assert "application/vnd.jupyter.widget-view+json" in shown[2]
    # The chart was drawn again when the colleague's edit came.
    [bars] = shown[3]["application/vnd.vegalite.v5+json"]["datasets"].values()
    assert {bar["who"]: bar["hours"] for bar in bars} == {"Ada": 9, "Edith": 11, "Grace": 12.5}
    assert "pick the first apple" in shown[4]["text/plain"]


async def test_what_comes_from_elsewhere_while_a_cell_is_busy_is_shown_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    async with SyncServer(tmp_path / "rooms", host="127.0.0.1", port=0) as server:
        room = f"{server.url}/garden"
        write_notebook(
            tmp_path / "busy.ipynb",
            [
                f"""
import replicell
from replicell.store.notebook import LiveTable

app = await replicell.open("mine.db", tables=["work"], server={room!r})
app.store.set_row("work", "w1", {{"hours": 1}})
await app.wait_until_synced(20)
table = LiveTable(app.store, "work")
sent = []
table._session._send = sent.append
table._session.receive({{"kind": "open", "view": "a", "offset": 0, "limit": 10}})
""",
                f"open({str(gate)!r}).read(); print(app.store.get_cell('work', 'w1', 'hours'))",
                "await app.store.wait_for(lambda s: s.get_cell('work', 'w1', 'hours') == 99, timeout=20)",
                "print(sent[-1]); await app.close()",
            ],
        )
        notebook: Any = nbformat.read(  # type: ignore[no-untyped-call]  # the package has no types
            tmp_path / "busy.ipynb", as_version=4
        )
        client = NotebookClient(
            notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        )
        executing = asyncio.ensure_future(client.async_execute())
        # Opening it for writing returns when the busy cell has opened it for reading.
        opened = await asyncio.to_thread(gate.open, "w")
        async with replicell.open(tmp_path / "theirs.db", tables=["work"], server=room) as theirs:
            await theirs.wait_until_synced(20)
            theirs.store.set_cell("work", "w1", "hours", 99)
            await theirs.wait_until_synced(20)
        opened.close()
        await executing
    printed = [output["text"] for cell in notebook.cells for output in cell["outputs"] if "text" in output]
    assert printed == [
        "1\n",
        "{'kind': 'changed', 'rows': {'w1': {'hours': 99}}, 'view': 'a'}\n",
    ]


def test_the_marimo_notebook_runs_as_a_program(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    environment.pop("REPLICELL_ROOM", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN_MARIMO],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["work"]) == 8
    assert result["theirs"] == result["work"]
    assert {bar["who"]: bar["hours"] for bar in result["bars"]} == {"Ada": 9, "Edith": 4, "Grace": 12.5}
    assert "anywidget" in result["shown"]
