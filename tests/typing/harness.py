"""What type checkers say about programs that use replicell, compared with what they are expected to say.

A case is a file in `tests/typing/cases`, named like the tests it belongs to. It is not run, only checked, and
`make check` passes over it, because some of its lines are wrong on purpose. Such a line ends in a comment
that says what each checker calls the error::

    store.on_cell("pets", None, "age")(print_row)  # expect: mypy[arg-type], pyright[reportArgumentType]

A checker that is not named must find nothing wrong with the line, and neither may find anything else. What is
right is shown with `typing.assert_type`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

__all__ = ["CASES", "CHECKERS", "Checker", "Finding", "compared", "expected_by"]

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"

_EXPECTATION = re.compile(r"#\s*expect:\s*(.+)$")
_NAMED = re.compile(r"(\w+)\[([\w-]+)\]")


class Finding(NamedTuple):
    """An error in a line of a case."""

    case: str
    line: int
    rule: str
    """What the checker calls it."""


def _run(*arguments: str) -> str:
    """Run a checker, which exits with 1 if it finds errors and with more if it cannot work."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    if done.returncode > 1:
        raise RuntimeError(f"{arguments[0]} could not check the cases: {done.stdout}{done.stderr}")
    return done.stdout


def _found_by_mypy(files: list[str]) -> dict[Finding, str]:
    told = [
        json.loads(line) for line in _run("mypy", "--output", "json", *files).splitlines() if line[:1] == "{"
    ]
    return _findings(
        (error["file"], error["line"], error["code"] or "syntax", error["message"])
        for error in told
        if error["severity"] == "error"
    )


def _found_by_pyright(files: list[str]) -> dict[Finding, str]:
    # A project of its own, as ours leaves out the cases.
    settings = {"extraPaths": [str(ROOT / "src")], "typeCheckingMode": "standard"}
    with TemporaryDirectory() as folder:
        Path(folder, "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
        for file in files:
            shutil.copy(file, folder)
        output = _run("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", folder)
    told: dict[str, Any] = json.loads(output)
    return _findings(
        (error["file"], error["range"]["start"]["line"] + 1, error.get("rule", "syntax"), error["message"])
        for error in told["generalDiagnostics"]
        if error["severity"] == "error"
    )


def _findings(errors: Iterable[tuple[str, int, str, str]]) -> dict[Finding, str]:
    return {Finding(Path(file).name, line, rule): message for file, line, rule, message in errors}


Checker = Callable[[list[str]], dict[Finding, str]]
"""Given files, tells what is wrong in them, and what it says about it."""

CHECKERS: dict[str, Checker] = {"mypy": _found_by_mypy, "pyright": _found_by_pyright}


def expected_by(checker: str, files: Iterable[Path]) -> set[Finding]:
    """Read what a checker is expected to find.

    Raises:
        ValueError: If a comment begins like an expectation and is none.
    """
    expected = set()
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            comment = _EXPECTATION.search(line)
            if comment is None:
                continue
            named = _NAMED.findall(comment[1])
            if not named or {name for name, _ in named} - set(CHECKERS):
                raise ValueError(f"{file.name}:{number}: write '# expect: mypy[rule], pyright[rule]'")
            expected |= {Finding(file.name, number, rule) for name, rule in named if name == checker}
    return expected


def compared(checker: str, files: list[Path]) -> list[str]:
    """Check files and return, in words, everything that is not as expected."""
    expected = expected_by(checker, files)
    cases = {file.name for file in files}
    # What is wrong in an imported module is no finding about the case; `make check` tells of it.
    found = {
        it: said for it, said in CHECKERS[checker]([str(it) for it in files]).items() if it.case in cases
    }
    missed = sorted(expected - found.keys())
    too_much = sorted(found.keys() - expected)
    return [
        *(f"{it.case}:{it.line}: expected [{it.rule}], which was not found" for it in missed),
        *(f"{it.case}:{it.line}: found [{it.rule}]: {found[it]}" for it in too_much),
    ]
