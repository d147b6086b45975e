"""Between a row of a store and an instance of a model.

What has to be found out about a model is found out once, when its codec is made. Dataclasses, TypedDicts and
msgspec Structs are made field by field, pydantic models as a whole.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from replicell.store.cells import Cell, decode_cell, encode_cell, json_text
from replicell.store.changes import EncodedRow
from replicell.store.errors import ModelError
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.models import fields_of, is_absence, name_of, schema_from, unwrapped
from replicell.store.typed.libraries import (
    LibraryShape,
    first_message,
    is_plain,
    is_pydantic_model,
    is_struct,
    members_of,
)
from replicell.store.typed.mismatch import MismatchError
from replicell.store.typed.shapes import RecordShape, Shapes

__all__ = ["PydanticCodec", "RecordCodec", "RowCodec", "codec_of"]

T = TypeVar("T")

_NOT_A_CELL = "it must be something that can be a cell: a string, a finite number, a boolean, None or JSON"


class RowCodec(ABC, Generic[T]):
    """Makes instances of one model of rows, and rows of instances.

    Attributes:
        model: The model.
        cell_ids: The cells that it knows.
    """

    def __init__(self, model: type[T], cell_ids: frozenset[Id]) -> None:
        self.model = model
        self.cell_ids = cell_ids

    def read(self, row: EncodedRow) -> T:
        """Make an instance of a row as it is held.

        Raises:
            MismatchError: If the model cannot have what is in it.
        """
        return self.make({name: decode_cell(cell) for name, cell in row.items() if name in self.cell_ids})

    @abstractmethod
    def make(self, cells: Mapping[Id, Cell]) -> T:
        """Make an instance of decoded cells.

        Raises:
            MismatchError: If the model cannot have them.
        """

    @abstractmethod
    def write(self, given: Any) -> dict[Id, Any]:
        """Return the cells of an instance.

        Raises:
            MismatchError: If it is none, or has something in it that the model says it cannot have.
        """

    @abstractmethod
    def merge(self, row: EncodedRow, given: Mapping[Id, Any]) -> dict[Id, Any]:
        """Return what some fields of a row make when they are changed, `MISSING` being a cell to delete.

        Raises:
            MismatchError: If the model could not have the row that would result.
        """

    def known(self, given: Mapping[Id, Any]) -> None:
        """See that the model has certain fields.

        Raises:
            MismatchError: If it has not.
        """
        for name, value in given.items():
            if name not in self.cell_ids:
                raise MismatchError(value, f"{name_of(self.model)} has no such cell", (name,))


class RecordCodec(RowCodec[T]):
    """For dataclasses, TypedDicts and Structs.

    Attributes:
        shape: What the model says of its fields.
    """

    def __init__(self, model: type[T], shape: RecordShape) -> None:
        super().__init__(model, frozenset(shape.fields))
        self.shape = shape

    def make(self, cells: Mapping[Id, Cell]) -> T:
        """Make an instance of decoded cells."""
        made: T = self.shape.make(cells)
        return made

    def write(self, given: Any) -> dict[Id, Any]:
        """Return the cells of an instance."""
        cells: dict[Id, Any] = self.shape.write(given)
        return _checked(cells)

    def merge(self, row: EncodedRow, given: Mapping[Id, Any]) -> dict[Id, Any]:
        """Return what some fields make."""
        self.known(given)
        cells: dict[Id, Any] = {}
        for name, value in given.items():
            if value is MISSING or value is self.shape.lacking.get(name, MISSING):
                cells[name] = MISSING
            else:
                try:
                    cells[name] = self.shape.shapes[name].write(value)
                except MismatchError as error:
                    raise error.below(name) from error.__cause__
        _checked(cells)
        self.make(_merged(row, cells, self.cell_ids))
        return cells


class PydanticCodec(RowCodec[T]):
    """For pydantic models, which validate themselves, as a whole.

    Cells are handed over as JSON, in which pydantic's strict mode tells True from 1 and 1 from "1" and still
    makes dates and the like of text.
    """

    def __init__(self, model: type[T]) -> None:
        fields: Mapping[str, Any] = model.model_fields  # type: ignore[attr-defined]  # it is a pydantic model
        super().__init__(model, frozenset(fields))
        self._input_names = {name: _input_name(model, name, field) for name, field in fields.items()}
        self._field_names = {given: name for name, given in self._input_names.items()}
        self._is_plain = all(
            is_plain(member) for field in fields.values() for member in members_of(field.annotation)
        )
        self._may_be_none = [
            name
            for name, rule in schema_from(model).items()
            if rule.get("required") and rule.get("allowNull")
        ]

    def make(self, cells: Mapping[Id, Cell]) -> T:
        """Make an instance of decoded cells."""
        given: dict[str, Any] = {self._input_names[name]: cell for name, cell in cells.items()}
        for name in self._may_be_none:
            given.setdefault(self._input_names[name], None)
        model: Any = self.model
        if self._is_plain:
            # Here strict Python and strict JSON say the same, except that whole floats are no ints.
            try:
                return cast("T", model.model_validate(given, strict=True))
            except ValueError:
                pass
        return self._validated(lambda: model.model_validate_json(json_text(given), strict=True), cells)

    def write(self, given: Any) -> dict[Id, Any]:
        """Return the cells of an instance."""
        if not isinstance(given, self.model):
            raise MismatchError(given, f"it must be a {name_of(self.model)}")
        cells = _checked(self._dumped(given, self.cell_ids))
        self.make(cells)
        return cells

    def merge(self, row: EncodedRow, given: Mapping[Id, Any]) -> dict[Id, Any]:
        """Return what some fields make."""
        self.known(given)
        deleted = {name: MISSING for name, value in given.items() if value is MISSING}
        kept = {name: value for name, value in given.items() if value is not MISSING}
        cells = _merged(row, deleted, self.cell_ids)
        offered = {self._input_names[name]: value for name, value in {**cells, **kept}.items()}
        validate = self.model.model_validate  # type: ignore[attr-defined]  # it is a pydantic model
        changed = self._dumped(self._validated(lambda: validate(offered), {**cells, **kept}), kept.keys())
        self.make({**cells, **_checked(changed)})
        return {**changed, **deleted}

    def _validated(self, validate: Callable[[], T], given: Mapping[Id, Any]) -> T:
        try:
            return validate()
        except sys.modules["pydantic"].ValidationError as error:
            place = error.errors()[0]["loc"]
            name = self._field_names.get(place[0], str(place[0])) if place else None
            path, value = ((), given) if name is None else ((name,), given.get(name, MISSING))
            raise MismatchError(value, f"pydantic says: {first_message(error)}", path) from error

    def _dumped(self, instance: Any, names: AbstractSet[str]) -> dict[Id, Any]:
        def dumped(wanted: AbstractSet[str]) -> dict[Id, Any]:
            cells = instance.model_dump(mode="json", include=set(wanted), by_alias=False, warnings=False)
            return cast("dict[Id, Any]", cells)

        try:
            return dumped(names)
        except (ValueError, TypeError):
            for name in names:
                try:
                    dumped({name})
                except (ValueError, TypeError) as error:
                    rule = f"pydantic cannot make JSON of it ({error})"
                    raise MismatchError(getattr(instance, name), rule, (name,)) from error
            raise


def codec_of(model: Any) -> RowCodec[Any]:
    """Return the codec of a model.

    Raises:
        ModelError: If it is no model, or has a field that no cell can hold.
    """
    if not isinstance(model, type):
        raise ModelError(f"{model!r} is no class: give the model itself, as in store.table(Todo)")
    return _codec_of(model)


@lru_cache(maxsize=256)
def _codec_of(model: type) -> RowCodec[Any]:
    if not list(fields_of(model)):
        raise ModelError(f"{name_of(model)} has no fields, and a row needs at least one cell")
    if is_pydantic_model(model):
        return PydanticCodec(model)
    if not is_struct(model):
        schema_from(model)
        return RecordCodec(model, Shapes().of_record(model))
    shape = RecordShape(model)
    schema_from(model)
    unset = getattr(sys.modules["msgspec"], "UNSET", MISSING)
    for field in fields_of(model):
        shape.fields[field.name] = field
        shape.shapes[field.name] = LibraryShape(field.annotation, of_struct=True)
        if any(map(is_absence, members_of(unwrapped(field.annotation)))):
            shape.lacking[field.name] = unset
    return RecordCodec(model, shape)


def _merged(row: EncodedRow, cells: Mapping[Id, Any], known: frozenset[Id]) -> dict[Id, Any]:
    merged: dict[Id, Any] = {name: decode_cell(cell) for name, cell in row.items() if name in known}
    for name, cell in cells.items():
        if cell is MISSING:
            merged.pop(name, None)
        else:
            merged[name] = cell
    return merged


def _checked(cells: dict[Id, Any]) -> dict[Id, Any]:
    for name, cell in cells.items():
        if cell is not MISSING and encode_cell(cell) is MISSING:
            raise MismatchError(cell, _NOT_A_CELL, (name,))
    return cells


def _input_name(model: type, name: str, field: Any) -> str:
    """Return the key under which pydantic wants a field."""
    config: Mapping[str, Any] = getattr(model, "model_config", {})
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    alias = field.validation_alias
    if by_name or alias is None:
        return name
    choices = getattr(alias, "choices", [alias])
    for choice in choices:
        if isinstance(choice, str):
            return choice
    raise ModelError(
        f"{name_of(model)}.{name}: its alias is a path. Set populate_by_name=True in the model's config."
    )
