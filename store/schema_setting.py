"""Setting and deleting schemas, and what that does to the data at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

from replicell.store.cells import decode_cell, is_rich
from replicell.store.errors import SchemaDataLossError, SchemaError, SchemaLoss
from replicell.store.ids import Id
from replicell.store.json_forms import JsonForms
from replicell.store.missing import MISSING
from replicell.store.schemas import (
    TableRules,
    TablesSchema,
    ValuesSchema,
    compile_tables_schema,
    compile_values_schema,
)

__all__ = ["SchemaSetting"]

_log = logging.getLogger("replicell.store.schemas")


class SchemaSetting(JsonForms):
    """The methods of a store that are about its schemas."""

    __slots__ = ()

    def has_tables_schema(self) -> bool:
        """Tell whether a tables schema is set. Mirrors TinyBase's ``hasTablesSchema``.

        >>> Store().has_tables_schema()
        False
        """
        self._check_thread()
        return self._tables_rules is not None

    def has_values_schema(self) -> bool:
        """Tell whether a values schema is set. Mirrors TinyBase's ``hasValuesSchema``.

        >>> Store().has_values_schema()
        False
        """
        self._check_thread()
        return self._values_rules is not None

    def set_tables_schema(self, tables_schema: TablesSchema, *, discard: bool = False) -> Self:
        """Say which tables and cells may exist, and of which type. Mirrors TinyBase's ``setTablesSchema``.

        What is in the store already is made to comply: other things are dropped, absent cells get their
        defaults. Entries of the schema that mean nothing are ignored; if none is left, so is the call.

        Args:
            tables_schema: For each table and cell a `CellSchema`. Type checkers want a variable that holds
                one to be annotated as `TablesSchema`.
            discard: Let a strict store drop what does not comply; others always do.

        Raises:
            SchemaError: On a strict store, if an entry of the schema means nothing.
            SchemaDataLossError: On a strict store, if data would be dropped and `discard` is false.

        >>> store = Store().set_tables_schema({"pets": {"sold": {"type": "boolean", "default": False}}})
        >>> store.set_cell("pets", "fido", "sold", "yes").get_cell("pets", "fido", "sold")
        False
        """
        rules, problems = compile_tables_schema(tables_schema)
        self._check_schema(problems)
        if not rules:
            return self._write(lambda: None)
        self._check_losses(self._table_losses(rules), discard)
        return self._write(lambda: self._install_tables_rules(rules))

    def set_values_schema(self, values_schema: ValuesSchema, *, discard: bool = False) -> Self:
        """Say which values may exist, and of which type. Mirrors TinyBase's ``setValuesSchema``.

        Args:
            values_schema: For each value a `ValueSchema`. Defaults apply at once.
            discard: Let a strict store drop what does not comply; others always do.

        Raises:
            SchemaError: On a strict store, if an entry of the schema means nothing.
            SchemaDataLossError: On a strict store, if data would be dropped and `discard` is false.

        >>> Store().set_values_schema({"open": {"type": "boolean", "default": False}}).get_values()
        {'open': False}
        """
        rules, problems = compile_values_schema(values_schema)
        self._check_schema(problems)
        if not rules.cells:
            return self._write(lambda: None)
        self._check_losses(self._value_losses(rules), discard)
        return self._write(lambda: self._install_values_rules(rules))

    def set_schema(
        self, tables_schema: TablesSchema, values_schema: ValuesSchema | None = None, *, discard: bool = False
    ) -> Self:
        """Set both schemas in one transaction. Mirrors TinyBase's ``setSchema``.

        Args:
            tables_schema: As for `set_tables_schema`.
            values_schema: As for `set_values_schema`; None leaves the present one.
            discard: As for both.

        >>> store = Store().set_schema({"pets": {"age": {"type": "number"}}}, {"open": {"type": "boolean"}})
        >>> store.has_values_schema()
        True
        """

        def set_both() -> None:
            self.set_tables_schema(tables_schema, discard=discard)
            if values_schema is not None:
                self.set_values_schema(values_schema, discard=discard)

        return self._write(set_both)

    def del_tables_schema(self) -> Self:
        """Allow any tables and cells again; data stays. Mirrors TinyBase's ``delTablesSchema``.

        >>> store = Store().set_tables_schema({"pets": {"age": {"type": "number"}}})
        >>> store.del_tables_schema().has_tables_schema()
        False
        """
        return self._write(lambda: self._replace_tables_rules(None))

    def del_values_schema(self) -> Self:
        """Allow any values again; data stays. Mirrors TinyBase's ``delValuesSchema``.

        >>> Store().set_values_schema({"open": {"type": "boolean"}}).del_values_schema().has_values_schema()
        False
        """
        return self._write(lambda: self._replace_values_rules(None))

    def del_schema(self) -> Self:
        """Delete both schemas in one transaction. Mirrors TinyBase's ``delSchema``.

        >>> Store().set_values_schema({"open": {"type": "boolean"}}).del_schema().get_schema_json()
        '[{},{}]'
        """
        return self._write(lambda: (self._replace_tables_rules(None), self._replace_values_rules(None)))

    def has_transaction_changed_schema(self) -> bool:
        """Tell whether a schema was set or deleted in the open transaction; did-finish listeners may ask.

        Who keeps another store the same must know, for `get_transaction_edits` says nothing of schemas.

        >>> store = Store()
        >>> with store.transaction():
        ...     store.set_values_schema({"open": {"type": "boolean"}}).has_transaction_changed_schema()
        True
        >>> store.has_transaction_changed_schema()
        False
        """
        self._check_thread()
        return self._old_tables_rules is not MISSING or self._old_values_rules is not MISSING

    def _replace_tables_rules(self, rules: dict[Id, TableRules] | None) -> None:
        if self._old_tables_rules is MISSING:
            self._old_tables_rules = self._tables_rules
        self._tables_rules = rules
        self._settle()

    def _replace_values_rules(self, rules: TableRules | None) -> None:
        if self._old_values_rules is MISSING:
            self._old_values_rules = self._values_rules
        self._values_rules = rules
        self._settle()

    def _install_tables_rules(self, rules: dict[Id, TableRules]) -> None:
        self._replace_tables_rules(rules)
        for table_id, table_rules in rules.items():
            if any(is_rich(default) for default in table_rules.defaults.values()):
                self._rich_tables.add(table_id)
        if self._tables:
            tables = self.get_tables()
            self._remove_tables()
            self._leniently(lambda: self._write_tables(self._accept_tables(tables)))

    def _install_values_rules(self, rules: TableRules) -> None:
        values = self.get_values()
        self._replace_values_rules(None)
        self._delete_values()
        self._replace_values_rules(rules)
        self._leniently(lambda: self._write_values(self._accept_values(values)))

    def _leniently(self, rewrite: Callable[[], None]) -> None:
        """Rewrite what is in the store, dropping what the new schema forbids."""
        strict, self._strict = self._strict, False
        try:
            rewrite()
        finally:
            self._strict = strict

    def _check_schema(self, problems: list[str]) -> None:
        if self._strict and problems:
            raise SchemaError("; ".join(problems) + ". Correct the schema; nothing was changed.")

    def _check_losses(self, losses: list[SchemaLoss], discard: bool) -> None:
        if losses and self._strict and not discard:
            raise SchemaDataLossError(losses)
        if losses and not discard:
            first = losses[0]
            _log.warning(
                "a schema change drops or replaces %d stored item(s), the first being %s: %s",
                len(losses),
                "/".join(first.path),
                first.rule,
            )

    def _table_losses(self, rules: dict[Id, TableRules]) -> list[SchemaLoss]:
        losses = []
        for table_id, table in self._tables.items():
            table_rules = rules.get(table_id)
            for row_id, row in table.items():
                absent = [] if table_rules is None else [c for c in table_rules.required if c not in row]
                for cell_id, cell in row.items():
                    path = (table_id, row_id, cell_id)
                    if table_rules is None:
                        losses.append(SchemaLoss(path, decode_cell(cell), MISSING, "no such table"))
                    elif absent:
                        rule = f"its row lacks the required cell {absent[0]!r}"
                        losses.append(SchemaLoss(path, decode_cell(cell), MISSING, rule))
                    else:
                        losses += _loss(path, cell, table_rules)
        return losses

    def _value_losses(self, rules: TableRules) -> list[SchemaLoss]:
        absent = [value_id for value_id in rules.required if value_id not in self._values]
        losses = []
        for value_id, value in self._values.items():
            if absent:
                rule = f"the required value {absent[0]!r} is absent"
                losses.append(SchemaLoss((value_id,), decode_cell(value), MISSING, rule))
            else:
                losses += _loss((value_id,), value, rules)
        return losses


def _loss(path: tuple[str, ...], cell: str | float | None, rules: TableRules) -> list[SchemaLoss]:
    rule = rules.cells.get(path[-1])
    if rule is None:
        return [SchemaLoss(path, decode_cell(cell), MISSING, "the schema does not know it")]
    if rule.accept(cell, encoded_too=True) is not MISSING:
        return []
    replacement = MISSING if rule.default is MISSING else decode_cell(rule.default)
    return [SchemaLoss(path, decode_cell(cell), replacement, rule.describe())]
