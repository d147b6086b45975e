"""Processes that take a JSON line and answer with one: the peers under Node, and replicas of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["LineProcess", "NodeMissingError", "node", "python"]

FOLDER = Path(__file__).with_name("node")
ROOT = FOLDER.parents[1]
ENDING_SECONDS = 120


class NodeMissingError(RuntimeError):
    """Node or the packages of benchmarks/node are not there."""


class LineProcess:
    """A child process that reads JSON lines and writes JSON lines; ended by closing its input."""

    def __init__(self, *command: str) -> None:
        self._name = " ".join(command)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", cwd=ROOT
        )

    def send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise RuntimeError(f"{self._name} ended with code {code}; its error is printed above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.send(request)
        return self.receive()

    def command(self, command: str, **options: Any) -> Any:
        return self.ask({"command": command, **options})["answer"]

    @property
    def resident_bytes(self) -> int:
        """How much memory it has now."""
        command = ["ps", "-o", "rss=", "-p", str(self._process.pid)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=ENDING_SECONDS)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def node(script: str, *arguments: str) -> LineProcess:
    """Start a script of benchmarks/node.

    Raises:
        NodeMissingError: Node or its packages are not installed.
    """
    if shutil.which("node") is None:
        raise NodeMissingError(
            "Node is not installed; the benchmarks need Node 20 or later for TinyBase's side"
        )
    if not (FOLDER / "node_modules" / "tinybase").exists():
        raise NodeMissingError("TinyBase is not installed: run `npm install` in benchmarks/node")
    return LineProcess("node", "--expose-gc", str(FOLDER / script), *arguments)


def python(module: str, *arguments: str) -> LineProcess:
    """Start a module of the benchmarks in a process of its own."""
    return LineProcess(sys.executable, "-m", module, *arguments)
