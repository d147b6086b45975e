"""What may stand in a cell or a value, and how objects and arrays are kept.

A cell is a string, a finite number, a boolean, ``None`` (JSON's null), or a JSON object or array. Objects and
arrays ("rich" cells) are held as one string, U+FFFD followed by their compact JSON text, exactly as TinyBase
holds them: nobody can reach in and change what is stored, equality is equality of text, and a persister can
write the string as it is. The functions here go between the two forms; "encoded" always means the stored one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeAlias

from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.numbers import number_text

__all__ = [
    "RESERVED",
    "RICH_PREFIX",
    "Cell",
    "CellLike",
    "EncodedCell",
    "content_json",
    "decode_cell",
    "encode_cell",
    "encoded_rich_cell",
    "has_rich",
    "is_reserved",
    "is_rich",
    "is_same_cell",
    "json_text",
    "parse_json",
    "type_of_cell",
]

Cell: TypeAlias = bool | int | float | str | dict[str, Any] | list[Any] | None
"""A cell or value as it is read: always a copy that the caller may keep and change."""

CellLike: TypeAlias = bool | int | float | str | Mapping[str, Any] | list[Any] | tuple[Any, ...] | None
"""What may be written as a cell or value."""

EncodedCell: TypeAlias = bool | int | float | str | None
"""A cell or value as it is held, objects and arrays as U+FFFD and JSON text."""

RICH_PREFIX = "\ufffd"
"""The first character of every encoded object or array."""

RESERVED = "\ufffc"
"""TinyBase writes this one-character string for "missing" in JSON; any string below it is surely ordinary."""

_PYTHON_NUMBER = re.compile(r"\.0[,}\]]|\.0$|\de[+-]\d")
_STRING_OR_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e[+-]\d+|-?\d+\.\d+')
_EXPONENT = re.compile(r"\de[+-]\d")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 200


def encode_cell(cell: object) -> EncodedCell | MissingType:
    """Return the form in which `cell` is held, or `MISSING` if it cannot be a cell.

    >>> encode_cell(1.5), encode_cell("x"), encode_cell({"a": [1, None]}) == '\\ufffd{"a":[1,null]}'
    (1.5, 'x', True)
    >>> encode_cell(float("nan")), encode_cell(object())
    (MISSING, MISSING)
    """
    if cell is None or cell is True or cell is False:
        return cell
    if isinstance(cell, str):
        text = str.__str__(cell)
        return text if text < RESERVED or not is_reserved(text) else MISSING
    if isinstance(cell, int):
        return cell if type(cell) is int else int(cell)
    if isinstance(cell, float):
        if not isfinite(cell):
            return MISSING
        return cell if type(cell) is float else float(cell)
    if isinstance(cell, (Mapping, list, tuple)):
        return _encode_rich(cell)
    return MISSING


def is_reserved(text: str) -> bool:
    """Tell whether a string would be mistaken for an encoded object or for "missing"."""
    return text[:1] == RICH_PREFIX or text == RESERVED


def is_rich(encoded: EncodedCell) -> bool:
    """Tell whether an encoded cell is an object or array."""
    return type(encoded) is str and encoded[:1] == RICH_PREFIX


def has_rich(cells: Iterable[EncodedCell | MissingType]) -> bool:
    """Tell whether any of many encoded cells is an object or array.

    >>> has_rich(["a", 1, None]), has_rich(["a", encode_cell([1])])
    (False, True)
    """
    strings = [cell for cell in cells if type(cell) is str]
    # One comparison in C for most columns, in which no string is as great as those of objects are.
    return bool(strings) and max(strings) >= RICH_PREFIX and any(map(is_rich, strings))


def encoded_rich_cell(text: str) -> str | MissingType:
    """Return `text` if it is an encoded object or array, and `MISSING` if it only begins like one."""
    try:
        thing = parse_json(text[1:])
    except ValueError:
        return MISSING
    return text if isinstance(thing, (dict, list)) else MISSING


def decode_cell(encoded: EncodedCell) -> Cell:
    """Return the cell that an encoded one stands for, objects and arrays as fresh copies."""
    if type(encoded) is str and encoded[:1] == RICH_PREFIX:
        decoded: Cell = json.loads(encoded[1:])
        return decoded
    return encoded


def is_same_cell(one: object, other: object) -> bool:
    """Tell whether two encoded cells (or `MISSING`) are the same to JavaScript's ``===``.

    >>> is_same_cell(1, 1.0), is_same_cell(1, True), is_same_cell(None, MISSING)
    (True, False, False)
    """
    return one is other or (one == other and (type(one) is bool) is (type(other) is bool))


def type_of_cell(encoded: EncodedCell) -> str:
    """Name the schema type of an encoded cell: string, number, boolean, object, array or null."""
    if isinstance(encoded, str):
        if encoded[:1] == RICH_PREFIX:
            return "object" if encoded[1:].lstrip()[:1] == "{" else "array"
        return "string"
    if encoded is None:
        return "null"
    return "boolean" if isinstance(encoded, bool) else "number"


def json_text(thing: object) -> str:
    """Write JSON as ``JSON.stringify`` does: compact, non-ASCII raw, lone surrogates escaped."""
    text = json.dumps(thing, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
    if _has_python_numbers(text):
        text = _STRING_OR_FLOAT.sub(_as_in_javascript, text)
    return _with_surrogates_escaped(text)


def content_json(thing: object, rows: Iterable[Mapping[Id, EncodedCell]]) -> str:
    """Do what `json_text` does for content as it is held, faster where there are many floats in it.

    Args:
        thing: What to write.
        rows: All that holds cells or values in it.
    """
    text = json.dumps(thing, ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
    if _has_python_numbers(text):
        # Python writes whole floats with ".0". If that stands in the text just as often as there are such
        # floats, it is never part of a string.
        marks = text.count(".0,") + text.count(".0}")
        floats = [cell for row in rows for cell in row.values() if type(cell) is float]
        if marks == sum(map(float.is_integer, floats)) and "-0.0" not in text and not _has_exponent(text):
            text = text.replace(".0,", ",").replace(".0}", "}")
        else:
            text = _STRING_OR_FLOAT.sub(_as_in_javascript, text)
    return _with_surrogates_escaped(text)


def parse_json(text: str) -> Any:
    """Read JSON as ``JSON.parse`` does, refusing ``NaN`` and ``Infinity``.

    Raises:
        ValueError: If the text is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _has_python_numbers(text: str) -> bool:
    # The second look is exact but slow; the first costs next to nothing.
    return (".0" in text or "e-" in text or "e+" in text) and _PYTHON_NUMBER.search(text) is not None


def _has_exponent(text: str) -> bool:
    return ("e-" in text or "e+" in text) and _EXPONENT.search(text) is not None


def _as_in_javascript(token: re.Match[str]) -> str:
    text = token[0]
    return text if text[0] == '"' else number_text(float(text))


def _encode_rich(thing: object) -> str | MissingType:
    try:
        return RICH_PREFIX + _with_surrogates_escaped(_rich_text(thing, 0))
    except _NotJson:
        return MISSING


def _with_surrogates_escaped(text: str) -> str:
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _NotJson(Exception):
    pass


def _rich_text(thing: object, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise _NotJson
    if isinstance(thing, str):
        return _quoted(thing)
    if thing is None or thing is MISSING:
        return "null"
    if thing is True:
        return "true"
    if thing is False:
        return "false"
    if isinstance(thing, int):
        return int.__repr__(thing)
    if isinstance(thing, float):
        return number_text(thing) if isfinite(thing) else "null"
    if isinstance(thing, (list, tuple)):
        return f"[{','.join([_rich_text(item, depth + 1) for item in thing])}]"
    if isinstance(thing, Mapping):
        parts = {
            _key_text(key): _rich_text(item, depth + 1) for key, item in thing.items() if item is not MISSING
        }
        return "{" + ",".join([f"{_quoted(key)}:{text}" for key, text in parts.items()]) + "}"
    raise _NotJson


def _key_text(key: object) -> Id:
    if key is None or isinstance(key, (str, int, float)):
        return to_id(key)
    raise _NotJson


_quoted = json.JSONEncoder(ensure_ascii=False).encode
