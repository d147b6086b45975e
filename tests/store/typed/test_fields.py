"""What fields of a model may be, library by library: what is converted, and what is refused and when."""

from __future__ import annotations

import dataclasses
import enum
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from replicell.store import (
    MISSING,
    InvalidCellError,
    MissingType,
    ModelError,
    Store,
    UnreadableRowError,
)

Name = NewType("Name", str)
DAY = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Flag(enum.Enum):
    YES = True
    ONE = 1


class Word(str):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int = 0


class Place(TypedDict, total=False):
    name: str
    at: Point


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None


class Inner(pydantic.BaseModel):
    day: date


class Piece(msgspec.Struct):
    day: date


def round_trip(annotation: Any, value: Any) -> Any:
    """Write a value in a dataclass's field of that annotation, and return the cell, having read it back."""
    model: Any = dataclasses.make_dataclass("Model", [("it", annotation)])
    store = Store()
    table = store.table(model, "t")
    table["1"] = model(value)
    back: Any = table["1"]
    assert back.it == value
    assert type(back.it) is type(value)
    return store.get_cell("t", "1", "it", MISSING)


@pytest.mark.parametrize(
    ("annotation", "value", "cell"),
    [
        (str, "x", "x"),
        (Name, "x", "x"),
        (Annotated[int, "years"], 3, 3),
        (Word, Word("x"), "x"),
        (int, 2**70, 2**70),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, None, None),
        (int | None, None, None),
        (int | str, "x", "x"),
        (int | str, 1, 1),
        (int | float, 1, 1),
        (bool | int, True, True),
        (bool | int, 1, 1),
        (Literal["a", 1, True], 1, 1),
        (Literal["a", 1, True], True, True),
        (Literal["a", None], None, None),
        (Level, Level.HIGH, 2),
        (Literal[Level.LOW], Level.LOW, 1),
        (Flag, Flag.YES, True),
        (list, [1, "a", None], [1, "a", None]),
        (list[int | None], [1, None], [1, None]),
        (list[list[bool]], [[True], []], [[True], []]),
        (list[Level], [Level.LOW], [1]),
        (Sequence[int], [1, 2], [1, 2]),
        (tuple[int, ...], (1, 2), [1, 2]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (tuple, (1, "a"), [1, "a"]),
        (deque[int], deque([1, 2]), [1, 2]),
        (Point, Point(1, 2), [1, 2]),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Place, {"name": "x", "at": Point(1, 2)}, {"name": "x", "at": [1, 2]}),
        (
            Node,
            Node("a", [Node("b")], Node("p")),
            {
                "name": "a",
                "children": [{"name": "b", "children": [], "parent": None}],
                "parent": {"name": "p", "children": [], "parent": None},
            },
        ),
        (Node | None, None, None),
        (Inner, Inner(day=date(2026, 1, 2)), {"day": "2026-01-02"}),
        (list[Piece], [Piece(date(2026, 1, 2))], [{"day": "2026-01-02"}]),
    ],
    ids=str,
)
def test_a_dataclass_may_have(annotation: Any, value: Any, cell: Any) -> None:
    held = round_trip(annotation, value)
    assert held == cell
    assert type(held) is type(cell)


@pytest.mark.parametrize(
    "annotation",
    [
        datetime,
        date,
        time,
        timedelta,
        UUID,
        Decimal,
        bytes,
        complex,
        set[int],
        frozenset,
        Sequence[bytes],
        list[datetime],
        dict[str, set[int]],
        dict[int, str],
        tuple[int, datetime],
        datetime | None,
        type,
        None,
        Literal["a"] | int,
    ],
    ids=str,
)
@pytest.mark.parametrize("make", ["dataclass", "TypedDict"])
def test_what_nobody_would_convert_is_refused_when_the_table_is_made(make: str, annotation: Any) -> None:
    of_dict: Any = TypedDict  # with a variable as an annotation, which type checkers cannot have
    if make == "dataclass":
        model = dataclasses.make_dataclass("Model", [("it", annotation)])
    else:
        model = of_dict("Model", {"it": annotation})
    with pytest.raises(ModelError, match=r"^Model\.it: "):
        Store().table(model)


class Converted(pydantic.BaseModel):
    when: datetime
    day: date
    wait: timedelta
    key: UUID
    price: Decimal
    seen: set[int]
    raw: bytes = b"x"
    until: datetime | None = None


class ConvertedStruct(msgspec.Struct):
    when: datetime
    day: date
    wait: timedelta
    key: UUID
    price: Decimal
    seen: set[int]
    raw: bytes = b"x"
    until: datetime | None = None


@pytest.mark.parametrize("model", [Converted, ConvertedStruct])
def test_pydantic_and_msgspec_convert_what_json_has_not(model: Any) -> None:
    store = Store()
    given = model(
        when=DAY,
        day=DAY.date(),
        wait=timedelta(seconds=90),
        key=UUID(int=5),
        price=Decimal("1.50"),
        seen={1},
        until=DAY,
    )
    table = store.table(model, "t", schema=True)
    table["1"] = given
    assert table["1"] == given
    row = store.get_row("t", "1")
    assert row["day"] == "2026-11-22"
    assert str(row["when"]).startswith("2026-11-22T12:30:00")
    assert row["seen"] == [1]
    table.update("1", day=date(2026, 11, 23))
    assert store.get_cell("t", "1", "day") == "2026-11-23"
    store.set_cell("t", "1", "day", "some day")
    with pytest.raises(UnreadableRowError, match=r"cell 'day' is 'some day'"):
        table["1"]


class Strict(pydantic.BaseModel):
    age: Annotated[int, pydantic.Field(gt=0)]
    limit: int = 100

    @pydantic.model_validator(mode="after")
    def check(self) -> Strict:
        if self.age > self.limit:
            raise ValueError("too old")
        return self


class StrictStruct(msgspec.Struct):
    age: Annotated[int, msgspec.Meta(gt=0)]
    limit: int = 100

    def __post_init__(self) -> None:
        if self.age > self.limit:
            raise ValueError("too old")


@dataclass
class StrictDataclass:
    age: int
    limit: int = 100

    def __post_init__(self) -> None:
        if self.age > self.limit or self.age <= 0:
            raise ValueError("too old or negative")


@pytest.mark.parametrize("model", [Strict, StrictStruct, StrictDataclass])
def test_the_models_own_rules_hold_for_reading_and_updating(model: Any) -> None:
    store = Store()
    table = store.table(model, "t")
    table["1"] = model(age=3)
    with pytest.raises(InvalidCellError, match="too old"):
        table.update("1", age=101)
    with pytest.raises(InvalidCellError):
        table.update("1", age=-1)
    assert store.get_row("t", "1") == {"age": 3, "limit": 100}
    store.set_cell("t", "1", "limit", 2)
    with pytest.raises(UnreadableRowError, match="too old"):
        table["1"]
    store.set_row("t", "1", {"age": -1})
    with pytest.raises(UnreadableRowError):
        table["1"]


def test_a_changed_struct_and_model_are_checked_when_they_are_written() -> None:
    table = Store().table(StrictStruct, "t")
    struct = StrictStruct(3)
    struct.age = -1
    with pytest.raises(InvalidCellError, match="cell 'age'"):
        table["1"] = struct
    model = Strict(age=3)
    model.age = -1
    with pytest.raises(InvalidCellError, match="cell 'age'"):
        Store().table(Strict, "t")["1"] = model


class Renamed(msgspec.Struct, rename="camel", tag=True, forbid_unknown_fields=True):
    first_name: str
    last_name: str | msgspec.UnsetType = msgspec.UNSET


class InOrder(msgspec.Struct, array_like=True, kw_only=True, frozen=True):
    first_name: str
    last_name: str | msgspec.UnsetType = msgspec.UNSET


@pytest.mark.parametrize("model", [Renamed, InOrder])
def test_cells_are_called_like_the_fields_of_a_struct_and_unset_is_absent(model: Any) -> None:
    store = Store()
    table = store.table(model, "t")
    table["1"] = model(first_name="Ann")
    table["2"] = model(first_name="Bob", last_name="B")
    assert store.get_table("t") == {"1": {"first_name": "Ann"}, "2": {"first_name": "Bob", "last_name": "B"}}
    assert list(table.values()) == [model(first_name="Ann"), model(first_name="Bob", last_name="B")]
    table["2"] = model(first_name="Bob")
    table.update("1", last_name="A")
    assert store.get_table("t") == {"1": {"first_name": "Ann", "last_name": "A"}, "2": {"first_name": "Bob"}}
    table.update("1", last_name=msgspec.UNSET)
    assert store.get_row("t", "1") == {"first_name": "Ann"}


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="firstName")
    last_name: str = pydantic.Field(
        "", validation_alias=pydantic.AliasChoices(pydantic.AliasPath("x", 0), "ln")
    )
    nick: str = pydantic.Field("", serialization_alias="nickname")


class AliasedByName(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True, extra="forbid")
    first_name: str = pydantic.Field(alias="firstName")

    @pydantic.computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation has it
    @property
    def initial(self) -> str:
        return self.first_name[0]


class ByPath(pydantic.BaseModel):
    first: str = pydantic.Field(validation_alias=pydantic.AliasPath("names", 0))


def test_cells_are_called_like_the_fields_of_a_pydantic_model_whatever_their_aliases() -> None:
    store = Store()
    aliased = Aliased.model_validate({"firstName": "Ann", "ln": "A", "nick": "x"})
    table = store.table(Aliased, "t")
    table["1"] = aliased
    assert store.get_row("t", "1") == {"first_name": "Ann", "last_name": "A", "nick": "x"}
    assert table["1"] == aliased
    table.update("1", first_name="Bob")
    assert table["1"].first_name == "Bob"
    store.set_cell("t", "1", "first_name", 5)
    with pytest.raises(UnreadableRowError, match="cell 'first_name' is 5"):
        table["1"]
    by_name = store.table(AliasedByName, "u")
    by_name["1"] = AliasedByName.model_validate({"first_name": "Ann"})
    assert store.get_row("u", "1") == {"first_name": "Ann"}
    assert by_name["1"].initial == "A"
    with pytest.raises(ModelError, match=r"^ByPath\.first: its alias is a path"):
        store.table(ByPath)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    text: str
    note: str | MissingType = MISSING
    length: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.text))


def test_missing_stands_for_an_absent_cell_where_a_field_allows_it() -> None:
    store = Store()
    table = store.table(Frozen, schema=True)
    table["1"] = Frozen(text="Buy")
    assert store.get_row("frozen", "1") == {"text": "Buy"}
    assert table["1"] == Frozen(text="Buy")
    assert table["1"].length == 3
    table["1"] = Frozen(text="Buy", note="now")
    assert store.get_row("frozen", "1") == {"text": "Buy", "note": "now"}
    table["1"] = Frozen(text="Buy", note=MISSING)
    assert store.get_row("frozen", "1") == {"text": "Buy"}


@dataclass
class MayBeNone:
    owner: str | None
    text: str = ""


class MayBeNoneStruct(msgspec.Struct):
    owner: str | None
    text: str = ""


class MayBeNoneModel(pydantic.BaseModel):
    owner: str | None
    text: str = ""


@pytest.mark.parametrize("model", [MayBeNone, MayBeNoneStruct, MayBeNoneModel])
def test_an_absent_cell_without_a_default_reads_as_none_where_that_is_allowed(model: Any) -> None:
    store = Store().set_row("t", "1", {"text": "x"})
    assert store.table(model, "t")["1"] == model(owner=None, text="x")


@dataclass
class OwnInit:
    text: str
    rank: int = 0

    def __init__(self, *, rank: int = 0, text: str) -> None:
        self.text = text.upper()
        self.rank = rank


@dataclass
class Base:
    text: str


@dataclass
class Derived(Base):
    rank: int = 0


def test_constructors_of_ones_own_and_derived_classes() -> None:
    store = Store().set_row("t", "1", {"text": "x", "rank": 3})
    assert store.table(OwnInit, "t")["1"].text == "X"
    assert store.table(Derived, "t")["1"] == Derived("x", 3)
    table = store.table(Base, "t")
    table["2"] = Derived("y", 5)
    assert store.get_row("t", "2") == {"text": "y"}


def test_a_forward_reference_that_cannot_be_resolved_is_refused() -> None:
    @dataclass
    class Lost:
        it: Nowhere  # type: ignore[name-defined]  # noqa: F821  # that is the point

    with pytest.raises(ModelError, match="cannot be resolved"):
        Store().table(Lost)


def test_where_within_a_cell_something_is_wrong_is_said() -> None:
    table = Store().table(Node, "t")
    with pytest.raises(InvalidCellError, match="cell 'children': at 1/parent/name, it must be a string"):
        table["1"] = Node("a", [Node("b"), Node("c", parent=Node(5))])  # type: ignore[arg-type]  # that is wrong


def test_an_unknown_key_of_a_typed_dict_is_refused() -> None:
    table = Store().table(Place, "t")
    with pytest.raises(InvalidCellError, match="cell 'nmae': Place has no such key"):
        table["1"] = {"nmae": "x"}  # type: ignore[typeddict-unknown-key]  # that is wrong
    with pytest.raises(InvalidCellError, match="a row must have at least one cell"):
        table["1"] = {}


def test_a_cell_id_need_be_no_identifier() -> None:
    model = TypedDict("model", {"due date": str, "class": int, "'\\": bool})
    table = Store().table(model, "t")
    table["1"] = {"due date": "x", "class": 1, "'\\": True}
    assert table["1"] == {"due date": "x", "class": 1, "'\\": True}
