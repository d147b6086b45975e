"""The original: one long-lived Node process that runs scripts on TinyBase 10.0.1."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from benchmarks.processes import FOLDER, LineProcess
from tests.conformance.family import Family
from tests.conformance.twin import Script, Trace

__all__ = ["VERSION", "Original", "why_missing"]

VERSION = "10.0.1"
NODE_MODULES = FOLDER / "node_modules"


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


class Original(LineProcess):
    """TinyBase under Node, given scripts of one family and answering with traces.

    `begin` and `finish` are apart so that replicell can run a batch while Node runs the same one.
    """

    def __init__(self, family: Family) -> None:
        patches = [
            {"module": patch.module, "name": patch.name, "from": patch.original, "to": patch.mended}
            for patch in family.patches
        ]
        super().__init__("node", str(family.folder / "runner.mjs"), str(NODE_MODULES), json.dumps(patches))
        self._name = f"TinyBase for {family.name}"

    def begin(self, scripts: Sequence[Script]) -> None:
        self.send({"scripts": scripts})

    def finish(self) -> list[Trace]:
        traces: list[Trace] = self.receive()["traces"]
        return traces

    def run(self, script: Script) -> Trace:
        self.begin([script])
        return self.finish()[0]
