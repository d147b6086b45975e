"""Reading rows of mapped tables, and what of them is different from before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from replicell.persisters.content import LoadedTable, RowForm, RowParts
from replicell.persisters.crsqlite.decoding import RowDecoder
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.tables import VALUES_ROW, MappedTable
from replicell.persisters.errors import UnreadableCellError
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.image import SqlRow, TableImage, TableStep
from replicell.persisters.sqlite.scripts import Rows, Script, Statement
from replicell.persisters.sqlite.statements import as_blobs, text_of_blob
from replicell.persisters.sqlite.tables import PlainTable, key_text
from replicell.store.ids import Id

__all__ = ["TableReading", "existing_keys"]

_KEYS_AT_ONCE: Final = 500
_ROWS_A_PART: Final = 500


class TableReading:
    """The reading of one table.

    Args:
        mapped: Where it goes.
        table: What it looks like.
        facts: The store's schema.
        unreadable: Where to put what no cell can be.
    """

    def __init__(
        self,
        mapped: MappedTable,
        table: PlainTable,
        facts: SchemaFacts,
        unreadable: list[UnreadableCellError],
    ) -> None:
        self._mapped = mapped
        self._table = table
        cell_ids = mapped.cell_ids
        columns = table.schema.columns
        self._columns = columns if cell_ids is None else tuple(name for name in columns if name in cell_ids)
        booleans = (
            facts.boolean_values
            if mapped.table_id is None
            else facts.booleans.get(mapped.table_id, frozenset())
        )
        self._decoder = RowDecoder(self._columns, booleans, self._report)
        self._unreadable = unreadable

    def all_rows(self, before: TableImage | None, is_first: bool, held: Sequence[Id]) -> Script[TableStep]:
        """Read the whole table and keep what is different from its image.

        Args:
            before: Its image.
            is_first: Whether nothing was ever read from the database.
            held: The rows that the store has, if this is the first time.
        """
        now = self._by_id((yield from self._select("", ())))
        if before is None:
            left_out: list[Id] = []
            if is_first and self._mapped.condition is not None:
                there = yield from existing_keys(self._mapped, self._table, held)
                left_out = [row_id for row_id in there if row_id not in now]
            return TableStep(self._columns, now, is_complete=is_first, left_out=left_out)
        changed: dict[Id, SqlRow | None] = {}
        if before.widen(self._columns):
            old = before.rows
            changed.update((row_id, row) for row_id, row in now.items() if old.get(row_id) != row)
        else:
            changed.update(now)
        changed.update((row_id, None) for row_id in before.rows if row_id not in now)
        return TableStep(self._columns, changed, is_complete=False)

    def rows_with(self, keys: Collection[Any], before: TableImage | None) -> Script[TableStep]:
        """Read the rows with some keys and keep what is different from the table's image."""
        now: dict[Id, SqlRow] = {}
        wanted = list(keys)
        key = quote(self._mapped.key)
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            some = wanted[start : start + _KEYS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            now.update(self._by_id((yield from self._select(f" WHERE {key} IN ({marks})", some))))
        old = {} if before is None else before.rows
        changed: dict[Id, SqlRow | None] = {
            row_id: row for row_id, row in now.items() if old.get(row_id) != row
        }
        for raw in wanted:
            row_id = key_text(raw, self._table.has_integer_key)
            if row_id is not None and row_id not in now and row_id in old:
                changed[row_id] = None
        return TableStep(self._columns, changed, is_complete=False)

    def loaded(self, step: TableStep, before: TableImage | None) -> LoadedTable | None:
        """Return what goes into the store; None if there is nothing."""
        if not step.rows and not step.is_complete:
            return None
        rows = RowParts()
        there, gone = step.rows, [*step.left_out]
        if None in there.values():
            gone += [row_id for row_id, row in there.items() if row is None]
            there = {row_id: row for row_id, row in there.items() if row is not None}
        row_ids, values = iter(there), iter(there.values())
        while part := [*islice(row_ids, _ROWS_A_PART)]:
            columns = [*zip(*islice(values, _ROWS_A_PART), strict=True)]
            rows.add(*self._decoder.rows(part, columns))
        if gone:
            rows.add(dict.fromkeys(gone), RowForm.UNCHECKED)
        # Cells of a column that is gone were saved once, so they are gone as well.
        cell_ids = frozenset((*step.columns, *(() if before is None else before.columns)))
        if step.is_complete:
            return LoadedTable(rows, cell_ids, is_complete=True)
        return LoadedTable(rows.merged(), cell_ids, is_complete=False, form=rows.form)

    def _select(self, where: str, bindings: Sequence[Any]) -> Script[Rows]:
        names = [self._mapped.key, *self._columns]
        source = f"FROM {self._table.rows_of(self._mapped)}{where}"
        try:
            return (yield Statement(f"SELECT {', '.join(map(quote, names))} {source}", bindings))
        except Exception as error:
            # Some text may not be UTF-8. To find out which, text is read as blobs.
            try:
                blobs = yield Statement(f"SELECT {as_blobs(map(quote, names))} {source}", bindings)
            except Exception:
                raise error from None
            return [tuple(map(text_of_blob, row[::2], row[1::2])) for row in blobs]

    def _by_id(self, rows: Iterable[SqlRow]) -> dict[Id, SqlRow]:
        by_id: dict[Id, SqlRow] = {}
        for row in rows:
            row_id = row[0]
            if row_id.__class__ is not str:
                key = key_text(row_id, self._table.has_integer_key)
                if key is None:
                    self._report(None, None, f"the key {row_id!r} of a row cannot be a row id")
                    continue
                row_id = key
            by_id[row_id] = row[1:]
        if self._mapped.table_id is None:
            return {VALUES_ROW: by_id[VALUES_ROW]} if VALUES_ROW in by_id else {}
        return by_id

    def _report(self, row_id: Id | None, cell_id: Id | None, reason: str) -> None:
        table_id = self._mapped.table_id
        place = f" (table {self._mapped.name!r} of the database)"
        self._unreadable.append(
            UnreadableCellError(table_id, None if table_id is None else row_id, cell_id, reason + place)
        )


def existing_keys(mapped: MappedTable, table: PlainTable, row_ids: Sequence[Id]) -> Script[set[Id]]:
    """Return those row ids under which the table has a row, whatever the condition."""
    existing: set[Id] = set()
    key = quote(mapped.key)
    for start in range(0, len(row_ids), _KEYS_AT_ONCE):
        some = row_ids[start : start + _KEYS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        rows = yield Statement(f"SELECT {key} FROM {quote(mapped.name)} WHERE {key} IN ({marks})", some)
        keys = (key_text(row[0], table.has_integer_key) for row in rows)
        existing.update(row_id for row_id in keys if row_id is not None)
    return existing
