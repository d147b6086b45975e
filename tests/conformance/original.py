"""The original: one long-lived Node process that runs scripts on TinyBase 10.0.1."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conformance.family import Family
from tests.conformance.twin import Script, Trace

__all__ = ["VERSION", "Original", "why_missing"]

VERSION = "10.0.1"
NODE_FOLDER = Path(__file__).parents[2] / "benchmarks" / "node"
NODE_MODULES = NODE_FOLDER / "node_modules"


def why_missing() -> str | None:
    """Say why the original cannot run on this machine and what to do, or None where it can."""
    if shutil.which("node") is None:
        return "Node is not installed (20 or later is needed to compare with TinyBase itself)"
    manifest = NODE_MODULES / "tinybase" / "package.json"
    if not manifest.exists():
        return "TinyBase is not installed: run `npm install` in benchmarks/node"
    found = json.loads(manifest.read_text())["version"]
    if found != VERSION:
        return (
            f"TinyBase {found} is installed where {VERSION} is needed: run `npm install` in benchmarks/node"
        )
    return None


class Original:
    """TinyBase under Node, given scripts of one family and answering with traces.

    `send` and `receive` are apart so that replicell can run a batch while Node runs the same one.
    """

    def __init__(self, family: Family) -> None:
        patches = [
            {"module": patch.module, "name": patch.name, "from": patch.original, "to": patch.mended}
            for patch in family.patches
        ]
        self._process = subprocess.Popen(
            ["node", str(family.folder / "runner.mjs"), str(NODE_MODULES), json.dumps(patches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def send(self, scripts: Sequence[Script]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"scripts": scripts}) + "\n")
        self._process.stdin.flush()

    def receive(self) -> list[Trace]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the Node process ended with code {self._process.wait()}; its error is printed above"
            )
        answer: dict[str, Any] = json.loads(line)
        traces: list[Trace] = answer["traces"]
        return traces

    def run(self, script: Script) -> Trace:
        self.send([script])
        return self.receive()[0]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
