"""Making a table of a store from columns: the way back from a data frame.

Cells were seen to be cells when the columns were read, and here each column is held against the schema as a
whole, so a million cells go in without a look at each under every rule.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from sys import intern
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from replicell.store.cells import decode_cell, encode_cell, has_rich, is_rich
from replicell.store.changes import EncodedTable
from replicell.store.errors import ArgumentError, FrameError, InvalidCellError
from replicell.store.frames.incoming import incoming
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING
from replicell.store.schemas import CellRule, TableRules
from replicell.store.views import refuse_forbidden_write

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["Nulls", "load_table"]

Nulls: TypeAlias = Literal["absent", "none"]
"""What becomes of a null: no cell at all, or a cell that is None."""

_RICH = frozenset(("object", "array"))
_KINDS = {str: "string", bool: "boolean", int: "number", float: "number"}
_REQUIRED = "it is required by the schema and has no default"


def load_table(
    store: Store,
    table_id: Id,
    source: object,
    *,
    id_column: str | None,
    nulls: Nulls | None,
    convert: bool,
) -> None:
    """Replace a table; see `Store.set_table_from`."""
    if nulls not in (None, "absent", "none"):
        raise ArgumentError(f"nulls is 'absent', 'none' or None, not {nulls!r}")
    refuse_forbidden_write(store)
    data = incoming(source, id_column, convert)
    row_ids = _row_ids(data.columns, id_column, data.row_count)
    columns = data.columns
    if nulls == "absent" or (nulls is None and not data.tells_nulls):
        columns = {name: _with(MISSING, None, cells) for name, cells in columns.items()}
    if store._tables_rules is not None:
        columns = _Schema(table_id, store._tables_rules.get(table_id), row_ids).applied(columns)
    table = _table(row_ids, columns)
    if any(map(has_rich, columns.values())):
        store._rich_tables.add(table_id)
    if table:
        store._write(lambda: _write(store, table_id, table))
    else:
        store.del_table(table_id)


def _write(store: Store, table_id: Id, table: EncodedTable) -> None:
    is_new = table_id not in store._tables and table_id not in store._record.cells
    if is_new and store._guard is None and not store._unobserved:
        store._add_first_rows(table_id, table)
    else:
        store._write_table(table_id, table)


def _row_ids(columns: dict[Id, list[Any]], id_column: str | None, count: int) -> list[Id]:
    """Take the row ids out of the columns."""
    if id_column is None:
        return [str(position) for position in range(count)]
    if id_column not in columns:
        if count == 0:
            return []
        there = ", ".join(map(repr, columns)) or "none"
        raise FrameError(
            f"there is no column {id_column!r} to take row ids from; there are {there}. Name one with "
            "id_column, or have rows numbered with id_column=None. Nothing was changed."
        )
    given = columns.pop(id_column)
    row_ids = given if {str}.issuperset(map(type, given)) else _as_ids(id_column, given)
    if len(set(row_ids)) != len(row_ids):
        first: dict[Id, int] = {}
        for position, row_id in enumerate(row_ids):
            if first.setdefault(row_id, position) != position:
                raise FrameError(
                    f"column {id_column!r} has the row id {row_id!r} at positions {first[row_id]} and "
                    f"{position}, but each row needs one of its own. Nothing was changed."
                )
    return row_ids


def _as_ids(id_column: str, given: Sequence[Any]) -> list[Id]:
    row_ids = []
    for position, thing in enumerate(given):
        whole = isinstance(thing, float) and thing.is_integer()
        if isinstance(thing, bool) or not (isinstance(thing, (str, int)) or whole):
            raise FrameError(
                f"column {id_column!r} has {thing!r} at position {position}, which can be no row id: they "
                "are strings or whole numbers. Nothing was changed."
            )
        row_ids.append(to_id(thing))
    return row_ids


def _with(new: object, old: object, cells: list[Any]) -> list[Any]:
    return [new if cell is old else cell for cell in cells] if old in cells else cells


def _table(row_ids: list[Id], columns: dict[Id, list[Any]]) -> EncodedTable:
    """Put columns together to rows; one without any cell is no row."""
    names = [intern(name) for name in columns]
    cells = zip(*columns.values(), strict=True)
    if any(MISSING in column for column in columns.values()):
        rows = [
            {name: cell for name, cell in zip(names, row, strict=True) if cell is not MISSING}
            for row in cells
        ]
        return {row_id: row for row_id, row in zip(row_ids, rows, strict=True) if row}
    if not names:
        return {}
    return dict(zip(row_ids, [dict(zip(names, row, strict=True)) for row in cells], strict=True))


class _Schema:
    """What the schema says of the table."""

    def __init__(self, table_id: Id, rules: TableRules | None, row_ids: list[Id]) -> None:
        self._table_id = table_id
        self._rules = rules
        self._row_ids = row_ids

    def applied(self, columns: dict[Id, list[Any]]) -> dict[Id, list[Any]]:
        """Return columns as they are stored under the schema.

        Raises:
            InvalidCellError: If it forbids something.
        """
        rules = self._rules
        if rules is None:
            raise InvalidCellError(
                self._table_id, MISSING, MISSING, columns, "the schema knows no such table"
            )
        applied = {}
        for name, cells in columns.items():
            rule = rules.cells.get(name)
            if rule is None:
                self._refuse_first(name, cells, "the schema knows no such cell")
                continue
            applied[name] = self._accepted(name, _adapted(rule, cells), rule)
        for name, rule in rules.cells.items():
            if rule.default is not MISSING:
                absent = [MISSING] * len(self._row_ids)
                applied[name] = _with(rule.default, MISSING, applied.get(name, absent))
            elif rule.required:
                self._check_required(name, applied.get(name))
        return applied

    def _accepted(self, name: Id, cells: list[Any], rule: CellRule) -> list[Any]:
        kinds = set(map(type, cells)) - {type(MISSING)}
        if rule.enum is None and not has_rich(cells) and {_KINDS.get(kind) for kind in kinds} <= rule.types:
            return cells
        for position, cell in enumerate(cells):
            if cell is not MISSING and rule.accept(cell, encoded_too=True) is MISSING:
                raise InvalidCellError(
                    self._table_id, self._row_ids[position], name, decode_cell(cell), rule.describe()
                )
        return cells

    def _refuse_first(self, name: Id, cells: list[Any], why: str) -> None:
        for position, cell in enumerate(cells):
            if cell is not MISSING:
                raise InvalidCellError(self._table_id, self._row_ids[position], name, decode_cell(cell), why)

    def _check_required(self, name: Id, cells: list[Any] | None) -> None:
        for position, row_id in enumerate(self._row_ids):
            if cells is None or cells[position] is MISSING:
                raise InvalidCellError(self._table_id, row_id, name, MISSING, _REQUIRED)


def _adapted(rule: CellRule, cells: list[Any]) -> list[Any]:
    """Return cells as the schema wants them where a frame has no such type, or has lost it on its way."""
    if rule.types == {"boolean"}:
        numbers = {0: False, 1: True}
        return [numbers.get(cell, cell) if type(cell) in (int, float) else cell for cell in cells]
    if rule.types and rule.types <= _RICH:
        return [_parsed(cell) if type(cell) is str and not is_rich(cell) else cell for cell in cells]
    return cells


def _parsed(text: str) -> Any:
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    encoded = encode_cell(parsed)
    return encoded if encoded is not MISSING and is_rich(encoded) else text
