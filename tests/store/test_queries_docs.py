"""The documentation of queries runs and is complete, as that of the store is in test_docs.py."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import replicell.store as store
import replicell.store.queries as package

MODULES = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
EXAMPLE_NAMES = {
    "MISSING": store.MISSING,
    "create_queries": store.create_queries,
    "create_store": store.create_store,
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), extraglobs=EXAMPLE_NAMES)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_modules_export_exactly_what_they_define_in_public(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    defined = {
        key
        for key, thing in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == name
    }
    assert defined <= set(module.__all__)
    assert all(hasattr(module, exported) for exported in module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    things = [(key, getattr(module, key)) for key in module.__all__ if inspect.isclass(getattr(module, key))]
    methods = [
        (f"{key}.{member}", function)
        for key, thing in things
        for member, function in vars(thing).items()
        if not member.startswith("_") and inspect.isfunction(function)
    ]
    assert [key for key, thing in [*things, *methods] if not inspect.getdoc(thing)] == []


def test_every_method_of_queries_has_an_example() -> None:
    methods = [
        (name, function)
        for name, function in inspect.getmembers(store.Queries, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert [name for name, function in methods if ">>>" not in (inspect.getdoc(function) or "")] == []
    assert len(methods) >= 39
