"""From unsaved cells to the rows that SQL statements write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from replicell.persisters.counting import Counter
from replicell.persisters.crsqlite.affinity import Affinity, why_changed
from replicell.persisters.crsqlite.cells import SqlCell, encode_cell, why_unstorable
from replicell.persisters.crsqlite.identifiers import check_column_name, folded
from replicell.persisters.crsqlite.schema import MAX_COLUMNS, TableSchema
from replicell.persisters.crsqlite.tables import VALUES_ROW, ColumnFacts, MappedTable
from replicell.persisters.errors import IdentifierError, UnstorableCellError
from replicell.persisters.row_blocks import RowBlock
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow, UnsavedTable
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

__all__ = ["BlockBindings", "SavePlan", "TablePlan", "plan_save"]

Bindings: TypeAlias = tuple[Any, ...]
"""What one execution of a statement writes: the key, then the cells."""

_AS_THEY_ARE: Final = {str, int, float}
_NOTHING: Final = UnsavedTable()


class BlockBindings:
    """The bindings of rows in blocks, made as they are asked for, so that they are never all in memory."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[tuple[RowBlock, list[int], frozenset[int]]] = []

    def add(self, block: RowBlock, places: list[int], encoded: Iterable[int]) -> None:
        """Have the rows of a block written.

        Args:
            block: The rows.
            places: Where the cells to write stand in it.
            encoded: Those of the places at which there may be cells that SQLite has no type for.
        """
        self._blocks.append((block, places, frozenset(encoded)))

    def __len__(self) -> int:
        return sum(len(block.row_ids) for block, _, _ in self._blocks)

    def __iter__(self) -> Iterator[Bindings]:
        for block, places, encoded in self._blocks:
            columns = (
                map(encode_cell, block.columns[place]) if place in encoded else block.columns[place]
                for place in places
            )
            yield from zip(block.row_ids, *columns, strict=True)


Batch: TypeAlias = BlockBindings | list[Bindings]


class TablePlan:
    """What is to be written to one table.

    Attributes:
        table: The table.
        schema: Its schema as it is, None if the table is not there.
        rows: By the columns to write, the bindings.
        blocks: The bindings likewise, of very many rows.
        deleted: The keys of rows to delete.
        partial: The keys of rows of which only some cells are written, because the database has the others.
        new_columns: Columns to be added.
    """

    __slots__ = ("blocks", "deleted", "new_columns", "partial", "rows", "schema", "table")

    def __init__(self, table: MappedTable, schema: TableSchema | None) -> None:
        self.table = table
        self.schema = schema
        self.rows: dict[tuple[str, ...], list[Bindings]] = {}
        self.blocks: dict[tuple[str, ...], BlockBindings] = {}
        self.deleted: list[tuple[Id]] = []
        self.partial: list[Id] = []
        self.new_columns: list[str] = []

    @property
    def row_count(self) -> int:
        """How many rows are written."""
        return sum(len(rows) for _, rows in self.batches())

    def batches(self) -> Iterator[tuple[tuple[str, ...], Batch]]:
        """Return all that is to be written: columns, and the bindings for them."""
        yield from self.blocks.items()
        yield from self.rows.items()

    def restrict(self, is_kept: Callable[[Id], bool]) -> None:
        """Leave rows out."""
        kept: dict[tuple[str, ...], list[Bindings]] = {}
        for columns, rows in self.batches():
            kept.setdefault(columns, []).extend(bindings for bindings in rows if is_kept(bindings[0]))
        self.blocks = {}
        self.rows = kept
        self.deleted = [key for key in self.deleted if is_kept(key[0])]
        self.partial = [row_id for row_id in self.partial if is_kept(row_id)]

    def wanted_schema(self) -> TableSchema:
        """Return the table's schema as it must be before the rows are written."""
        columns = () if self.schema is None else self.schema.columns
        return TableSchema(self.table.name, (self.table.key,), (*columns, *self.new_columns))


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
        self.progress = Counter(0, None)

    @property
    def row_count(self) -> int:
        """How many rows are written."""
        return sum(plan.row_count for plan in self.tables)

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
        if target.table_id is not None:
            rows = unsaved.tables.get(target.table_id, _NOTHING)
        elif unsaved.values:
            rows = UnsavedTable()
            rows.add(VALUES_ROW, UnsavedRow(unsaved.values, RowState.WHOLE))
        else:
            rows = _NOTHING
        if rows:
            planner = _TablePlanner(target, schemas.get(target.name), facts.get(target.name), unstorable)
            plan = planner.plan(rows)
            if plan.row_count or (plan.deleted and plan.schema is not None):
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
        self._refusals: dict[Id, str] = {}
        self._folded: dict[str, str] = {}

    def plan(self, rows: UnsavedTable) -> TablePlan:
        plan = self._plan
        for block in rows.blocks():
            if not self._plan_block(block):
                self._plan_one_by_one(block)
        for row_id, row in rows.others.items():
            if self._is_fit(row_id):
                if row.state is RowState.GONE:
                    plan.deleted.append((row_id,))
                elif self._plan_row(row_id, row):
                    plan.partial.append(row_id)
        return plan

    def _plan_block(self, block: RowBlock) -> bool:
        """Plan rows together, unless there is something that SQLite does not take."""
        chosen = [
            (place, cell_id)
            for place, cell_id in enumerate(block.cell_ids)
            if self._cell_ids is None or cell_id in self._cell_ids
        ]
        if self._affinities or not _are_text(block.row_ids):
            return False
        encoded: list[int] = []
        for place, _ in chosen:
            kinds = set(map(type, block.columns[place]))
            if not _are_taken(block.columns[place], kinds):
                return False
            if not kinds <= _AS_THEY_ARE:
                encoded.append(place)
        if not all(cell_id in self._known or self._adds_column(cell_id) for _, cell_id in chosen):
            return False
        if chosen:
            columns = tuple(cell_id for _, cell_id in chosen)
            bindings = self._plan.blocks.setdefault(columns, BlockBindings())
            bindings.add(block, [place for place, _ in chosen], encoded)
        return True

    def _plan_one_by_one(self, block: RowBlock) -> None:
        for row_id, *cells in block:
            if self._is_fit(row_id):
                row = dict(zip(block.cell_ids, cells, strict=True))
                self._plan_row(row_id, UnsavedRow(row, RowState.WHOLE))

    def _is_fit(self, row_id: Id) -> bool:
        if row_id.isascii() or why_unstorable(row_id) is None:
            return True
        self._refuse(row_id, None, "its row id contains half of a surrogate pair; use another id")
        return False

    def _plan_row(self, row_id: Id, row: UnsavedRow) -> bool:
        columns, bindings = self._row(row_id, row)
        if columns:
            self._plan.rows.setdefault(columns, []).append(bindings)
        return bool(columns)

    def _row(self, row_id: Id, row: UnsavedRow) -> tuple[tuple[str, ...], Bindings]:
        known = self._known
        columns: list[str] = []
        bindings: list[Any] = [row_id]
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
        return tuple(columns), tuple(bindings)

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
        if self._adds_column(cell_id):
            return True
        self._refuse(row_id, cell_id, self._refusals[cell_id])
        return False

    def _adds_column(self, cell_id: Id) -> bool:
        """Tell whether there can be a column that is not known, and add it."""
        if cell_id in self._refusals:
            return False
        reason = self._why_no_column(cell_id)
        if reason is not None:
            self._refusals[cell_id] = reason
            return False
        self._known.add(cell_id)
        self._folded[folded(cell_id)] = cell_id
        self._plan.new_columns.append(cell_id)
        return True

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


def _are_taken(cells: Sequence[Any], kinds: set[type]) -> bool:
    """Tell whether SQLite can hold all cells of a column, given of what kinds they are, once encoded."""
    if MissingType in kinds:
        return False
    if int in kinds:
        numbers = cells if len(kinds) == 1 else [cell for cell in cells if type(cell) is int]
        if why_unstorable(min(numbers)) is not None or why_unstorable(max(numbers)) is not None:
            return False
    if str in kinds:
        return _are_text(cells if len(kinds) == 1 else [cell for cell in cells if type(cell) is str])
    return True


def _are_text(texts: Iterable[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
