"""From unsaved cells to the rows that SQL statements write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from replicell.persisters.counting import Counter
from replicell.persisters.crsqlite.affinity import Affinity, why_changed
from replicell.persisters.crsqlite.cells import SqlCell, encode_cell, why_unstorable
from replicell.persisters.crsqlite.identifiers import check_column_name, folded
from replicell.persisters.crsqlite.schema import MAX_COLUMNS, TableSchema
from replicell.persisters.crsqlite.tables import VALUES_ROW, ColumnFacts, MappedTable
from replicell.persisters.errors import IdentifierError, UnstorableCellError
from replicell.persisters.unsaved import PackedRow, RowState, UnsavedChanges, UnsavedRow, UnsavedTable
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

__all__ = ["PackedBindings", "SavePlan", "TablePlan", "plan_save"]

Bindings: TypeAlias = tuple[Any, ...]
"""What one execution of a statement writes: the key, then the cells."""

_ROWS_A_PART: Final = 500
_AS_THEY_ARE: Final = {str, int, float}
_NOTHING: Final = UnsavedTable()


class PackedBindings:
    """The bindings of packed rows, made as they are asked for, so that they are never all in memory.

    Args:
        packed: The packed rows of a table.
        row_ids: Those of them to write; they have the same cells.
        places: Where the cells to write stand in a packed row.
        encoded: Those of the places at which there may be cells that SQLite has no type for.
    """

    __slots__ = ("_encoded", "_packed", "_places", "_row_ids")

    def __init__(
        self,
        packed: Mapping[Id, PackedRow],
        row_ids: Sequence[Id],
        places: Sequence[int],
        encoded: Collection[int],
    ) -> None:
        self._packed = packed
        self._row_ids = row_ids
        self._places = tuple(places)
        self._encoded = frozenset(encoded)

    def __len__(self) -> int:
        return len(self._row_ids)

    def __iter__(self) -> Iterator[Bindings]:
        for row_ids in _parts(self._row_ids):
            found = [*zip(*map(self._packed.__getitem__, row_ids), strict=True)]
            columns = (
                map(encode_cell, found[place]) if place in self._encoded else found[place]
                for place in self._places
            )
            yield from zip(row_ids, *columns, strict=True)


Batch: TypeAlias = PackedBindings | list[Bindings]


class TablePlan:
    """What is to be written to one table.

    Attributes:
        table: The table.
        schema: Its schema as it is, None if the table is not there.
        rows: By the columns to write, the bindings.
        packed: Columns and bindings likewise, of very many rows.
        deleted: The keys of rows to delete.
        partial: The keys of rows of which only some cells are written, because the database has the others.
        new_columns: Columns to be added.
    """

    __slots__ = ("deleted", "new_columns", "packed", "partial", "rows", "schema", "table")

    def __init__(self, table: MappedTable, schema: TableSchema | None) -> None:
        self.table = table
        self.schema = schema
        self.rows: dict[tuple[str, ...], list[Bindings]] = {}
        self.packed: list[tuple[tuple[str, ...], PackedBindings]] = []
        self.deleted: list[tuple[Id]] = []
        self.partial: list[Id] = []
        self.new_columns: list[str] = []

    @property
    def row_count(self) -> int:
        """How many rows are written."""
        return sum(len(rows) for _, rows in self.batches())

    def batches(self) -> Iterator[tuple[tuple[str, ...], Batch]]:
        """Return all that is to be written: columns, and the bindings for them."""
        yield from self.packed
        yield from self.rows.items()

    def restrict(self, is_kept: Callable[[Id], bool]) -> None:
        """Leave rows out."""
        kept: dict[tuple[str, ...], list[Bindings]] = {}
        for columns, rows in self.batches():
            kept.setdefault(columns, []).extend(bindings for bindings in rows if is_kept(bindings[0]))
        self.packed = []
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
        for shape, row_ids in _by_shape(rows.packed).items():
            self._plan_alike(rows, shape, row_ids)
        for row_id, row in rows.others.items():
            if self._is_fit(row_id):
                if row.state is RowState.GONE:
                    plan.deleted.append((row_id,))
                elif self._plan_row(row_id, row):
                    plan.partial.append(row_id)
        return plan

    def _plan_alike(self, rows: UnsavedTable, shape: tuple[Id, ...], row_ids: list[Id]) -> None:
        """Plan rows with the same cells: together where SQLite takes all of them, one by one where not."""
        chosen = [
            (cell_id, place)
            for place, cell_id in enumerate(shape, 1)
            if self._cell_ids is None or cell_id in self._cell_ids
        ]
        columns, places = tuple(cell_id for cell_id, _ in chosen), tuple(place for _, place in chosen)
        plain: list[Id] = []
        others: list[Id] = []
        encoded: set[int] = set()
        for part in _parts(row_ids):
            found = [*zip(*map(rows.packed.__getitem__, part), strict=True)]
            if not self._affinities and _are_text(part) and all(_is_taken(found[place]) for place in places):
                plain += part
                encoded.update(
                    place for place in places if not _AS_THEY_ARE.issuperset(map(type, found[place]))
                )
            else:
                others += part
        if plain and columns:
            if all(cell_id in self._known or self._adds_column(cell_id) for cell_id in columns):
                self._plan.packed.append((columns, PackedBindings(rows.packed, plain, places, encoded)))
            else:
                others = row_ids
        for row_id in others:
            if self._is_fit(row_id):
                self._plan_row(row_id, rows[row_id])

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


def _by_shape(packed: Mapping[Id, PackedRow]) -> dict[tuple[Id, ...], list[Id]]:
    by_shape: dict[tuple[Id, ...], list[Id]] = {}
    for row_id, row in packed.items():
        row_ids = by_shape.get(row[0])
        if row_ids is None:
            by_shape[row[0]] = [row_id]
        else:
            row_ids.append(row_id)
    return by_shape


def _parts(row_ids: Sequence[Id]) -> Iterator[Sequence[Id]]:
    # Few at a time, so that other threads get their turns.
    for start in range(0, len(row_ids), _ROWS_A_PART):
        yield row_ids[start : start + _ROWS_A_PART]


def _is_taken(cells: Sequence[Any]) -> bool:
    """Tell whether SQLite can hold all cells of a column, once they are encoded."""
    kinds = set(map(type, cells))
    if MissingType in kinds:
        return False
    if int in kinds:
        numbers = [cell for cell in cells if type(cell) is int]
        if why_unstorable(min(numbers)) is not None or why_unstorable(max(numbers)) is not None:
            return False
    return str not in kinds or _are_text(cell for cell in cells if type(cell) is str)


def _are_text(texts: Iterable[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
