"""The functions that scripts name, as runner.mjs has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replicell.store import MISSING
from tests.conformance.values import ScriptError, decode, encode, is_number

__all__ = ["functions_telling"]


def key_or_zero(key: Any) -> Any:
    return 0 if key is MISSING or key is None else key


SORTERS: dict[str, Callable[[Any, Any], float]] = {
    "reverse": lambda key1, key2: key_or_zero(key2) - key_or_zero(key1),
    "length": lambda key1, key2: len(str(key_or_zero(key1))) - len(str(key_or_zero(key2))),
}


def functions_telling(log: Callable[[list[Any]], None]) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """What the tags of functions stand for; updaters tell `log` when they are called."""

    def constant(thing: dict[str, Any]) -> Callable[..., Any]:
        def update(*_: Any) -> Any:
            log(["update"])
            return decode(thing["value"], functions)

        return update

    def increment(_: dict[str, Any]) -> Callable[[Any], Any]:
        def update(current: Any) -> Any:
            log(["update", encode(current)])
            return current + 1 if is_number(current) else 1

        return update

    def fail(thing: dict[str, Any]) -> Callable[[Any], Any]:
        def update(current: Any) -> Any:
            log(["update", encode(current)])
            raise ScriptError(thing["message"])

        return update

    functions: dict[str, Callable[[dict[str, Any]], Any]] = {
        "constant": constant,
        "increment": increment,
        "fail": fail,
        "sorter": lambda thing: SORTERS[thing["by"]],
    }
    return functions
