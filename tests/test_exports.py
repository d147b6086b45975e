"""Every public name is listed, exists, is documented, and each folder's errors hang from one tree."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from replicell.errors import ReplicellError

ROOT = Path(__file__).parent.parent
PUBLIC_PACKAGES = ("replicell", "replicell.app", "replicell.store", "replicell.persisters", "replicell.sync")
ERROR_MODULES = (
    "replicell.app.errors",
    "replicell.store.errors",
    "replicell.persisters.errors",
    "replicell.sync.errors",
)


def modules_of_layers() -> list[str]:
    return sorted(
        "replicell." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for layer in ("store", "persisters", "sync")
        for path in (ROOT / layer).rglob("*.py")
    )


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_everything_in_all_exists_and_is_named_once(name: str) -> None:
    module = import_module(name)
    exported: list[str] = module.__all__
    assert len(set(exported)) == len(exported)
    for public_name in exported:
        assert hasattr(module, public_name), public_name


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_every_exported_class_and_function_has_a_docstring(name: str) -> None:
    module = import_module(name)
    undocumented = [
        public_name
        for public_name in module.__all__
        if (inspect.isclass(thing := getattr(module, public_name)) or inspect.isfunction(thing))
        and not thing.__doc__
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_every_public_method_of_an_exported_class_has_a_docstring(name: str) -> None:
    module = import_module(name)
    undocumented = [
        f"{public_name}.{method_name}"
        for public_name in module.__all__
        if inspect.isclass(cls := getattr(module, public_name)) and cls.__module__.startswith("replicell.")
        for method_name, method in inspect.getmembers(cls)
        if not method_name.startswith("_")
        and (inspect.isfunction(method) or isinstance(method, property))
        and (getattr(method, "__module__", "replicell") or "").startswith("replicell")
        and not inspect.getdoc(method)
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", [name for name in modules_of_layers() if is_public(name)])
def test_every_public_module_says_what_it_is_and_what_it_offers(name: str) -> None:
    module = import_module(name)
    assert module.__doc__
    assert isinstance(module.__all__, list)


@pytest.mark.parametrize("name", ERROR_MODULES)
def test_a_folders_errors_form_one_tree_below_the_base_error(name: str) -> None:
    module = import_module(name)
    errors = error_classes(module)
    (root,) = [
        error for error in errors if error.__base__ is ReplicellError or error.__bases__[0] is ReplicellError
    ]
    assert all(issubclass(error, root) for error in errors)
    assert {error.__name__ for error in errors} <= set(module.__all__)


def error_classes(module: ModuleType) -> list[type[Exception]]:
    return [
        thing
        for _, thing in inspect.getmembers(module, inspect.isclass)
        if issubclass(thing, Exception) and thing.__module__ == module.__name__
    ]
