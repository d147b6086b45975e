"""The same row as a dataclass, a TypedDict, a pydantic model and a msgspec Struct."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
import pydantic

__all__ = ["KINDS", "Color", "Kind", "Todo", "TodoDict", "TodoModel", "TodoStruct", "fields_of_todo"]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Step:
    title: str
    minutes: int = 0


@dataclass
class Todo:
    text: str
    rank: int
    done: bool = False
    weight: float = 0.5
    note: str | None = None
    color: Color = Color.RED
    size: Literal["s", "m"] = "s"
    tags: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    extra: dict[str, int] = field(default_factory=dict)


class StepDict(TypedDict):
    title: str
    minutes: NotRequired[int]


class TodoDict(TypedDict):
    text: str
    rank: int
    done: NotRequired[bool]
    weight: NotRequired[float]
    note: NotRequired[str | None]
    color: NotRequired[Color]
    size: NotRequired[Literal["s", "m"]]
    tags: NotRequired[list[str]]
    steps: NotRequired[list[StepDict]]
    extra: NotRequired[dict[str, int]]


class StepModel(pydantic.BaseModel):
    title: str
    minutes: int = 0


class TodoModel(pydantic.BaseModel):
    text: str
    rank: int
    done: bool = False
    weight: float = 0.5
    note: str | None = None
    color: Color = Color.RED
    size: Literal["s", "m"] = "s"
    tags: list[str] = []
    steps: list[StepModel] = []
    extra: dict[str, int] = {}


class StepStruct(msgspec.Struct):
    title: str
    minutes: int = 0


class TodoStruct(msgspec.Struct):
    text: str
    rank: int
    done: bool = False
    weight: float = 0.5
    note: str | None = None
    color: Color = Color.RED
    size: Literal["s", "m"] = "s"
    tags: list[str] = []
    steps: list[StepStruct] = []
    extra: dict[str, int] = {}


class Kind(NamedTuple):
    """One way to say what a row is."""

    model: Callable[..., Any]
    step: Callable[..., Any]

    @property
    def has_defaults(self) -> bool:
        return self.model is not TodoDict


KINDS = {
    "dataclass": Kind(Todo, Step),
    "TypedDict": Kind(TodoDict, StepDict),
    "pydantic": Kind(TodoModel, StepModel),
    "msgspec": Kind(TodoStruct, StepStruct),
}


def fields_of_todo(row: Any) -> dict[str, Any]:
    """The fields of such a row, whatever it is."""
    return dict(row) if isinstance(row, dict) else {name: getattr(row, name) for name in Todo.__annotations__}
