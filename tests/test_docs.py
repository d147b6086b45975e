"""Every Python program in the README and the guides runs as it stands there, in an empty folder, and so does
every example in a docstring."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

import replicell

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(
    r"^```python\n(.*?)^```(?:\n+<!-- prints -->\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")

# The store's examples run beside its own tests, with a store at hand.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(replicell.__path__, "replicell.")
    if module.name != "replicell.__main__" and not module.name.startswith("replicell.store")
]


def programs() -> list[ParameterSet]:
    return [
        pytest.param(match[1], match[2], id=f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}")
        for page in PAGES
        if (text := page.read_text())
        for match in PROGRAM.finditer(text)
    ]


@pytest.mark.parametrize(("program", "output"), programs())
def test_a_program_in_the_documentation_runs(program: str, output: str | None, tmp_path: Path) -> None:
    """A text block marked ``<!-- prints -->`` right after a program is what that program prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    if output is not None:
        assert result.stdout == output


def test_there_are_programs_to_run() -> None:
    assert len(programs()) >= 1


def test_the_examples_in_docstrings_run() -> None:
    results = {
        name: doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS) for name in MODULES
    }
    assert [name for name, result in results.items() if result.failed] == []
    assert sum(result.attempted for result in results.values()) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_to_a_file_of_ours_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
