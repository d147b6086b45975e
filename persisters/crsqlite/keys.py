"""Packed primary keys: the byte form in which cr-sqlite ships a row's key.

A key is ``[count]`` and then, per column, ``[tag][length or integer][bytes]``: the tag's low three bits are
the SQLite type and its upper five the number of bytes of the big-endian integer that follows. The same key
has exactly one canonical form. cr-sqlite aborts the whole process on some malformed keys, and silently makes
a second identity of a row out of non-canonical ones, so everything that comes from outside passes
`unpack_key` first.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from replicell.persisters.errors import PersisterError

__all__ = ["InvalidKeyError", "SqlValue", "pack_key", "unpack_key"]

SqlValue: TypeAlias = int | float | str | bytes | None

_INTEGER: Final = 1
_FLOAT: Final = 2
_TEXT: Final = 3
_BLOB: Final = 4
_NULL: Final = 5

_MAX_COLUMNS: Final = 255
_SIGN_BIT: Final = 1 << 63
_WRAP: Final = 1 << 64
_DOUBLE: Final = struct.Struct(">d")


class InvalidKeyError(PersisterError, ValueError):
    """A packed primary key that is not the canonical form of any key."""


def pack_key(values: Sequence[SqlValue]) -> bytes:
    """Pack the values of a row's key columns, in PRIMARY KEY order.

    Args:
        values: One value per key column; integers must fit in 64 bits.

    Returns:
        The same bytes as cr-sqlite's ``crsql_pack_columns(...)``.

    Raises:
        InvalidKeyError: There are no values or more than 255, or one is not an SQLite value.

    >>> pack_key(["x"]).hex()
    '010b0178'
    >>> pack_key([200, None]).hex()
    '0209c805'
    """
    if not 0 < len(values) <= _MAX_COLUMNS:
        raise InvalidKeyError(f"a key has 1 to {_MAX_COLUMNS} columns, not {len(values)}")
    return bytes((len(values),)) + b"".join(map(_pack_value, values))


def unpack_key(blob: bytes) -> tuple[SqlValue, ...]:
    """Unpack a key, accepting its one canonical form only.

    Args:
        blob: The packed key as it came from ``crsql_changes`` or from the network.

    Returns:
        One value per key column.

    Raises:
        InvalidKeyError: The blob is malformed, truncated, too long, not canonical, or holds text that is not
            UTF-8.

    >>> unpack_key(bytes.fromhex("010b0178"))
    ('x',)
    >>> unpack_key(b"")
    Traceback (most recent call last):
    ...
    replicell.persisters.crsqlite.keys.InvalidKeyError: the packed key is empty
    """
    if type(blob) is not bytes:
        raise InvalidKeyError(f"a packed key is bytes, not {type(blob).__name__}")
    if not blob:
        raise InvalidKeyError("the packed key is empty")
    one_short_text = blob[:2] == b"\x01\x0b" and len(blob) > 3 and blob[2] == len(blob) - 3
    return (_text(blob[3:]),) if one_short_text else _unpack_columns(blob)


def _pack_value(value: SqlValue) -> bytes:
    if value is None:
        return bytes((_NULL,))
    kind = type(value)
    if kind is int:
        return _pack_integer(_INTEGER, _to_unsigned(int(value)))
    if kind is float:
        return bytes((_FLOAT,)) + _DOUBLE.pack(value)
    if isinstance(value, str) and kind is str:
        encoded = _encode(value)
        return _pack_integer(_TEXT, len(encoded)) + encoded
    if isinstance(value, bytes) and kind is bytes:
        return _pack_integer(_BLOB, len(value)) + value
    raise InvalidKeyError(f"a key value is None, int, float, str or bytes, not {kind.__name__}")


def _pack_integer(tag: int, unsigned: int) -> bytes:
    length = (unsigned.bit_length() + 7) // 8
    return bytes((length << 3 | tag,)) + unsigned.to_bytes(length, "big")


def _to_unsigned(value: int) -> int:
    if not -_SIGN_BIT <= value < _SIGN_BIT:
        raise InvalidKeyError(f"the key value {value} does not fit in 64 bits")
    return value % _WRAP


def _to_signed(value: int) -> int:
    return value - _WRAP if value >= _SIGN_BIT else value


def _unpack_columns(blob: bytes) -> tuple[SqlValue, ...]:
    values: list[SqlValue] = []
    position = 1
    for _ in range(blob[0]):
        value, position = _unpack_value(blob, position)
        values.append(value)
    if not values:
        raise InvalidKeyError("the packed key says that it has no columns")
    if position != len(blob):
        raise InvalidKeyError(f"{len(blob) - position} bytes are left over after the packed key")
    return tuple(values)


def _unpack_value(blob: bytes, position: int) -> tuple[SqlValue, int]:
    (tag,) = _take(blob, position, 1)
    position += 1
    kind, length = tag & 7, tag >> 3
    if kind in (_NULL, _FLOAT):
        if length:
            raise InvalidKeyError(f"the tag {tag:#04x} of a packed key is not canonical")
        if kind == _NULL:
            return None, position
        (number,) = _DOUBLE.unpack(_take(blob, position, 8))
        if number != number:
            raise InvalidKeyError("a key value is not a number (NaN)")
        return number, position + 8
    if kind not in (_INTEGER, _TEXT, _BLOB) or length > 8:
        raise InvalidKeyError(f"the tag {tag:#04x} of a packed key is unknown")
    digits = _take(blob, position, length)
    position += length
    if digits[:1] == b"\0":
        raise InvalidKeyError("an integer in the packed key is not in its shortest form")
    unsigned = int.from_bytes(digits, "big")
    if kind == _INTEGER:
        return _to_signed(unsigned), position
    content = _take(blob, position, unsigned)
    return (_text(content) if kind == _TEXT else content), position + unsigned


def _take(blob: bytes, position: int, length: int) -> bytes:
    if position + length > len(blob):
        raise InvalidKeyError("the packed key ends too early")
    return blob[position : position + length]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidKeyError("text in the packed key is not valid UTF-8") from error


def _encode(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError("a key value holds a lone surrogate, which is not valid UTF-8") from error
