"""Schemas from Python's own models: dataclasses, TypedDicts, pydantic models and msgspec Structs.

The libraries are not imported here: whoever has a model of theirs has loaded them, and what is needed is
asked of the model.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from replicell.store.cells import encode_cell
from replicell.store.errors import ModelError
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.schemas import CellSchema, compile_values_schema

__all__ = ["ModelField", "Refuse", "fields_of", "is_absence", "name_of", "schema_from", "unwrapped"]

Refuse: TypeAlias = Callable[[str], ModelError]
"""Makes the error that names the field and says what cannot be."""

_TYPES: dict[object, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
    tuple: "array",
}
_ANYTHING = ("string", "number", "boolean", "object", "array")
_CONVERTED: dict[object, str] = {
    **dict.fromkeys((datetime, date, time, timedelta, UUID, Decimal, bytes), "string"),
    **dict.fromkeys((set, frozenset), "array"),
}
"""What pydantic and msgspec turn into JSON and back, and Python itself does not."""


def schema_from(model: type) -> dict[Id, CellSchema]:
    """Make the schema of a table's cells, or of the values, from a model.

    Types become types and unions lists of them, ``Literal`` and enums become ``enum``, ``Optional`` becomes
    ``allowNull``, defaults (also from factories) become ``default``, and fields without one are ``required``.

    Args:
        model: A dataclass, a TypedDict, a pydantic model or a msgspec Struct.

    Returns:
        A schema for one table in `Store.set_tables_schema`, or for `Store.set_values_schema`.

    Raises:
        ModelError: If it is no such model, or has a field that no schema can express; it is named.

    >>> @dataclasses.dataclass
    ... class Pet:
    ...     species: Literal["dog", "cat"]
    ...     price: float
    ...     owner: str | None = None
    ...     sold: bool = False
    >>> schema = schema_from(Pet)
    >>> schema["species"], schema["price"]
    ({'enum': ['dog', 'cat'], 'required': True}, {'type': 'number', 'required': True})
    >>> schema["owner"], schema["sold"]
    ({'type': 'string', 'default': None, 'allowNull': True}, {'type': 'boolean', 'default': False})
    """
    schema: dict[Id, CellSchema] = {}
    for field in fields_of(model):
        name = f"{name_of(model)}.{field.name}"

        def refuse(why: str, name: str = name) -> ModelError:
            return ModelError(
                f"{name}: {why}. Leave the field out of the model, or write its schema by hand."
            )

        schema[field.name] = _cell_schema(field, refuse)
    return schema


class ModelField(NamedTuple):
    """One field of a model, whatever library it is made with."""

    name: str
    annotation: Any
    default: Any
    """The default, or MISSING."""
    required: bool
    """Whether the model cannot be made without it."""
    converter: Callable[[Any], Any] | None = None
    """Makes JSON of what Python has no literal for, if the library does."""


def name_of(model: object) -> str:
    """Return what a model or an annotation is called.

    >>> name_of(int), name_of(list[int])
    ('int', 'list[int]')
    """
    return model.__qualname__.split(".<locals>.")[-1] if isinstance(model, type) else str(model)


def fields_of(model: Any) -> Iterator[ModelField]:
    """Go through the fields of a model that are cells.

    Args:
        model: A dataclass, a TypedDict, a pydantic model or a msgspec Struct.

    Raises:
        ModelError: If it is no such model, or its annotations cannot be resolved.
    """
    if dataclasses.is_dataclass(model):
        return _fields_of_dataclass(model)
    if is_typeddict(model):
        return _fields_of_typed_dict(model)
    if isinstance(getattr(model, "model_fields", None), Mapping):
        return _fields_of_pydantic_model(model)
    if hasattr(model, "__struct_fields__"):
        return _fields_of_struct(model)
    raise ModelError(
        f"{model!r} is no model: a dataclass, a TypedDict, a pydantic model or a msgspec Struct is needed. "
        "For other libraries make a schematizer with create_custom_schematizer."
    )


def _hints_of(model: Any) -> dict[str, Any]:
    try:
        return get_type_hints(model, include_extras=True)
    except (NameError, TypeError) as error:
        raise ModelError(
            f"the annotations of {model.__name__} cannot be resolved: {error}. Define the model, and import "
            "what its annotations name, at the top level of a module."
        ) from error


def _fields_of_dataclass(model: Any) -> Iterator[ModelField]:
    hints = _hints_of(model)
    for field in dataclasses.fields(model):
        if field.init:
            default: Any = dataclasses.MISSING
            if field.default is not dataclasses.MISSING:
                default = field.default
            elif field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            required = default is dataclasses.MISSING
            yield ModelField(field.name, hints[field.name], MISSING if required else default, required)


def _fields_of_typed_dict(model: Any) -> Iterator[ModelField]:
    for name, annotation in _hints_of(model).items():
        required = name in model.__required_keys__
        while get_origin(annotation) in (Required, NotRequired):
            required = get_origin(annotation) is Required
            (annotation,) = get_args(annotation)
        yield ModelField(name, annotation, MISSING, required)


def _fields_of_pydantic_model(model: Any) -> Iterator[ModelField]:
    convert = sys.modules["pydantic_core"].to_jsonable_python
    for name, field in model.model_fields.items():
        required = field.is_required()
        default = MISSING if required else field.get_default(call_default_factory=True)
        yield ModelField(name, field.annotation, default, required, convert)


def _fields_of_struct(model: Any) -> Iterator[ModelField]:
    msgspec = sys.modules["msgspec"]
    for field in msgspec.structs.fields(model):
        default: Any = MISSING
        if field.default is not msgspec.NODEFAULT and field.default is not msgspec.UNSET:
            default = field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        yield ModelField(field.name, field.type, default, field.required, msgspec.to_builtins)


def _cell_schema(field: ModelField, refuse: Refuse) -> CellSchema:
    meaning = _Meaning(_TYPES if field.converter is None else {**_TYPES, **_CONVERTED})
    meaning.add(field.annotation, refuse)
    entry = meaning.as_schema(refuse)
    if field.default is not MISSING:
        default = _default_cell(field)
        if encode_cell(default) is MISSING:
            raise refuse(f"its default {field.default!r} cannot be stored in a cell")
        entry["default"] = default
    if meaning.allows_null:
        entry["allowNull"] = True
    if field.required:
        entry["required"] = True
    _, problems = compile_values_schema({field.name: entry})
    if problems:
        raise refuse(problems[0])
    return cast("CellSchema", entry)


def _default_cell(field: ModelField) -> Any:
    if isinstance(field.default, enum.Enum):
        return field.default.value
    if encode_cell(field.default) is MISSING and field.converter is not None:
        try:
            return field.converter(field.default)
        except (TypeError, ValueError):
            return field.default
    return list(field.default) if isinstance(field.default, tuple) else field.default


class _Meaning:
    """What an annotation allows."""

    def __init__(self, names: Mapping[object, str]) -> None:
        self.names = names
        self.types: dict[str, None] = {}
        self.members: list[Any] = []
        self.allows_null = False

    def add(self, annotation: Any, refuse: Refuse) -> None:
        """Take in one annotation, or one member of a union."""
        annotation = unwrapped(annotation)
        origin = get_origin(annotation)
        if annotation is None or annotation is types.NoneType:
            self.allows_null = True
        elif origin is Union or origin is types.UnionType:
            for member in get_args(annotation):
                self.add(member, refuse)
        elif origin is Literal:
            for member in get_args(annotation):
                self._add_member(member, refuse)
        elif annotation is Any or annotation is object:
            self.allows_null = True
            self.types.update(dict.fromkeys(_ANYTHING))
        elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            for enum_member in annotation:
                self._add_member(enum_member, refuse)
        elif not is_absence(annotation):
            self.types[_type_of(origin or annotation, annotation, self.names, refuse)] = None

    def as_schema(self, refuse: Refuse) -> dict[str, Any]:
        """Say the same as a schema entry."""
        if self.members and self.types:
            raise refuse("it allows both fixed values and a type, and a schema can have only one of the two")
        if self.members:
            return {"enum": self.members}
        if not self.types:
            raise refuse("it allows nothing but None")
        listed = list(self.types)
        return {"type": listed[0] if len(listed) == 1 else listed}

    def _add_member(self, member: Any, refuse: Refuse) -> None:
        if isinstance(member, enum.Enum):
            member = member.value
        if member is None:
            self.allows_null = True
        elif isinstance(member, (str, int, float)):
            self.members.append(member)
        else:
            raise refuse(f"{member!r} can be no member of an enum, only strings, numbers and booleans can")


def unwrapped(annotation: Any) -> Any:
    """Look through what says nothing about the content: Annotated, Final, NewType and type aliases.

    >>> unwrapped(Annotated[int, "years"])
    <class 'int'>
    """
    while True:
        if get_origin(annotation) in (Annotated, Final):
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def is_absence(annotation: Any) -> bool:
    """Tell whether an annotation is that of `MISSING` or of msgspec's ``UNSET``: no cell at all.

    >>> is_absence(MissingType), is_absence(str)
    (True, False)
    """
    return annotation is MissingType or (
        getattr(annotation, "__name__", "") == "UnsetType" and annotation.__module__.startswith("msgspec")
    )


def _type_of(kind: Any, annotation: Any, names: Mapping[object, str], refuse: Refuse) -> str:
    if kind in names:
        return names[kind]
    if is_typeddict(kind) or dataclasses.is_dataclass(kind) or hasattr(kind, "__struct_fields__"):
        return "object"
    if isinstance(kind, type):
        if isinstance(getattr(kind, "model_fields", None), Mapping) or issubclass(kind, Mapping):
            return "object"
        for base, name in names.items():
            if isinstance(base, type) and issubclass(kind, base):
                return name
        if issubclass(kind, Sequence) and not issubclass(kind, (bytes, bytearray, memoryview)):
            return "array"
    raise refuse(f"a cell cannot hold {getattr(annotation, '__name__', annotation)!s}")
