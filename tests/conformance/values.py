"""The values of scripts and traces: plain JSON plus a few tags for what JSON cannot say.

A script says ``{"$": "undefined"}``, ``{"$": "NaN"}``, ``{"$": "instance"}`` (an object that is no plain one)
or names a function of its family; a trace says the same of what it saw. JavaScript lists the
integer-like keys of an object first and in ascending order whatever the order of insertion, so objects are
put into that order before traces are compared; orders that matter are observed through lists of ids.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from replicell.store import MISSING, RowOrder, Store

__all__ = [
    "UNDEFINED",
    "Instance",
    "ScriptError",
    "decode",
    "encode",
    "is_number",
    "json_in_javascript_order",
]

UNDEFINED: dict[str, str] = {"$": "undefined"}
LARGEST_PLAIN_INTEGER = 1e21
ARRAY_INDEX = re.compile(r"0|[1-9]\d{0,9}")
LARGEST_ARRAY_INDEX = 2**32 - 2
FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class ScriptError(Exception):
    """Raised where a script says that something fails."""


class Instance:
    """An object of no kind that a cell can hold."""


def decode(thing: Any, tags: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Any:
    """Give the value that a script means; `tags` say what a family's own tags stand for."""
    if isinstance(thing, list):
        return [decode(child, tags) for child in thing]
    if not isinstance(thing, dict):
        return thing
    tag = thing.get("$")
    if tag is None:
        return {key: decode(child, tags) for key, child in thing.items()}
    if tag == "undefined":
        return MISSING
    if tag in FLOATS:
        return FLOATS[tag]
    if tag == "instance":
        return Instance()
    return tags[tag](thing)


def encode(thing: Any) -> Any:
    """Say a value of replicell in the terms of a trace."""
    if thing is MISSING:
        return UNDEFINED
    if thing is None or isinstance(thing, (bool, int, str)):
        return thing
    if isinstance(thing, float):
        return encode_float(thing)
    if isinstance(thing, Mapping):
        return in_javascript_order({encode_key(key): encode(child) for key, child in thing.items()})
    if isinstance(thing, (list, tuple, RowOrder)):
        return [encode(child) for child in thing]
    if isinstance(thing, Store):
        return {"$": "store"}
    return {"$": "function" if callable(thing) else "instance"}


def encode_key(key: Any) -> str:
    return "undefined" if key is MISSING else str(key)


def encode_float(number: float) -> Any:
    if math.isnan(number):
        return {"$": "NaN"}
    if math.isinf(number):
        return {"$": "Infinity" if number > 0 else "-Infinity"}
    return int(number) if number.is_integer() and abs(number) < LARGEST_PLAIN_INTEGER else number


def in_javascript_order(thing: Any) -> Any:
    """Put the keys of all objects in a value into the order in which JavaScript lists them."""
    if isinstance(thing, list):
        return [in_javascript_order(child) for child in thing]
    if not isinstance(thing, dict):
        return thing
    indices = sorted((key for key in thing if is_array_index(key)), key=int)
    names = [key for key in thing if not is_array_index(key)]
    return {key: in_javascript_order(thing[key]) for key in (*indices, *names)}


class Digits(str):
    """A number as it stands in a JSON text."""


def json_in_javascript_order(text: str) -> str:
    """Do the same for a JSON text, and leave all else in it as it is."""
    return written(in_javascript_order(json.loads(text, parse_float=Digits, parse_int=Digits)))


def written(thing: Any) -> str:
    if isinstance(thing, dict):
        return "{" + ",".join(f"{written(key)}:{written(child)}" for key, child in thing.items()) + "}"
    if isinstance(thing, list):
        return "[" + ",".join(map(written, thing)) + "]"
    return thing if isinstance(thing, Digits) else json.dumps(thing, ensure_ascii=False)


def is_array_index(key: str) -> bool:
    return ARRAY_INDEX.fullmatch(key) is not None and int(key) <= LARGEST_ARRAY_INDEX


def is_number(thing: Any) -> bool:
    return isinstance(thing, (int, float)) and not isinstance(thing, bool)
