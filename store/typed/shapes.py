"""What an annotation says of a cell: how JSON becomes what the model has there, and how that becomes JSON.

Dataclasses and TypedDicts check nothing by themselves, so their annotations are compiled, once a model, into
shapes that do. Whatever is nested in them is followed all the way down.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as AbstractCollection
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from replicell.store.errors import ModelError
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.models import ModelField, Refuse, fields_of, is_absence, name_of, unwrapped
from replicell.store.typed.libraries import LibraryShape, is_pydantic_model, is_struct
from replicell.store.typed.mismatch import MismatchError, Shape

__all__ = [
    "AnyShape",
    "MappingShape",
    "MembersShape",
    "RecordShape",
    "ScalarShape",
    "SequenceShape",
    "Shapes",
    "TupleShape",
    "UnionShape",
]


_SCALARS: dict[type, str] = {
    bool: "a boolean",
    int: "an int",
    float: "a number",
    str: "a string",
    types.NoneType: "None",
}


class AnyShape(Shape):
    """Anything that can be a cell; the store itself refuses the rest."""

    rule = "anything that can be a cell"

    def read(self, held: Any) -> Any:
        """Let it pass."""
        return held

    def write(self, given: Any) -> Any:
        """Let it pass."""
        return given


class ScalarShape(Shape):
    """A string, number, boolean or None; an int will do for a float, and a whole float for an int."""

    def __init__(self, kind: type[Any]) -> None:
        self._base = next(base for base in _SCALARS if issubclass(kind, base))
        self._kind = kind
        if kind is self._base:
            self.plain = frozenset((kind,))
        self.rule = _SCALARS[self._base]

    def read(self, held: Any) -> Any:
        """Take it as it is, or as an instance of the subclass that the model names."""
        cell = held
        if type(cell) is not self._base:
            if self._base is float and type(cell) is int and abs(cell) <= 1 << 1023:
                cell = float(cell)
            elif self._base is int and type(cell) is float and cell.is_integer():
                cell = int(cell)
            else:
                raise self.mismatch(held)
        if self._kind is self._base:
            return cell
        try:
            return self._kind(cell)
        except ValueError as error:
            raise MismatchError(held, f"{name_of(self._kind)} refuses it: {error}") from error

    def write(self, given: Any) -> Any:
        """Take it as it is."""
        if isinstance(given, bool) is not (self._base is bool):
            raise self.mismatch(given)
        if not isinstance(given, self._base) and not (self._base is float and isinstance(given, int)):
            raise self.mismatch(given)
        return given


class MembersShape(Shape):
    """One of some constants: those of a ``Literal``, or the members of an enum."""

    def __init__(self, members: Iterable[Any]) -> None:
        # True and 1 are the same key of a dict, but not the same cell.
        self._members = {_key_of(cell := _constant(member)): (cell, member) for member in members}
        self.rule = f"one of {[cell for cell, _ in self._members.values()]!r}"

    def read(self, held: Any) -> Any:
        """Find the member that is held as this."""
        return self._find(held, held)[1]

    def write(self, given: Any) -> Any:
        """Take a member, or in a ``Literal`` what equals one."""
        cell, member = self._find(_constant(given), given)
        if isinstance(member, enum.Enum) and given is not member:
            raise self.mismatch(given)
        return cell

    def _find(self, cell: Any, asked: object) -> tuple[Any, Any]:
        if cell is None or isinstance(cell, (str, int, float)):
            found = self._members.get(_key_of(cell))
            if found is not None:
                return found
        raise self.mismatch(asked)


class SequenceShape(Shape):
    """A JSON array of like items, as a list, a tuple or another sequence."""

    def __init__(self, item: Shape, make: Callable[[list[Any]], Any], kind: type[Any]) -> None:
        self._item = item
        self._make = make
        self._kind = kind
        self.rule = f"an array of items that are each {item.rule}"

    def read(self, held: Any) -> Any:
        """Make the sequence of its items."""
        if not isinstance(held, list):
            raise self.mismatch(held)
        return self._make(_each(self._item.read, held))

    def write(self, given: Any) -> Any:
        """Make a list of its items."""
        if not isinstance(given, self._kind) or isinstance(given, str):
            raise self.mismatch(given)
        return _each(self._item.write, list(given))


class TupleShape(Shape):
    """A JSON array of a fixed length, as a tuple or a named tuple."""

    def __init__(self, items: list[Shape], make: Callable[[list[Any]], Any], kind: type[Any]) -> None:
        self._items = items
        self._make = make
        self._kind = kind
        self.rule = f"an array of {len(items)} items"

    def read(self, held: Any) -> Any:
        """Make the tuple of its items."""
        if not isinstance(held, list) or len(held) != len(self._items):
            raise self.mismatch(held)
        return self._make([_at(i, self._items[i].read, item) for i, item in enumerate(held)])

    def write(self, given: Any) -> Any:
        """Make a list of its items."""
        if not isinstance(given, self._kind) or len(given) != len(self._items):
            raise self.mismatch(given)
        return [_at(i, self._items[i].write, item) for i, item in enumerate(given)]


class MappingShape(Shape):
    """A JSON object of any keys, as a dict or another mapping."""

    def __init__(self, item: Shape, make: Callable[[dict[str, Any]], Any], kind: type[Any]) -> None:
        self._item = item
        self._make = make
        self._kind = kind
        self.rule = f"an object whose values are each {item.rule}"

    def read(self, held: Any) -> Any:
        """Make the mapping of its items."""
        if not isinstance(held, dict):
            raise self.mismatch(held)
        return self._make({key: _at(key, self._item.read, item) for key, item in held.items()})

    def write(self, given: Any) -> Any:
        """Make a dict of its items."""
        if not isinstance(given, self._kind):
            raise self.mismatch(given)
        for key in given:
            if not isinstance(key, str):
                raise MismatchError(key, "keys of an object must be strings")
        return {key: _at(key, self._item.write, item) for key, item in given.items()}


class UnionShape(Shape):
    """One of several things; the first that fits, but what fits as it is before what must be converted."""

    def __init__(self, options: list[Shape]) -> None:
        self._options = options
        self.plain = frozenset[type]().union(*(option.plain for option in options))
        self.rule = " or ".join(option.rule for option in options)

    def read(self, held: Any) -> Any:
        """Ask each option in turn."""
        if type(held) in self.plain:
            return held
        return self._first(lambda option: option.read(held), held)

    def write(self, given: Any) -> Any:
        """Ask each option in turn."""
        if type(given) in self.plain:
            return given
        return self._first(lambda option: option.write(given), given)

    def _first(self, attempt: Callable[[Shape], Any], value: object) -> Any:
        deepest = MismatchError(value, f"it must be {self.rule}")
        for option in self._options:
            try:
                return attempt(option)
            except MismatchError as error:
                if len(error.path) > len(deepest.path):
                    deepest = error
        raise deepest


class RecordShape(Shape):
    """A JSON object with known keys, as a dataclass, a TypedDict or a Struct; others are left out.

    Attributes:
        model: What it makes.
        fields: Its fields, by name.
        shapes: The shape of each field.
        lacking: What fields have whose key is to be absent, for those that may lack it.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.fields: dict[Id, ModelField] = {}
        self.shapes: dict[Id, Shape] = {}
        self.lacking: dict[Id, object] = {}
        self.rule = f"an object that makes a {name_of(model)}"

    def read(self, held: Any) -> Any:
        """Make the record of its fields."""
        if not isinstance(held, dict):
            raise self.mismatch(held)
        return self.make(held)

    def write(self, given: Any) -> Any:
        """Make a dict of its fields."""
        return {name: _at(name, self.shapes[name].write, part) for name, part in self.parts(given).items()}

    def make(self, held: Mapping[Id, Any]) -> Any:
        """Make the record of the keys that are there, the other fields being their defaults.

        Raises:
            MismatchError: If a key is lacking or wrong, or the record itself objects.
        """
        given = {}
        for name, shape in self.shapes.items():
            if name in held:
                given[name] = _at(name, shape.read, held[name])
            elif self.fields[name].required:
                self._fill_in(name, given)
        try:
            return self.model(**given)
        except (ValueError, TypeError) as error:
            raise MismatchError(held, f"{name_of(self.model)} refuses it: {error}") from error

    def parts(self, given: Any) -> dict[Id, Any]:
        """Take a record apart, without what stands for an absent key.

        Raises:
            MismatchError: If it is no such record.
        """
        if is_typeddict(self.model):
            return self._parts_of_dict(given)
        if not isinstance(given, self.model):
            raise MismatchError(given, f"it must be a {name_of(self.model)}")
        nothing = object()
        parts = {name: getattr(given, name) for name in self.fields}
        return {name: part for name, part in parts.items() if part is not self.lacking.get(name, nothing)}

    def _parts_of_dict(self, given: Any) -> dict[Id, Any]:
        if not isinstance(given, Mapping):
            raise self.mismatch(given)
        for name in given:
            if name not in self.fields:
                raise MismatchError(given[name], f"{name_of(self.model)} has no such key", (str(name),))
        for name, field in self.fields.items():
            if field.required and name not in given:
                raise MismatchError(MISSING, f"{name_of(self.model)} cannot be without it", (name,))
        return dict(given)

    def _fill_in(self, name: Id, given: dict[Id, Any]) -> None:
        if name in self.lacking:
            given[name] = self.lacking[name]
        elif types.NoneType in self.shapes[name].plain:
            given[name] = None
        else:
            raise MismatchError(MISSING, f"{name_of(self.model)} cannot be without it", (name,))


class Shapes:
    """Compiles annotations, each model within them once, so that models may contain themselves."""

    def __init__(self) -> None:
        self._records: dict[Any, RecordShape] = {}

    def of_record(self, model: Any) -> RecordShape:
        """Compile a dataclass or TypedDict.

        Raises:
            ModelError: If it has a field that no cell can hold, or that is not made from one field.
        """
        shape = self._records.get(model)
        if shape is None:
            shape = self._records[model] = RecordShape(model)
            for field in fields_of(model):
                shape.fields[field.name] = field
                shape.shapes[field.name] = self.of_annotation(field.annotation, _refusal(model, field.name))
                if any(map(is_absence, get_args(unwrapped(field.annotation)))):
                    shape.lacking[field.name] = MISSING
        return shape

    def of_annotation(self, annotation: Any, refuse: Refuse) -> Shape:
        """Compile an annotation.

        Args:
            annotation: The annotation, its forward references resolved.
            refuse: Makes the error for what no cell can hold.
        """
        annotation = unwrapped(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if annotation is Any or annotation is object:
            return AnyShape()
        if annotation is None:
            return ScalarShape(types.NoneType)
        if origin is Union or origin is types.UnionType:
            return self._of_union(arguments, refuse)
        if origin is Literal:
            return MembersShape(arguments)
        kind = origin or annotation
        if not isinstance(kind, type):
            raise refuse(f"a cell cannot hold {name_of(annotation)}")
        if issubclass(kind, enum.Enum):
            return MembersShape(list(kind))
        if kind in (bool, types.NoneType) or (
            issubclass(kind, (str, int, float)) and not dataclasses.is_dataclass(kind)
        ):
            return ScalarShape(kind)
        if is_typeddict(kind) or dataclasses.is_dataclass(kind):
            return self.of_record(kind)
        if is_struct(kind) or is_pydantic_model(kind):
            return LibraryShape(kind)
        if issubclass(kind, tuple):
            return self._of_tuple(kind, arguments, refuse)
        return self._of_collection(kind, arguments, refuse)

    def _of_union(self, arguments: tuple[Any, ...], refuse: Refuse) -> Shape:
        options = [self.of_annotation(option, refuse) for option in arguments if not is_absence(option)]
        return options[0] if len(options) == 1 else UnionShape(options)

    def _of_tuple(self, kind: type, arguments: tuple[Any, ...], refuse: Refuse) -> Shape:
        names = getattr(kind, "_fields", None)
        if names is not None:
            hints = get_type_hints(kind)
            items = [self.of_annotation(hints.get(name, Any), refuse) for name in names]
            return TupleShape(items, lambda given: kind(*given), kind)
        if not arguments or arguments[1:] == (Ellipsis,):
            return SequenceShape(self._of_item(arguments[:1], refuse), kind, kind)
        items = [self.of_annotation(item, refuse) for item in arguments if item != ()]
        return TupleShape(items, kind, kind)

    def _of_collection(self, kind: type, arguments: tuple[Any, ...], refuse: Refuse) -> Shape:
        if issubclass(kind, Mapping):
            if arguments and unwrapped(arguments[0]) not in (str, Any):
                raise refuse(f"JSON has only strings as keys, and {name_of(arguments[0])} is none")
            item = self._of_item(arguments[1:], refuse)
            return MappingShape(item, _maker(kind, {}, refuse), kind)
        if issubclass(kind, (set, frozenset, bytes, bytearray, memoryview)) or not _is_sequence(kind):
            raise refuse(
                f"a cell cannot hold {name_of(kind)}, and no library is there to convert it; pydantic models "
                "and msgspec Structs convert dates, sets and the like"
            )
        return SequenceShape(self._of_item(arguments, refuse), _maker(kind, [], refuse), kind)

    def _of_item(self, arguments: tuple[Any, ...], refuse: Refuse) -> Shape:
        return self.of_annotation(arguments[0], refuse) if arguments else AnyShape()


def _refusal(model: object, name: str) -> Refuse:
    return lambda why: ModelError(
        f"{name_of(model)}.{name}: {why}. Change the model, or leave the field out."
    )


def _each(convert: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    return [_at(index, convert, item) for index, item in enumerate(items)]


def _at(key: str | int, convert: Callable[[Any], Any], thing: Any) -> Any:
    try:
        return convert(thing)
    except MismatchError as error:
        raise error.below(key) from error.__cause__


def _constant(member: Any) -> Any:
    return member.value if isinstance(member, enum.Enum) else member


def _key_of(cell: Any) -> tuple[bool, Any]:
    return isinstance(cell, bool), cell


def _is_sequence(kind: type) -> bool:
    return issubclass(kind, Sequence) or kind in (AbstractCollection, Iterable)


def _maker(kind: type, empty: Any, refuse: Refuse) -> Callable[[Any], Any]:
    """Return what makes a collection of a list or dict, which itself stands for the abstract ones."""
    if isinstance(empty, kind):
        return _itself
    try:
        kind(empty)
    except TypeError as error:
        raise refuse(f"{name_of(kind)} cannot be made of JSON ({error})") from error
    return kind


def _itself(thing: Any) -> Any:
    return thing
