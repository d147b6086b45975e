"""Schemas: which tables, cells and values may exist, of which type, and what stands in for absent ones.

A schema is given as plain dicts, checked entry by entry, and compiled into rules that answer one question
fast: what is stored when this is written here? TinyBase's rules apply, to the letter: an entry has either a
``type`` (one or a list) or an ``enum``, and may have a ``default``, ``allowNull`` (or ``allow_null``) and
``required``; entries that make no sense are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from replicell.store.cells import (
    RICH_PREFIX,
    CellLike,
    EncodedCell,
    decode_cell,
    encode_cell,
    encoded_rich_cell,
    is_same_cell,
    type_of_cell,
)
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = [
    "CellRule",
    "CellSchema",
    "CellType",
    "TableRules",
    "TableSchema",
    "TablesSchema",
    "ValueSchema",
    "ValuesSchema",
    "compile_tables_schema",
    "compile_values_schema",
    "schema_of",
]

CellType: TypeAlias = Literal["string", "number", "boolean", "object", "array"]


class CellSchema(TypedDict, total=False):
    """What may stand in one cell (or value)."""

    type: CellType | Sequence[CellType]
    """One type, or several of which any will do."""
    enum: Sequence[str | int | float | bool]
    """The only things allowed, instead of a type."""
    default: CellLike
    """What is stored when nothing, or something invalid, is written."""
    allowNull: bool
    """Whether None may be stored."""
    allow_null: bool
    """The same as allowNull."""
    required: bool
    """Whether a whole row (or all values) without it is refused; a default makes this meaningless."""


ValueSchema: TypeAlias = CellSchema
TableSchema: TypeAlias = Mapping[Id, CellSchema]
TablesSchema: TypeAlias = Mapping[Id, TableSchema]
ValuesSchema: TypeAlias = Mapping[Id, ValueSchema]

_TYPES = frozenset(("string", "number", "boolean", "object", "array"))
_SPELLINGS = {"allow_null": "allowNull"}
_PROPERTIES = frozenset(("type", "enum", "default", "allowNull", "allow_null", "required"))


class CellRule:
    """The compiled schema of one cell or value."""

    __slots__ = ("allow_null", "default", "enum", "given", "required", "types")

    def __init__(
        self,
        types: frozenset[str],
        enum: tuple[EncodedCell, ...] | None,
        default: EncodedCell | MissingType,
        allow_null: bool,
        required: bool,
        given: dict[str, Any],
    ) -> None:
        self.types = types
        self.enum = enum
        self.default = default
        self.allow_null = allow_null
        self.required = required
        self.given = given

    def accept(self, cell: object, encoded_too: bool = False) -> EncodedCell | MissingType:
        """Return what is stored for `cell`, or `MISSING` if this rule forbids it.

        Args:
            cell: What is offered.
            encoded_too: Whether an object or array may come in its encoded form.
        """
        if cell is None:
            return None if self.allow_null else MISSING
        encoded = encode_cell(cell)
        if encoded is MISSING:
            if not (encoded_too and isinstance(cell, str) and cell[:1] == RICH_PREFIX):
                return MISSING
            encoded = encoded_rich_cell(cell)
            if encoded is MISSING:
                return MISSING
        if self.enum is None:
            return encoded if type_of_cell(encoded) in self.types else MISSING
        for member in self.enum:
            if is_same_cell(member, encoded):
                return encoded
        return MISSING

    def describe(self) -> str:
        """Say in words what this rule asks for."""
        if self.enum is None:
            asked = "it must be of type " + " or ".join(sorted(self.types))
        else:
            asked = f"it must be one of {list(self.enum)!r}"
        return asked + (" or None" if self.allow_null else "")

    def as_schema(self) -> dict[str, Any]:
        """Return this rule as a schema entry, the default decoded."""
        schema = {name: list(it) if isinstance(it, list) else it for name, it in self.given.items()}
        if self.default is not MISSING:
            schema["default"] = decode_cell(self.default)
        return schema


class TableRules:
    """The compiled schema of one table, or of all values."""

    __slots__ = ("cells", "defaults", "non_defaulted", "required")

    def __init__(self, cells: dict[Id, CellRule]) -> None:
        self.cells = cells
        self.defaults: dict[Id, EncodedCell] = {
            cell_id: rule.default for cell_id, rule in cells.items() if rule.default is not MISSING
        }
        self.non_defaulted = tuple(cell_id for cell_id in cells if cell_id not in self.defaults)
        self.required = tuple(cell_id for cell_id in self.non_defaulted if cells[cell_id].required)


def compile_tables_schema(schema: object) -> tuple[dict[Id, TableRules], list[str]]:
    """Compile a tables schema.

    Returns:
        The rules of each table that has any, and a sentence for each thing ignored or altered.
    """
    problems: list[str] = []
    rules: dict[Id, TableRules] = {}
    if not isinstance(schema, Mapping) or not schema:
        problems.append("a tables schema is a non-empty mapping of table ids to table schemas")
        return rules, problems
    for given_id, table_schema in schema.items():
        table_id = to_id(given_id)
        cells = _compile_entries(table_schema, f"table {table_id!r}", "cell", problems)
        if cells:
            rules[table_id] = TableRules(cells)
    return rules, problems


def compile_values_schema(schema: object) -> tuple[TableRules, list[str]]:
    """Compile a values schema.

    Returns:
        The rules of the values, with no cells if the schema says nothing, and a sentence for each thing
        ignored or altered.
    """
    problems: list[str] = []
    return TableRules(_compile_entries(schema, "the values", "value", problems)), problems


def schema_of(rules: TableRules) -> dict[Id, dict[str, Any]]:
    """Return compiled rules as a schema again."""
    return {cell_id: rule.as_schema() for cell_id, rule in rules.cells.items()}


def _compile_entries(schema: object, where: str, noun: str, problems: list[str]) -> dict[Id, CellRule]:
    rules: dict[Id, CellRule] = {}
    if not isinstance(schema, Mapping) or not schema:
        problems.append(f"the schema of {where} must be a non-empty mapping of {noun} ids to {noun} schemas")
        return rules
    for given_id, entry in schema.items():
        entry_id = to_id(given_id)
        rule = _compile_entry(entry, f"{noun} {entry_id!r} of {where}", problems)
        if rule is not None:
            rules[entry_id] = rule
    return rules


def _compile_entry(entry: object, where: str, problems: list[str]) -> CellRule | None:
    if not isinstance(entry, Mapping) or not entry:
        problems.append(f"the schema of {where} must be a mapping with a 'type' or an 'enum'")
        return None
    unknown = [name for name in entry if name not in _PROPERTIES]
    problems.extend(f"the schema of {where} has an unknown property {name!r}" for name in unknown)
    listed, enum_listed = entry.get("type", MISSING), entry.get("enum", MISSING)
    types, enum = _types_of(listed), _enum_of(enum_listed)
    if (types is None) is (enum is None) or (listed is not MISSING and enum_listed is not MISSING):
        problems.append(
            f"the schema of {where} needs either a 'type' ({', '.join(sorted(_TYPES))}, or a list of these) "
            "or an 'enum' (a list of strings, numbers and booleans)"
        )
        return None
    allow_null = bool(entry.get("allowNull", entry.get("allow_null", False)))
    given = {
        _SPELLINGS.get(str(name), str(name)): _copy_of(entry[name]) for name in entry if name in _PROPERTIES
    }
    rule = CellRule(types or frozenset(), enum, MISSING, allow_null, entry.get("required") is True, given)
    if "default" in given:
        default = given["default"]
        if default is None and not allow_null:
            problems.append(f"the schema of {where} has a default of None but does not allow None")
            return None
        rule.default = rule.accept(default)
        if rule.default is MISSING:
            del given["default"]
            problems.append(f"the schema of {where} has a default it forbids: {rule.describe()}")
    return rule


def _types_of(listed: object) -> frozenset[str] | None:
    if isinstance(listed, str):
        return frozenset((listed,)) if listed in _TYPES else None
    if not isinstance(listed, (list, tuple)) or not listed:
        return None
    return frozenset(listed) if all(isinstance(item, str) and item in _TYPES for item in listed) else None


def _enum_of(listed: object) -> tuple[EncodedCell, ...] | None:
    if not isinstance(listed, (list, tuple)) or not listed:
        return None
    members: list[EncodedCell] = []
    for item in listed:
        encoded = encode_cell(item)
        if encoded is MISSING or encoded is None or type_of_cell(encoded) in ("object", "array"):
            return None
        members.append(encoded)
    return tuple(members)


def _copy_of(listed: object) -> object:
    return list(listed) if isinstance(listed, (list, tuple)) else listed
