"""Schemas from dataclasses, TypedDicts, pydantic models and msgspec Structs."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final, Literal, NewType, NotRequired, Optional, TypedDict, Union

import msgspec
import pydantic
import pytest

from replicell.store import ModelError, Store, schema_from

PetName = NewType("PetName", str)


class Color(enum.Enum):
    BLACK = "black"
    WHITE = "white"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


EXPECTED: dict[str, Any] = {
    "species": {"enum": ["dog", "cat"], "required": True},
    "name": {"type": "string", "required": True},
    "price": {"type": "number", "required": True},
    "owner": {"type": "string", "default": None, "allowNull": True},
    "sold": {"type": "boolean", "default": False},
    "tags": {"type": "array", "default": []},
    "code": {"type": ["string", "number"], "default": 0},
}


@dataclass
class DataclassPet:
    species: Literal["dog", "cat"]
    name: PetName
    price: float
    owner: str | None = None
    sold: bool = False
    tags: list[str] = field(default_factory=list)
    code: str | int = 0


class PydanticPet(pydantic.BaseModel):
    species: Literal["dog", "cat"]
    name: PetName
    price: Annotated[float, pydantic.Field(gt=0)]
    owner: Optional[str] = None  # noqa: UP045  # the other spelling
    sold: bool = False
    tags: list[str] = pydantic.Field(default_factory=list)
    code: Union[str, int] = 0  # noqa: UP007  # the other spelling


class StructPet(msgspec.Struct, kw_only=True):
    species: Literal["dog", "cat"]
    name: PetName
    price: Annotated[float, msgspec.Meta(gt=0)]
    owner: str | None = None
    sold: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    code: str | int = 0


class TypedDictPet(TypedDict):
    species: Literal["dog", "cat"]
    price: float
    owner: NotRequired[str | None]


class HalfTypedDictPet(TypedDictPet, total=False):
    sold: bool


@pytest.mark.parametrize("model", [DataclassPet, PydanticPet, StructPet])
def test_a_model_says_types_unions_enums_nulls_defaults_and_what_is_required(model: type) -> None:
    assert schema_from(model) == EXPECTED


def test_a_typed_dict_says_what_is_required() -> None:
    assert schema_from(HalfTypedDictPet) == {
        "species": EXPECTED["species"],
        "price": EXPECTED["price"],
        "owner": {"type": "string", "allowNull": True},
        "sold": {"type": "boolean"},
    }


def test_a_strict_store_takes_every_part_of_it() -> None:
    store = Store(strict=True).set_tables_schema({"pets": schema_from(DataclassPet)})
    store.set_row("pets", "fido", {"species": "dog", "name": "Fido", "price": 5})
    assert store.get_row("pets", "fido") == {
        "species": "dog",
        "name": "Fido",
        "price": 5,
        "owner": None,
        "sold": False,
        "tags": [],
        "code": 0,
    }
    store.set_values_schema(schema_from(TypedDictPet))


def made(annotation: Any, default: Any = ...) -> Any:
    """A model with one field."""
    namespace = {"__annotations__": {"field": annotation}, "__module__": __name__}
    if default is not ...:
        namespace["field"] = default
    return dataclass(type("Made", (), namespace))


@pytest.mark.parametrize(
    ("annotation", "entry"),
    [
        (Any, {"type": ["string", "number", "boolean", "object", "array"], "allowNull": True}),
        (Color, {"enum": ["black", "white"]}),
        (Size, {"enum": [1, 2]}),
        (Literal[Color.BLACK, None], {"enum": ["black"], "allowNull": True}),
        (Literal["a"] | Literal["b"], {"enum": ["a", "b"]}),
        (tuple[int, ...], {"type": "array"}),
        (Sequence[int], {"type": "array"}),
        (Mapping[str, int], {"type": "object"}),
        (dict, {"type": "object"}),
        (DataclassPet, {"type": "object"}),
        (TypedDictPet, {"type": "object"}),
        (PydanticPet, {"type": "object"}),
        (StructPet, {"type": "object"}),
        (Final[int], {"type": "number"}),
        (str | msgspec.UnsetType, {"type": "string"}),
    ],
    ids=lambda thing: str(thing)[:60],
)
def test_annotations_and_what_they_become(annotation: Any, entry: dict[str, Any]) -> None:
    assert schema_from(made(annotation)) == {"field": {**entry, "required": True}}


def test_defaults_are_stored_as_cells_are() -> None:
    assert schema_from(made(Color, Color.WHITE))["field"].get("default") == "white"
    assert schema_from(made(tuple, (1, 2)))["field"].get("default") == [1, 2]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (made(date), "Made.field: a cell cannot hold date"),
        (made(bytes), "a cell cannot hold bytes"),
        (made(set[int]), "a cell cannot hold set"),
        (made(Callable[[], int]), "a cell cannot hold"),
        (made(int | Literal["none"]), "both fixed values and a type"),
        (made(None), "nothing but None"),
        (made(Literal[b"x"]), "can be no member of an enum"),
        (made(str, 5), "Made.field: .*default"),
        (made(str, None), "Made.field: .*None"),
        (made(str, object()), "cannot be stored in a cell"),
        (made("NoSuchType"), "cannot be resolved"),
        (int, "is no model"),
    ],
    ids=lambda thing: str(thing)[:40],
)
def test_what_cannot_be_said_is_refused_by_name(model: type, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        schema_from(model)
