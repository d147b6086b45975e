"""From unsaved cells to the rows that SQL statements write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from replicell.persisters.crsqlite.affinity import Affinity, why_changed
from replicell.persisters.crsqlite.cells import SqlCell, encode_cell, why_unstorable
from replicell.persisters.crsqlite.identifiers import check_column_name, folded
from replicell.persisters.crsqlite.schema import MAX_COLUMNS, TableSchema
from replicell.persisters.crsqlite.tables import VALUES_ROW, ColumnFacts, MappedTable
from replicell.persisters.errors import IdentifierError, UnstorableCellError
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["SavePlan", "SaveProgress", "TablePlan", "plan_save"]

Bindings: TypeAlias = list[Any]

_ROWS_A_REPORT = 1_000


class TablePlan:
    """What is to be written to one table.

    Attributes:
        table: The table.
        schema: Its schema as it is, None if the table is not there.
        rows: By the columns to write, the bindings: the key, then the cells.
        deleted: The keys of rows to delete.
        partial: The keys of rows of which only some cells are written, because the database has the others.
        new_columns: Columns to be added.
    """

    __slots__ = ("deleted", "new_columns", "partial", "rows", "schema", "table")

    def __init__(self, table: MappedTable, schema: TableSchema | None) -> None:
        self.table = table
        self.schema = schema
        self.rows: dict[tuple[str, ...], list[Bindings]] = {}
        self.deleted: list[tuple[Id]] = []
        self.partial: list[Id] = []
        self.new_columns: list[str] = []

    def wanted_schema(self) -> TableSchema:
        """Return the table's schema as it must be before the rows are written."""
        columns = () if self.schema is None else self.schema.columns
        return TableSchema(self.table.name, (self.table.key,), (*columns, *self.new_columns))


class SaveProgress:
    """Counts the rows of a save as they are written.

    Args:
        total: Rows to be written.
        report: Called with the rows written and to be written; None if nobody asks.
    """

    __slots__ = ("_done", "_report", "_total")

    def __init__(self, total: int = 0, report: Callable[[int, int], None] | None = None) -> None:
        self._total = total
        self._report = report
        self._done = 0

    def counting(self, rows: list[Bindings]) -> Iterable[Bindings]:
        """Return the rows for ``executemany``, which counts them on the way."""
        return rows if self._report is None else self._counted(rows, self._report)

    def _counted(self, rows: list[Bindings], report: Callable[[int, int], None]) -> Iterator[Bindings]:
        for start in range(0, len(rows), _ROWS_A_REPORT):
            part = rows[start : start + _ROWS_A_REPORT]
            yield from part
            self._done += len(part)
            report(self._done, self._total)


class SavePlan:
    """What is to be written, and what cannot be.

    Attributes:
        tables: The tables that something is written to.
        unstorable: Cells that SQLite cannot hold.
        progress: Counts what is written.
    """

    __slots__ = ("progress", "tables", "unstorable")

    def __init__(self, tables: list[TablePlan], unstorable: list[UnstorableCellError]) -> None:
        self.tables = tables
        self.unstorable = unstorable
        self.progress = SaveProgress()

    @property
    def row_count(self) -> int:
        """How many rows are written."""
        return sum(len(rows) for plan in self.tables for rows in plan.rows.values())

    def new_tables(self) -> list[TablePlan]:
        """Return the tables that are not there."""
        return [plan for plan in self.tables if plan.schema is None]

    def changed_tables(self) -> list[TablePlan]:
        """Return the tables that lack columns."""
        return [plan for plan in self.tables if plan.schema is not None and plan.new_columns]


def plan_save(
    unsaved: UnsavedChanges,
    targets: Sequence[MappedTable],
    schemas: Mapping[str, TableSchema],
    facts: Mapping[str, ColumnFacts],
) -> SavePlan:
    """Sort what is unsaved by table and columns.

    Args:
        unsaved: The changes; tables without a target are left out.
        targets: Where each table of the store is saved.
        schemas: The schemas of the targets that exist.
        facts: What else there is to know of their columns.
    """
    unstorable: list[UnstorableCellError] = []
    plans = []
    for target in targets:
        if target.table_id is None:
            rows = {VALUES_ROW: UnsavedRow(unsaved.values, RowState.WHOLE)} if unsaved.values else {}
        else:
            rows = unsaved.tables.get(target.table_id, {})
        if rows:
            planner = _TablePlanner(target, schemas.get(target.name), facts.get(target.name), unstorable)
            plan = planner.plan(rows)
            if plan.rows or (plan.deleted and plan.schema is not None):
                plans.append(plan)
    return SavePlan(plans, unstorable)


class _TablePlanner:
    def __init__(
        self,
        target: MappedTable,
        schema: TableSchema | None,
        facts: ColumnFacts | None,
        unstorable: list[UnstorableCellError],
    ) -> None:
        self._plan = TablePlan(target, schema)
        self._cell_ids = target.cell_ids
        self._affinities = {} if facts is None else facts.affinities
        self._generated = frozenset[str]() if facts is None else facts.generated
        self._unstorable = unstorable
        self._known = set(() if schema is None else schema.columns)
        self._refusals: dict[Id, str | None] = {}
        self._folded: dict[str, str] = {}

    def plan(self, rows: Mapping[Id, UnsavedRow]) -> TablePlan:
        plan = self._plan
        groups = plan.rows
        for row_id, row in rows.items():
            if not row_id.isascii() and why_unstorable(row_id) is not None:
                self._refuse(row_id, None, "its row id contains half of a surrogate pair; use another id")
            elif row.state is RowState.GONE:
                plan.deleted.append((row_id,))
            else:
                columns, bindings = self._row(row_id, row)
                if columns:
                    groups.setdefault(columns, []).append(bindings)
                    if row.state is RowState.PARTIAL:
                        plan.partial.append(row_id)
        return plan

    def _row(self, row_id: Id, row: UnsavedRow) -> tuple[tuple[str, ...], Bindings]:
        known = self._known
        columns: list[str] = []
        bindings: Bindings = [row_id]
        cells = cast("Mapping[Id, Any]", row.cells)
        chosen = self._cell_ids
        for cell_id, cell in cells.items():
            if chosen is not None and cell_id not in chosen:
                continue
            kind = cell.__class__
            if cell is MISSING:
                if cell_id not in known:
                    continue
                cell = None
            elif kind is str:
                if not cell.isascii() and self._is_refused(row_id, cell_id, cell):
                    continue
            elif kind is int:
                if self._is_refused(row_id, cell_id, cell):
                    continue
            elif kind is not float:
                cell = encode_cell(cell)
            if cell_id not in known and not self._can_have_column(row_id, cell_id):
                continue
            if self._affinities and self._is_changed(row_id, cell_id, cell):
                continue
            columns.append(cell_id)
            bindings.append(cell)
        return tuple(columns), bindings

    def _is_refused(self, row_id: Id, cell_id: Id, cell: Any) -> bool:
        reason = why_unstorable(cell)
        if reason is not None:
            self._refuse(row_id, cell_id, reason)
        return reason is not None

    def _is_changed(self, row_id: Id, cell_id: Id, cell: SqlCell | None) -> bool:
        reason = why_changed(cell, self._affinities.get(cell_id, Affinity.NONE))
        if reason is not None:
            self._refuse(row_id, cell_id, reason)
        return reason is not None

    def _can_have_column(self, row_id: Id, cell_id: Id) -> bool:
        """Tell whether a column can be added, and remember it."""
        if cell_id not in self._refusals:
            self._refusals[cell_id] = reason = self._why_no_column(cell_id)
            if reason is None:
                self._known.add(cell_id)
                self._folded[folded(cell_id)] = cell_id
                self._plan.new_columns.append(cell_id)
                return True
        reason = self._refusals[cell_id]
        if reason is not None:
            self._refuse(row_id, cell_id, reason)
        return reason is None

    def _why_no_column(self, cell_id: Id) -> str | None:
        if not self._folded:
            taken = (*self._known, *self._generated, self._plan.table.key)
            self._folded = {folded(name): name for name in taken}
        other = self._folded.get(folded(cell_id))
        if other == self._plan.table.key:
            return f"the column {other!r} holds the row ids; choose another cell id or row_id_column_name"
        if other in self._generated:
            return f"SQLite computes the column {other!r} by itself; choose another cell id"
        if other is not None:
            return f"SQLite takes it for the column {other!r}; choose another cell id"
        if len(self._known) + 1 >= MAX_COLUMNS:
            return f"a table holds {MAX_COLUMNS} columns at most; spread the cells over more tables"
        try:
            check_column_name(cell_id)
        except IdentifierError as error:
            return str(error)
        return None

    def _refuse(self, row_id: Id, cell_id: Id | None, reason: str) -> None:
        table_id = self._plan.table.table_id
        self._unstorable.append(
            UnstorableCellError(table_id, None if table_id is None else row_id, cell_id, reason)
        )
