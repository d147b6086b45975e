"""A machine whose cargo, rustc, npm and cc are small programs, so that a whole build takes a moment.

They do what the real ones do for the build: npm delivers a source package, cargo leaves a static library,
cc leaves the extension. All they were called with is kept in ``calls``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.persisters.crsqlite.extension.small_package import pack_small_package

_PRELUDE = """#!{python}
import json, os, pathlib, shutil, sys
arguments = sys.argv[1:]
here = pathlib.Path(__file__).parent
def path_after(option):
    return pathlib.Path(arguments[arguments.index(option) + 1])
with (here / "calls.jsonl").open("a") as calls:
    call = [pathlib.Path(__file__).name, arguments, os.getcwd(), dict(os.environ)]
    calls.write(json.dumps(call) + "\\n")
"""

_PROGRAMS = {
    "rustc": 'print("rustc 1.95.0 (59807616e 2026-04-14)")\n',
    "npm": """
if (here / "package.tgz").exists():
    shutil.copy(here / "package.tgz", path_after("--pack-destination"))
else:
    sys.exit("npm error code ENOTFOUND")
""",
    "cargo": """
if (here / "offline").exists() and arguments[0] == "fetch":
    sys.exit("error: failed to download from the registry")
if arguments[0] == "build":
    archive = path_after("--target-dir") / "release" / "libcrsql_bundle_static.a"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"static library")
    print("Finished `release` profile")
""",
    "cc": """
if arguments == ["-print-file-name=include"]:
    print("/usr/lib/headers of cc")
else:
    shutil.copy(here / "library", path_after("-o"))
""",
}


class Call(NamedTuple):
    """One call of a tool."""

    tool: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]


class BuildingMachine:
    """The tools and what they deliver.

    Args:
        folder: where the tools go; it becomes all of PATH.
        library: what cc leaves as the extension.
        monkeypatch: sets PATH, libclang and the checksum of npm's package.
    """

    def __init__(self, folder: Path, library: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for name, program in _PROGRAMS.items():
            (self.bin / name).write_text(_PRELUDE.format(python=sys.executable) + program)
            (self.bin / name).chmod(0o755)
        archive, integrity = pack_small_package(folder)
        (self.bin / "package.tgz").write_bytes(archive.read_bytes())
        (self.bin / "library").write_bytes(library)
        monkeypatch.setattr("replicell.persisters.crsqlite.extension.source_build.NPM_INTEGRITY", integrity)
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setenv("LIBCLANG_PATH", str(folder))

    def go_offline(self) -> None:
        """Let cargo no longer reach its registry."""
        (self.bin / "offline").touch()

    @property
    def calls(self) -> list[Call]:
        """What the tools were called with, in order."""
        file = self.bin / "calls.jsonl"
        return [Call(*json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def call(self, tool: str, word: str) -> Call:
        """Return the first call of a tool with a word among its arguments."""
        return next(call for call in self.calls if call.tool == tool and word in call.arguments)
