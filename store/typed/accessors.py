"""Reading and writing typed rows at the price of constructing them.

As `dataclasses` does for ``__init__``, the two functions that every access runs through are written out as
Python source for the model at hand and compiled: one lookup and one look at the type for each field, no loops
and no reflection. Whatever is not as usual (a cell that is absent, wrong or must be converted with care) is
left to the codec, which also names what is wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite
from threading import get_ident
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, is_typeddict

from replicell.store.cells import RESERVED, decode_cell, encode_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.typed.codecs import RecordCodec, RowCodec
from replicell.store.typed.mismatch import MismatchError, Shape

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["reader_of", "writer_of"]

T = TypeVar("T")

_READER = """
def make(with_care, model, store, tables, table_id, convert):
    {unpacked}= convert
    def read(row_id):
        if store._owner != get_ident():
            store._check_thread()
        try:
            row = tables[table_id][row_id]
            {statements}
            return {result}
        except Exception:
            return with_care(row_id)
    return read
"""
_WRITER = """
def make(with_care, model, convert):
    {unpacked}= convert
    def write(given):
        try:
            {statements}
            return {result}
        except Exception:
            return with_care(given)
    return write
"""
_NAMES = {
    "get_ident": get_ident,
    "isfinite": isfinite,
    "RESERVED": RESERVED,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "dict": dict,
    "len": len,
    "Exception": Exception,
    "__builtins__": {},
}


def reader_of(
    codec: RowCodec[T], store: Store, table_id: Id, read_with_care: Callable[[Id], T]
) -> Callable[[Id], T]:
    """Return what makes an instance of the row of an id.

    Args:
        codec: The codec of the model.
        store: The store.
        table_id: The table.
        read_with_care: What does the same, slowly, and raises what is to be raised.
    """
    if not isinstance(codec, RecordCodec):
        return read_with_care
    make, shapes = _compiled_reader(codec)
    convert = [_reading(shape) for shape in shapes]
    read: Callable[[Id], T] = make(read_with_care, codec.model, store, store._tables, table_id, convert)
    return read


def writer_of(
    codec: RowCodec[T], write_with_care: Callable[[Any], dict[Id, Any]]
) -> Callable[[Any], dict[Id, Any]]:
    """Return what makes cells of an instance.

    Args:
        codec: The codec of the model.
        write_with_care: What does the same, slowly, and raises what is to be raised.
    """
    if not isinstance(codec, RecordCodec):
        return write_with_care
    make, shapes = _compiled_writer(codec)
    write: Callable[[Any], dict[Id, Any]] = make(
        write_with_care, codec.model, [_writing(shape) for shape in shapes]
    )
    return write


@lru_cache(maxsize=256)
def _compiled_reader(codec: RecordCodec[Any]) -> tuple[Callable[..., Any], list[Shape]]:
    shapes = codec.shape.shapes
    statements = []
    for index, (name, shape) in enumerate(shapes.items()):
        statements.append(f"c{index} = row[{name!r}]")
        statements.append(f"if {_needs_conversion(index, shape)}: c{index} = convert{index}(c{index})")
    return _function(_READER, statements, _construction(codec.model, shapes), shapes), [*shapes.values()]


@lru_cache(maxsize=256)
def _compiled_writer(codec: RecordCodec[Any]) -> tuple[Callable[..., Any], list[Shape]]:
    shapes = codec.shape.shapes
    is_dict = is_typeddict(codec.model)
    unusual = f"given.__class__ is not dict or len(given) != {len(shapes)}"
    statements = [f"if {unusual if is_dict else 'given.__class__ is not model'}: return with_care(given)"]
    for index, (name, shape) in enumerate(shapes.items()):
        statements.append(f"c{index} = given[{name!r}]" if is_dict else f"c{index} = given.{name}")
        needed = _needs_conversion(index, shape, floats_must_be_finite=True)
        statements.append(f"if {needed}: c{index} = convert{index}(c{index})")
    return _function(_WRITER, statements, _dict_display(shapes), shapes), [*shapes.values()]


def _needs_conversion(index: int, shape: Shape, floats_must_be_finite: bool = False) -> str:
    usual = []
    for kind in sorted(shape.plain, key=lambda kind: kind.__name__):
        if kind is NoneType:
            usual.append(f"c{index} is None")
        elif kind is str:
            # Strings from RESERVED on may stand for objects and arrays.
            usual.append(f"c{index}.__class__ is str and c{index} < RESERVED")
        elif kind is float and floats_must_be_finite:
            usual.append(f"c{index}.__class__ is float and isfinite(c{index})")
        else:
            usual.append(f"c{index}.__class__ is {kind.__name__}")
    return f"not ({' or '.join(usual)})" if usual else "True"


def _construction(model: type, shapes: Mapping[Id, Shape]) -> str:
    if is_typeddict(model):
        return _dict_display(shapes)
    by_position = 0
    for name, parameter in zip(shapes, inspect.signature(model).parameters.values(), strict=False):
        if parameter.name != name or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            break
        by_position += 1
    arguments = [
        f"c{index}" if index < by_position else f"{name}=c{index}" for index, name in enumerate(shapes)
    ]
    return f"model({', '.join(arguments)})"


def _dict_display(shapes: Mapping[Id, Shape]) -> str:
    return "{" + ", ".join(f"{name!r}: c{index}" for index, name in enumerate(shapes)) + "}"


def _function(
    template: str, statements: list[str], result: str, shapes: Mapping[Id, Shape]
) -> Callable[..., Any]:
    unpacked = "".join(f"convert{index}, " for index in range(len(shapes)))
    source = template.format(unpacked=unpacked, statements="\n            ".join(statements), result=result)
    made: dict[str, Any] = {}
    exec(source, dict(_NAMES), made)
    function: Callable[..., Any] = made["make"]
    return function


def _reading(shape: Shape) -> Callable[[Any], Any]:
    return lambda cell: shape.read(decode_cell(cell))


def _writing(shape: Shape) -> Callable[[Any], Any]:
    def write(given: Any) -> Any:
        cell = shape.write(given)
        if encode_cell(cell) is MISSING:
            raise MismatchError(given, "it must be something that can be a cell")
        return cell

    return write
