"""Tables of a store as tables of an SQLite database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from replicell.persisters.config import TabularConfig
from replicell.persisters.content import LoadedContent, LoadedTable, SaveResult
from replicell.persisters.crsqlite.planning import SavePlan, plan_save
from replicell.persisters.crsqlite.tables import MappedTable, TableMap
from replicell.persisters.errors import UnreadableCellError
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.image import STAMP_SQL, Image, Stamp, Step
from replicell.persisters.sqlite.modes import HeldRows, WriteLog
from replicell.persisters.sqlite.names import check_plain_column_name, check_plain_table_name
from replicell.persisters.sqlite.scripts import Script, Statement
from replicell.persisters.sqlite.tables import PlainTables
from replicell.persisters.sqlite.tabular_reading import TableReading, existing_keys
from replicell.persisters.sqlite.tabular_writing import create_missing, refuse_unfit_keys, write_table
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.ids import Id

__all__ = ["TabularMode", "TabularSave"]


class TabularSave(NamedTuple):
    """What a save script in tabular mode returns.

    Args:
        result: What to tell the persister.
        step: What was written, where the store does not get what others have changed.
        has_effects: Whether the rows may not stand there as they were written, or others have changed too.
    """

    result: SaveResult
    step: Step | None
    has_effects: bool


class TabularMode:
    """Tables of a store as tables of an SQLite database.

    It keeps an image of the loaded tables. Writes through the own connection are known row by row; after a
    commit of another connection the tables are read whole and compared with the image.

    Args:
        config: What is kept where.

    Raises:
        ConfigError: a name cannot be used, or a condition is no SQL.
    """

    def __init__(self, config: TabularConfig) -> None:
        table_map = TableMap(config, check_plain_table_name, check_plain_column_name)
        self.scope = table_map.scope()
        self._keys = table_map.keys
        self._loads: Sequence[MappedTable] = tuple(table_map.loads)
        self._saves: Sequence[MappedTable] = tuple(table_map.saves)
        self._image = Image()
        self._tables: PlainTables | None = None
        self._tables_version: int | None = None
        self._is_settled = True

    def load(self, facts: SchemaFacts, log: WriteLog, held: HeldRows) -> Script[LoadedContent]:
        """Read the rows that have changed; all rows the first time."""
        self._begin()
        stamp = yield from _read_stamp()
        tables = yield from self._read_tables(stamp)
        return (yield from self._collect(stamp, tables, facts, log, held))

    def save(
        self, unsaved: UnsavedChanges, facts: SchemaFacts, is_loading: bool, log: WriteLog
    ) -> Script[TabularSave]:
        """Write unsaved cells, and read what others have changed before if the store is to have it."""
        stamp = yield from _read_stamp()
        tables = yield from self._read_tables(stamp)
        plan = plan_save(unsaved, self._saves, tables.schemas, tables.facts)
        refuse_unfit_keys(plan, tables)
        loaded = None
        if is_loading and self._image.tables is not None:
            self._begin()
            loaded = yield from self._collect(stamp, tables, facts, log, {})
        incomplete = yield from _not_there(plan, tables)
        if incomplete:
            return TabularSave(SaveResult(loaded, plan.unstorable, incomplete), None, False)
        has_effects = self._has_effects(plan, tables)
        yield from self._write(plan, tables, has_effects, log)
        after = None if has_effects and log.is_blind else (yield from _read_stamp())
        if loaded is not None:
            loaded.version.plans = plan.tables
            loaded.version.stamp = after
            return TabularSave(SaveResult(loaded, plan.unstorable), None, has_effects)
        is_current = stamp == self._image.stamp
        step = Step(after if is_current else None, plans=plan.tables)
        return TabularSave(SaveResult(None, plan.unstorable), step, has_effects)

    def on_saved(self, save: TabularSave, unsaved: UnsavedChanges) -> None:
        """Learn that a save is committed."""
        if save.step is not None:
            self._image.note_saved(save.step.plans)
            self._image.stamp = save.step.stamp

    def on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store."""
        self._image.advance(content.version)
        self._is_settled = True

    def _begin(self) -> None:
        if not self._is_settled:
            # What was read last has not reached the store, so the log has lost some keys.
            self._image.stamp = None
        self._is_settled = False

    def _read_tables(self, stamp: Stamp) -> Script[PlainTables]:
        if self._tables is None or self._tables_version != stamp.schema_version:
            self._tables = yield from PlainTables.read(self._keys, [save.name for save in self._saves])
            self._tables_version = stamp.schema_version
        return self._tables

    def _collect(
        self, stamp: Stamp, tables: PlainTables, facts: SchemaFacts, log: WriteLog, held: HeldRows
    ) -> Script[LoadedContent]:
        keys = log.take()
        before = self._image.stamp
        self._follow(tables, log)
        if before == stamp and not keys:
            return LoadedContent(version=Step(stamp))
        if before is None or before[:2] != stamp[:2]:
            keys = None
        return (yield from self._changes(stamp, tables, facts, keys, held))

    def _follow(self, tables: PlainTables, log: WriteLog) -> None:
        there = tables.tables
        names = [load.name for load in self._loads]
        log.follow({name: there[name].key_position if name in there else None for name in names})

    def _changes(
        self,
        stamp: Stamp,
        tables: PlainTables,
        facts: SchemaFacts,
        keys: Mapping[str, Collection[Any]] | None,
        held: HeldRows,
    ) -> Script[LoadedContent]:
        images = self._image.tables
        step = Step(stamp)
        content: dict[Id, LoadedTable] = {}
        values: LoadedTable | None = None
        unreadable: list[UnreadableCellError] = []
        for mapped in self._loads:
            table = tables.tables.get(mapped.name)
            image = None if images is None else images.get(mapped.name)
            if table is None:
                step.gone.append(mapped.name)
                loaded = LoadedTable({}, frozenset(), is_complete=True) if images is None else None
            else:
                reading = TableReading(mapped, table, facts, unreadable)
                # A condition is asked of written rows only, as with cr-sqlite.
                if keys is None or image is None or table.key_position is None:
                    rows = () if mapped.table_id is None else held.get(mapped.table_id, ())
                    changes = yield from reading.all_rows(image, images is None, rows)
                else:
                    changes = yield from reading.rows_with(keys.get(mapped.name, ()), image)
                step.tables[mapped.name] = changes
                loaded = reading.loaded(changes, image)
            if loaded is None:
                continue
            if mapped.table_id is None:
                values = loaded
            else:
                content[mapped.table_id] = loaded
        return LoadedContent(content, values, unreadable, step)

    def _has_effects(self, plan: SavePlan, tables: PlainTables) -> bool:
        """Tell whether triggers may change rows, or written rows may be none of those to load."""
        slices = {load.name for load in self._loads if load.condition is not None}
        return tables.have_triggers or any(table.table.name in slices for table in plan.tables)

    def _write(self, plan: SavePlan, tables: PlainTables, has_effects: bool, log: WriteLog) -> Script[None]:
        if any(table.schema is None or table.new_columns for table in plan.tables):
            yield from self._create(plan, log)
        if not has_effects:
            log.pause()
        try:
            for table in plan.tables:
                yield from write_table(table, tables.tables.get(table.table.name), plan.unstorable)
        finally:
            log.resume()

    def _create(self, plan: SavePlan, log: WriteLog) -> Script[None]:
        yield from create_missing(plan)
        # What is read now may yet be rolled back, so it is read anew next time.
        self._tables_version = None
        self._follow((yield from PlainTables.read(self._keys, ())), log)


def _read_stamp() -> Script[Stamp]:
    rows = yield Statement(STAMP_SQL)
    return Stamp(*rows[0])


def _not_there(plan: SavePlan, tables: PlainTables) -> Script[list[tuple[Id, Id]]]:
    """Return the rows of which only some cells are to be written, although somebody has deleted them."""
    missing: list[tuple[Id, Id]] = []
    for table in plan.tables:
        table_id, there = table.table.table_id, tables.tables.get(table.table.name)
        if table_id is None or not table.partial:
            continue
        existing: set[Id] = set()
        if there is not None:
            existing = yield from existing_keys(table.table, there, table.partial)
        missing += [(table_id, row_id) for row_id in table.partial if row_id not in existing]
    return missing
