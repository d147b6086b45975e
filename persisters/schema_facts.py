"""What a persister must know of a store's schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replicell.store.cells import EncodedCell, encode_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.store import Store

__all__ = ["SchemaFacts", "SchemaReader"]


@dataclass(frozen=True, slots=True)
class SchemaFacts:
    """What a persister must know of a store's schemas.

    Args:
        booleans: By table, the cells that are booleans and nothing else: 0 and 1 in the medium are some.
        defaults: By table, the encoded defaults. Deleting such a cell would delete its row.
        boolean_values: The values that are booleans and nothing else.
        default_values: The encoded defaults of values.
    """

    booleans: Mapping[Id, frozenset[Id]] = field(default_factory=dict)
    defaults: Mapping[Id, Mapping[Id, EncodedCell]] = field(default_factory=dict)
    boolean_values: frozenset[Id] = frozenset()
    default_values: Mapping[Id, EncodedCell] = field(default_factory=dict)


_NO_SCHEMA = SchemaFacts()


class SchemaReader:
    """Reads the facts anew only when the schemas have changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._json: tuple[str, str] | None = None
        self._facts = _NO_SCHEMA

    def read(self) -> SchemaFacts:
        """Return the facts as of now."""
        store = self._store
        if not store.has_tables_schema() and not store.has_values_schema():
            return _NO_SCHEMA
        texts = (store.get_tables_schema_json(), store.get_values_schema_json())
        if texts != self._json:
            tables, values = json.loads(texts[0]), json.loads(texts[1])
            self._facts = SchemaFacts(
                booleans={table_id: _booleans(cells) for table_id, cells in tables.items()},
                defaults={table_id: _defaults(cells) for table_id, cells in tables.items()},
                boolean_values=_booleans(values),
                default_values=_defaults(values),
            )
            self._json = texts
        return self._facts


def _booleans(cells: Mapping[Id, Mapping[str, Any]]) -> frozenset[Id]:
    return frozenset(
        cell_id for cell_id, schema in cells.items() if schema.get("type") in ("boolean", ["boolean"])
    )


def _defaults(cells: Mapping[Id, Mapping[str, Any]]) -> dict[Id, EncodedCell]:
    defaults = {}
    for cell_id, schema in cells.items():
        default = encode_cell(schema["default"]) if "default" in schema else MISSING
        if default is not MISSING:
            defaults[cell_id] = default
    return defaults
