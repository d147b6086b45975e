"""The layout: the folders at the top are importable under ``replicell`` and under no other name."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import replicell

ROOT = Path(__file__).parent.parent
LAYERS = ("store", "persisters", "sync")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_the_folder_at_the_top(layer: str) -> None:
    module = import_module(f"replicell.{layer}")
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / layer / "__init__.py"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_does_not_take_a_users_module_name(layer: str, tmp_path: Path) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({layer!r}) is not None)"
    assert subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("layer", LAYERS)
def test_the_links_for_static_tools_point_at_the_folders(layer: str) -> None:
    link = ROOT / "src" / "replicell" / layer
    assert link.is_symlink()
    assert link.readlink() == Path("..", "..", layer)


def test_the_version_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert replicell.__version__ == project["version"]


def test_the_changelog_knows_this_version() -> None:
    assert f"## {replicell.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_importing_the_facade_imports_no_layer() -> None:
    code = (
        "import sys, replicell; "
        "loaded = {name for name in sys.modules if name.startswith('replicell.')} - {'replicell.errors'}; "
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
