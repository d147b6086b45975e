"""Schemas from other people's schemas: TinyBase's schematizers, for whatever describes data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.schemas import CellSchema, compile_values_schema

__all__ = ["GetProperties", "GetPropertyRequired", "Schematizer", "UnwrapSchema", "create_custom_schematizer"]

UnwrapSchema: TypeAlias = Callable[..., "tuple[Any, ...]"]
"""Says what a foreign schema means.

It is given the schema and, for where it calls itself, the default, whether null is allowed and whether the
thing is required, as far as that is known; it returns ``(unwrapped, default, allow_null)`` or the same and
``required``, where `unwrapped` has a ``"type"`` or an ``"enum"`` of ours. What is unknown is `MISSING`.
"""

GetProperties: TypeAlias = Callable[[Any], "Mapping[Id, Any] | MissingType | None"]
"""Returns the foreign schemas of the properties of a foreign object schema, or nothing if it is none."""

GetPropertyRequired: TypeAlias = Callable[[Any, Id, Any], "bool | MissingType | None"]
"""Tells whether a property is required, given the object's schema, the property's id and its schema."""


class Schematizer:
    """Makes schemas for a store of foreign ones. Mirrors TinyBase's ``Schematizer``."""

    __slots__ = ("_get_properties", "_get_property_required", "_unwrap_schema")

    def __init__(
        self,
        unwrap_schema: UnwrapSchema,
        get_properties: GetProperties,
        get_property_required: GetPropertyRequired | None = None,
    ) -> None:
        self._unwrap_schema = unwrap_schema
        self._get_properties = get_properties
        self._get_property_required = get_property_required

    def to_tables_schema(self, schemas: Mapping[Id, Any]) -> dict[Id, dict[Id, CellSchema]]:
        """Make a tables schema of a foreign object schema for each table.

        What cannot be expressed is left out, and so is a table of which nothing is left. Mirrors TinyBase's
        ``toTablesSchema``.
        """
        tables: dict[Id, dict[Id, CellSchema]] = {}
        for table_id, schema in schemas.items():
            cells: dict[Id, CellSchema] = {}
            for cell_id, cell_schema in (self._get_properties(schema) or {}).items():
                required: object = MISSING
                if self._get_property_required is not None:
                    required = self._get_property_required(schema, cell_id, cell_schema)
                entry = self._to_cell_schema(cell_schema, required)
                if entry is not None:
                    cells[to_id(cell_id)] = entry
            if cells:
                tables[to_id(table_id)] = cells
        return tables

    def to_values_schema(self, schemas: Mapping[Id, Any]) -> dict[Id, CellSchema]:
        """Make a values schema of a foreign schema for each value. Mirrors TinyBase's ``toValuesSchema``."""
        entries = {
            to_id(value_id): self._to_cell_schema(schema, MISSING) for value_id, schema in schemas.items()
        }
        return {value_id: entry for value_id, entry in entries.items() if entry is not None}

    def _to_cell_schema(self, schema: Any, required: object) -> CellSchema | None:
        unwrapped, default, allow_null, *rest = self._unwrap_schema(schema, MISSING, MISSING, required)
        if rest and rest[0] is not MISSING and rest[0] is not None:
            required = rest[0]
        entry = {
            name: unwrapped[name]
            for name in ("enum", "type")
            if isinstance(unwrapped, Mapping) and unwrapped.get(name, MISSING) not in (MISSING, None)
        }
        rules, _ = compile_values_schema({"": entry})
        if not rules.cells:
            return None
        if default is not MISSING:
            entry["default"] = default
        if allow_null is not MISSING and allow_null:
            entry["allowNull"] = True
        if required is not MISSING and required and default is MISSING:
            entry["required"] = True
        return cast("CellSchema", entry)


def create_custom_schematizer(
    unwrap_schema: UnwrapSchema,
    get_properties: GetProperties,
    get_property_required: GetPropertyRequired | None = None,
) -> Schematizer:
    """Create a schematizer for a library of schemas. Mirrors TinyBase's ``createCustomSchematizer``.

    For dataclasses, TypedDicts, pydantic models and msgspec Structs there is `schema_from`.

    Args:
        unwrap_schema: Says what one foreign schema means in terms of ours.
        get_properties: Gives the properties of a foreign object schema.
        get_property_required: Tells whether a property is required.

    >>> json_schema = create_custom_schematizer(
    ...     lambda schema, default, allow_null, required: (
    ...         {"type": schema["type"]}, schema.get("default", MISSING), False),
    ...     lambda schema: schema["properties"],
    ...     lambda schema, name, property: name in schema["required"])
    >>> json_schema.to_tables_schema({"pets": {
    ...     "properties": {"species": {"type": "string"}, "sold": {"type": "boolean", "default": False}},
    ...     "required": ["species"]}})
    {'pets': {'species': {'type': 'string', 'required': True}, 'sold': {'type': 'boolean', 'default': False}}}
    """
    return Schematizer(unwrap_schema, get_properties, get_property_required)
