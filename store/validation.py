"""Deciding what of a write may be stored, before anything is touched.

What may not is left out and noted for the invalid-cell and invalid-value listeners; on a strict store it
raises instead. Everything accepted comes out encoded, in new dicts, so the caller's objects are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from sys import intern

from replicell.store.cells import RESERVED, RICH_PREFIX, EncodedCell, encode_cell, encoded_rich_cell, is_rich
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.errors import InvalidCellError, InvalidValueError
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.schemas import CellRule, TableRules
from replicell.store.short_cuts import ShortCuts

__all__ = ["Validation", "plain_row"]

_NOT_A_CELL = (
    "it must be a string, a finite number, a boolean, None, or a JSON object or array "
    "(and no string that begins with U+FFFD or is U+FFFC)"
)
_REQUIRED = "it is required by the schema and has no default"


def plain_row(row: object) -> EncodedRow | None:
    """Return a copy of a row in which everything is already as it is held, and None for any other.

    This is the fast lane of `Validation`: most rows are plain, and telling so costs less than the rules.
    """
    if type(row) is not dict:
        return None
    plain: EncodedRow = {}
    try:
        for cell_id, cell in row.items():
            kind = type(cell)
            if kind is str:
                if not cell < RESERVED:
                    return None
            elif kind is float:
                if not isfinite(cell):
                    return None
            elif kind is not int and kind is not bool and cell is not None:
                return None
            plain[intern(cell_id)] = cell
    except TypeError:  # an id that is not a string
        return None
    return plain


class Validation(ShortCuts):
    """Accepts or refuses what is offered for writing."""

    __slots__ = ()

    def _accept_cell(
        self, table_id: Id, row_id: Id | MissingType, cell_id: Id, cell: object
    ) -> EncodedCell | MissingType:
        if self._tables_rules is None:
            accepted = self._accept_anything(cell)
            if accepted is MISSING:
                self._refuse_cell(table_id, row_id, cell_id, cell, _NOT_A_CELL)
            elif is_rich(accepted):
                self._rich_tables.add(table_id)
            return accepted
        table_rules = self._tables_rules.get(table_id)
        rule = None if table_rules is None else table_rules.cells.get(cell_id)
        if rule is None:
            unknown = "table" if table_rules is None else "cell"
            self._refuse_cell(table_id, row_id, cell_id, cell, f"the schema knows no such {unknown}")
            return MISSING
        accepted = rule.accept(cell, self._accepts_encoded)
        if accepted is MISSING:
            self._refuse_cell(table_id, row_id, cell_id, cell, _broken_rule(rule, cell))
            return rule.default
        if is_rich(accepted):
            self._rich_tables.add(table_id)
        return accepted

    def _accept_row(
        self, table_id: Id, row_id: Id | MissingType, row: object, partial: bool = False
    ) -> EncodedRow | None:
        if self._tables_rules is None:
            plain = plain_row(row)
            if plain:
                return plain
        if not isinstance(row, Mapping):
            self._refuse_whole(table_id, row_id, row, "a row must be a mapping of cell ids to cells")
            return None
        given = {to_id(cell_id): cell for cell_id, cell in row.items()}
        rules = None
        if not partial and self._tables_rules is not None:
            rules = self._tables_rules.get(table_id)
        if rules is not None:
            for cell_id in rules.non_defaulted:
                if cell_id not in given:
                    self._note_absent_cell(table_id, row_id, cell_id, cell_id in rules.required)
        if not given and not (rules is not None and rules.defaults):
            self._refuse_whole(table_id, row_id, row, "a row must have at least one cell")
            return None
        accepted: EncodedRow = {}
        for cell_id, cell in given.items():
            encoded = self._accept_cell(table_id, row_id, cell_id, cell)
            if encoded is not MISSING:
                accepted[intern(cell_id)] = encoded
        if rules is not None:
            for cell_id, default in rules.defaults.items():
                if cell_id not in given:
                    accepted[cell_id] = default
            if not all(cell_id in accepted for cell_id in rules.required):
                return None
        return accepted or None

    def _accept_table(self, table_id: Id, table: object) -> EncodedTable | None:
        if self._tables_rules is not None and table_id not in self._tables_rules:
            self._refuse_whole(table_id, MISSING, table, "the schema knows no such table")
            return None
        if not isinstance(table, Mapping) or not table:
            rule = "a table must be a non-empty mapping of row ids to rows"
            self._refuse_whole(table_id, MISSING, table, rule)
            return None
        accepted: EncodedTable = {}
        for given_id, row in table.items():
            row_id = given_id if type(given_id) is str else to_id(given_id)
            accepted_row = self._accept_row(table_id, row_id, row)
            if accepted_row is not None:
                accepted[row_id] = accepted_row
        return accepted or None

    def _accept_tables(self, tables: object) -> dict[Id, EncodedTable] | None:
        if not isinstance(tables, Mapping) or not tables:
            rule = "tables must be a non-empty mapping of table ids to tables"
            self._refuse_whole(MISSING, MISSING, tables, rule)
            return None
        accepted: dict[Id, EncodedTable] = {}
        for given_id, table in tables.items():
            table_id = to_id(given_id)
            accepted_table = self._accept_table(table_id, table)
            if accepted_table is not None:
                accepted[table_id] = accepted_table
        return accepted or None

    def _accept_value(self, value_id: Id, value: object) -> EncodedCell | MissingType:
        if self._values_rules is None:
            accepted = self._accept_anything(value)
            if accepted is MISSING:
                self._refuse_value(value_id, value, _NOT_A_CELL)
            return accepted
        rule = self._values_rules.cells.get(value_id)
        if rule is None:
            self._refuse_value(value_id, value, "the schema knows no such value")
            return MISSING
        accepted = rule.accept(value, self._accepts_encoded)
        if accepted is MISSING:
            self._refuse_value(value_id, value, _broken_rule(rule, value))
            return rule.default
        return accepted

    def _accept_values(self, values: object, partial: bool = False) -> EncodedRow | None:
        if not isinstance(values, Mapping):
            self._refuse_all_values(values, "values must be a mapping of value ids to values")
            return None
        given = {to_id(value_id): value for value_id, value in values.items()}
        rules: TableRules | None = None if partial else self._values_rules
        if rules is not None:
            for value_id in rules.non_defaulted:
                if value_id not in given:
                    self._note_absent_value(value_id, value_id in rules.required)
        if not given and not (rules is not None and rules.defaults):
            self._refuse_all_values(values, "values must hold at least one value")
            return None
        accepted: EncodedRow = {}
        for value_id, value in given.items():
            encoded = self._accept_value(value_id, value)
            if encoded is not MISSING:
                accepted[value_id] = encoded
        if rules is not None:
            for value_id, default in rules.defaults.items():
                if value_id not in given:
                    accepted[value_id] = default
            if not all(value_id in accepted for value_id in rules.required):
                return None
        return accepted or None

    def _accept_anything(self, cell: object) -> EncodedCell | MissingType:
        encoded = encode_cell(cell)
        if encoded is MISSING and self._accepts_encoded and isinstance(cell, str) and cell[:1] == RICH_PREFIX:
            return encoded_rich_cell(cell)
        return encoded

    def _refuse_cell(
        self,
        table_id: Id | MissingType,
        row_id: Id | MissingType,
        cell_id: Id | MissingType,
        cell: object,
        rule: str,
    ) -> None:
        if self._strict:
            raise InvalidCellError(table_id, row_id, cell_id, cell, rule)
        self._record.refuse_cell(table_id, row_id, cell_id, cell)

    def _refuse_whole(
        self, table_id: Id | MissingType, row_id: Id | MissingType, given: object, rule: str
    ) -> None:
        """Refuse a row, a table or all tables; listeners are not told what was given, as in TinyBase."""
        if self._strict:
            raise InvalidCellError(table_id, row_id, MISSING, given, rule)
        self._record.refuse_cell(table_id, row_id, MISSING, MISSING)

    def _note_absent_cell(
        self, table_id: Id, row_id: Id | MissingType, cell_id: Id, required: bool = False
    ) -> None:
        if self._strict and required:
            raise InvalidCellError(table_id, row_id, cell_id, MISSING, _REQUIRED)
        self._record.refuse_cell(table_id, row_id, cell_id, MISSING)

    def _refuse_value(self, value_id: Id | MissingType, value: object, rule: str) -> None:
        if self._strict:
            raise InvalidValueError(value_id, value, rule)
        self._record.refuse_value(value_id, value)

    def _refuse_all_values(self, given: object, rule: str) -> None:
        if self._strict:
            raise InvalidValueError(MISSING, given, rule)
        self._record.refuse_value(MISSING, MISSING)

    def _note_absent_value(self, value_id: Id, required: bool) -> None:
        if self._strict and required:
            raise InvalidValueError(value_id, MISSING, _REQUIRED)
        self._record.refuse_value(value_id, MISSING)


def _broken_rule(rule: CellRule, cell: object) -> str:
    return rule.describe() if cell is None or encode_cell(cell) is not MISSING else _NOT_A_CELL
