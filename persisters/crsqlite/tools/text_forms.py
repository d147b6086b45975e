"""Cells of a database as JSON and as fields of CSV, so that they come back as they went."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from replicell.persisters.crsqlite.cells import UnreadableValueError, decode_cell, encode_cell, why_unstorable
from replicell.store.cells import RICH_PREFIX, parse_json
from replicell.store.cells import decode_cell as plain_cell
from replicell.store.cells import encode_cell as stored_cell
from replicell.store.missing import MISSING

__all__ = ["field_of", "field_of_key", "json_of", "key_of_field", "value_of_field", "value_of_json"]

_BLOB = RICH_PREFIX + "blob"
_NUMBER = RICH_PREFIX + "number"
_TEXT = RICH_PREFIX + "text"


def json_of(value: object) -> Any:
    """Return what stands in a database, other than NULL, as JSON.

    Booleans, objects and arrays that a persister wrote come as such. What JSON has no form for is an object
    with one key that no cell of a store can have.

    >>> json_of("\\ufffdtrue"), json_of(1.5), json_of(b"\\x00")
    (True, 1.5, {'\\ufffdblob': 'AA=='})
    """
    if isinstance(value, bytes):
        return {_BLOB: base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: repr(value)}
    try:
        return plain_cell(decode_cell(value))
    except UnreadableValueError:
        return {_TEXT: value}


def value_of_json(thing: Any) -> Any:
    """Return what to write to a database for what :func:`json_of` gave.

    Raises:
        ValueError: it is nothing that SQLite can hold.

    >>> value_of_json({"a": 1})
    '\\ufffd{"a":1}'
    """
    if isinstance(thing, dict) and len(thing) == 1:
        ((mark, content),) = thing.items()
        if mark == _BLOB:
            return base64.b64decode(content, validate=True)
        if mark == _NUMBER:
            return float(content)
        if mark == _TEXT:
            return str(content)
    encoded = stored_cell(thing)
    if encoded is MISSING:
        raise ValueError(f"{thing!r} is nothing that a cell can be")
    reason = why_unstorable(encoded)
    if reason is not None:
        raise ValueError(reason)
    return encode_cell(encoded)


def field_of(value: object) -> str:
    """Return what stands in a database as a field of CSV, empty for NULL.

    Text stands there as it is, unless it would be taken for something else; everything else is JSON.

    >>> field_of("Milk"), field_of("12"), field_of(12), field_of(None), field_of("")
    ('Milk', '"12"', '12', '', '""')
    """
    if value is None:
        return ""
    thing = json_of(value)
    if isinstance(thing, str) and thing and thing == thing.strip() and not _is_json(thing):
        return thing
    return json.dumps(thing, ensure_ascii=False)


def value_of_field(field: str) -> Any:
    """Return what to write to a database for a field of CSV.

    Raises:
        ValueError: it is nothing that SQLite can hold.

    >>> value_of_field("Milk"), value_of_field("12"), value_of_field('"12"'), value_of_field("")
    ('Milk', 12, '12', None)
    """
    if not field:
        return None
    try:
        thing = parse_json(field)
    except ValueError:
        thing = field
    return value_of_json(thing)


def field_of_key(value: object) -> str:
    """Return a key as a field of CSV: text as it is, whatever it looks like, for keys are text.

    >>> field_of_key("12"), field_of_key("true"), field_of_key("")
    ('12', 'true', '""')
    """
    if isinstance(value, str) and value and value == value.strip() and value[0] != '"':
        return value
    return field_of(value)


def key_of_field(field: str) -> str:
    """Return the key that a field of CSV stands for.

    >>> key_of_field("12"), key_of_field('"12"'), key_of_field("true")
    ('12', '12', 'true')
    """
    value = value_of_field(field) if field[:1] == '"' else field
    return value if isinstance(value, str) else field


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except ValueError:
        return False
    return True
