"""A marimo server of a test's own, with settings of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

__all__ = ["running_marimo"]

_SETTINGS = """
[display]
theme = "system"

[runtime]
auto_instantiate = true
"""


@contextmanager
def running_marimo(
    folder: Path, notebook: Path, mode: Literal["edit", "run"], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Serve a notebook on a free port, without token or look-ups, and give the address."""
    settings = folder / "config" / "marimo"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "marimo.toml").write_text(_SETTINGS)
    command = [
        *(sys.executable, "-m", "marimo", "-y", mode, str(notebook), "--headless", "--no-token"),
        *("--host", "127.0.0.1", "--port", str(_free_port())),
    ]
    places = {
        "TMPDIR": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "MARIMO_SKIP_UPDATE_CHECK": "1",
        **(environment or {}),
    }
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://[\w.]+:(\d+)", line)
        if found:
            return f"http://127.0.0.1:{found[1]}"
    raise AssertionError("marimo ended before it was ready")
