"""The documentation runs, is complete, and the package exports what it says and loads little."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import replicell.store as package

MODULES = [
    package.__name__,
    *[module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")],
]
EXAMPLE_NAMES = {
    "Store": package.Store,
    "create_queries": package.create_queries,
    "create_store": package.create_store,
    "MISSING": package.MISSING,
    "copy": copy,
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), extraglobs=EXAMPLE_NAMES)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_modules_export_exactly_what_they_define_in_public(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for exported in module.__all__:
        assert hasattr(module, exported)
    if name != package.__name__:
        defined = {
            key
            for key, thing in vars(module).items()
            if not key.startswith("_")
            and (inspect.isclass(thing) or inspect.isfunction(thing))
            and thing.__module__ == name
        }
        assert defined <= set(module.__all__)


def public_things() -> Iterator[tuple[str, Any]]:
    for name in MODULES:
        module = importlib.import_module(name)
        for exported in module.__all__:
            thing = getattr(module, exported)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == name:
                yield f"{name}.{exported}", thing
                if inspect.isclass(thing):
                    for key, member in vars(thing).items():
                        if not key.startswith("_") and inspect.isfunction(member):
                            yield f"{name}.{exported}.{key}", member


def test_everything_public_has_a_docstring() -> None:
    assert [name for name, thing in public_things() if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize(
    ("public_class", "known_without"),
    [(package.Store, {"pump", "move_to_current_thread"}), (package.Queries, set[str]())],
)
def test_every_method_has_an_example(public_class: type, known_without: set[str]) -> None:
    without = {
        name
        for name in dir(public_class)
        if not name.startswith("_") and ">>>" not in (inspect.getdoc(getattr(public_class, name)) or "")
    }
    assert without == known_without


def test_importing_the_store_loads_nothing_heavy() -> None:
    program = (
        "import sys, replicell.store as s; s.Store().set_cell('t', 'r', 'c', 1);"
        "heavy = 'apsw', 'websockets', 'msgspec', 'asyncio', 'reactivex', 'sqlite3', 'socket', 'rich';"
        "print(*[module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == ""
