"""Schemas from foreign schemas."""

from __future__ import annotations

from typing import Any

from replicell.store import MISSING, Schematizer, Store, create_custom_schematizer


def json_schema() -> Schematizer:
    """A schematizer for a little of JSON Schema."""

    def unwrap(schema: dict[str, Any], default: Any, allow_null: Any, required: Any) -> tuple[Any, ...]:
        types = schema.get("type", MISSING)
        nullable = isinstance(types, list) and "null" in types
        if nullable:
            types = [name for name in types if name != "null"]
        unwrapped = {"enum": schema["enum"]} if "enum" in schema else {"type": types}
        return unwrapped, schema.get("default", default), nullable or allow_null

    return create_custom_schematizer(
        unwrap,
        lambda schema: schema.get("properties"),
        lambda schema, name, property: name in schema.get("required", ()),
    )


PET = {
    "properties": {
        "species": {"enum": ["dog", "cat"]},
        "name": {"type": ["string", "null"]},
        "sold": {"type": "boolean", "default": False},
        "born": {"type": "date"},
    },
    "required": ["species", "sold"],
}


def test_each_property_becomes_a_cell_and_what_cannot_be_said_is_left_out() -> None:
    assert json_schema().to_tables_schema({"pets": PET, "nothing": {}, "dates": {"properties": {}}}) == {
        "pets": {
            "species": {"enum": ["dog", "cat"], "required": True},
            "name": {"type": ["string"], "allowNull": True},
            "sold": {"type": "boolean", "default": False},
        }
    }


def test_the_result_is_a_schema_that_a_store_takes() -> None:
    store = Store(strict=True).set_tables_schema(json_schema().to_tables_schema({"pets": PET}))
    store.set_row("pets", "fido", {"species": "dog", "name": None})
    assert store.get_row("pets", "fido") == {"species": "dog", "name": None, "sold": False}


def test_values_have_schemas_of_their_own() -> None:
    values = json_schema().to_values_schema({"open": {"type": "boolean"}, "since": {"type": "date"}})
    assert values == {"open": {"type": "boolean"}}


def test_what_unwrapping_says_of_being_required_counts_unless_there_is_a_default() -> None:
    schematizer = create_custom_schematizer(
        lambda schema, default, allow_null, required: ({"type": "string"}, *schema), lambda schema: schema
    )
    assert schematizer.to_tables_schema(
        {"t": {"a": (MISSING, MISSING, True), "b": ("x", False, True), "c": (MISSING, True, MISSING)}}
    ) == {
        "t": {
            "a": {"type": "string", "required": True},
            "b": {"type": "string", "default": "x"},
            "c": {"type": "string", "allowNull": True},
        }
    }
