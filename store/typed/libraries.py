"""What pydantic and msgspec convert by themselves.

They are not imported here: whoever has a model of theirs has loaded them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin

from replicell.store.models import name_of
from replicell.store.typed.mismatch import MismatchError, Shape

__all__ = ["LibraryShape", "first_message", "is_plain", "is_pydantic_model", "is_struct", "members_of"]


def is_struct(kind: Any) -> bool:
    """Tell whether something is a msgspec Struct."""
    return isinstance(kind, type) and hasattr(kind, "__struct_fields__")


def is_pydantic_model(kind: Any) -> bool:
    """Tell whether something is a pydantic model."""
    return isinstance(kind, type) and isinstance(getattr(kind, "model_fields", None), Mapping)


class LibraryShape(Shape):
    """Whatever an annotation means to the library that a model is made with.

    Args:
        annotation: A Struct or a pydantic model, or for `of_struct` whatever a Struct's field may have.
        of_struct: Whether msgspec is to be asked.
    """

    def __init__(self, annotation: Any, of_struct: bool | None = None) -> None:
        self._annotation = annotation
        self._is_msgspec = is_struct(annotation) if of_struct is None else of_struct
        self.plain = _plain_types(annotation)
        self.rule = f"what makes a {name_of(annotation)}"

    def read(self, held: Any) -> Any:
        """Have the library make it."""
        if self._is_msgspec:
            msgspec = sys.modules["msgspec"]
            try:
                return msgspec.convert(held, self._annotation, str_keys=True)
            except msgspec.ValidationError as error:
                if isinstance(held, float) and held.is_integer():
                    return self.read(int(held))
                raise MismatchError(held, f"msgspec says: {error}") from error
        pydantic = sys.modules["pydantic"]
        try:
            return _adapter(self._annotation).validate_python(held)
        except pydantic.ValidationError as error:
            raise MismatchError(held, f"pydantic says: {first_message(error)}") from error

    def write(self, given: Any) -> Any:
        """Have the library take it apart, and see that it could make it again."""
        try:
            if self._is_msgspec:
                taken = sys.modules["msgspec"].to_builtins(given, str_keys=True)
            else:
                taken = _adapter(self._annotation).dump_python(given, mode="json", warnings=False)
        except (TypeError, ValueError) as error:
            raise MismatchError(given, f"it must be {self.rule} ({error})") from error
        try:
            self.read(taken)
        except MismatchError as error:
            raise MismatchError(given, error.rule) from error
        return taken


@cache
def _adapter(annotation: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(annotation)


def first_message(error: Any) -> str:
    """Say in one line what the first problem of a pydantic ValidationError is."""
    first = error.errors()[0]
    where = "/".join(map(str, first["loc"]))
    return f"{first['msg']}{f' at {where}' if where else ''}"


def members_of(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or else the annotation alone.

    >>> members_of(int | None), members_of(int)
    ((<class 'int'>, <class 'NoneType'>), (<class 'int'>,))
    """
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def is_plain(annotation: Any) -> bool:
    """Tell whether an annotation is that of a scalar, and says nothing else.

    >>> is_plain(int), is_plain(list[int])
    (True, False)
    """
    return annotation in (str, int, float, bool, types.NoneType)


def _plain_types(annotation: Any) -> frozenset[type]:
    return frozenset(filter(is_plain, members_of(annotation)))
