"""Writing planned rows to tables, which are made and widened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.planning import SavePlan, TablePlan
from replicell.persisters.errors import UnstorableCellError
from replicell.persisters.sqlite.scripts import Script, Statement, is_refusal
from replicell.persisters.sqlite.statements import delete_many_sql, delete_sql, upsert_sql
from replicell.persisters.sqlite.tables import PlainTable, PlainTables

__all__ = ["create_missing", "refuse_unfit_keys", "write_table"]

_SAVEPOINT = Statement("SAVEPOINT replicell_save")
_ROLLBACK = Statement("ROLLBACK TO replicell_save")
_RELEASE = Statement("RELEASE replicell_save")


def refuse_unfit_keys(plan: SavePlan, tables: PlainTables) -> None:
    """Take rows out of a plan whose ids an integer key column would change."""
    for table in plan.tables:
        there = tables.tables.get(table.table.name)
        if there is None or not there.has_integer_key:
            continue
        for _, rows in table.batches():
            for bindings in rows:
                if not _is_integer_text(bindings[0]):
                    reason = f"the key column {table.table.key!r} of the database takes integers only"
                    plan.unstorable.append(
                        UnstorableCellError(table.table.table_id, bindings[0], None, reason)
                    )
        table.restrict(_is_integer_text)


def create_missing(plan: SavePlan) -> Script[None]:
    """Create the tables and columns that a plan needs; the columns have no type."""
    for table in plan.tables:
        name, key = table.table.name, table.table.key
        if table.schema is None:
            columns = "".join(f", {quote(column)}" for column in table.new_columns)
            yield Statement(f"CREATE TABLE {quote(name)} ({quote(key)} TEXT PRIMARY KEY NOT NULL{columns})")
        else:
            for column in table.new_columns:
                yield Statement(f"ALTER TABLE {quote(name)} ADD COLUMN {quote(column)}")


def write_table(
    plan: TablePlan, there: PlainTable | None, unstorable: list[UnstorableCellError]
) -> Script[None]:
    """Write the rows of one table; those that its own rules refuse are reported and left out.

    Args:
        plan: What to write.
        there: The table as it was before, None if it is new.
        unstorable: Where to put what is refused.
    """
    source = quote(plan.table.name) if there is None else there.rows_of(plan.table)
    deletion = delete_sql(plan.table.name, plan.table.key, source)
    yield _SAVEPOINT
    try:
        yield from _write_at_once(plan, deletion, is_conditioned=source != quote(plan.table.name))
    except Exception as error:
        # Other errors undo everything anyway, and a full disk has done so already.
        if not is_refusal(error):
            raise
        yield _ROLLBACK
        yield from _write_one_by_one(plan, deletion, unstorable)
    yield _RELEASE


def _write_at_once(plan: TablePlan, deletion: str, is_conditioned: bool) -> Script[None]:
    name, key = plan.table.name, plan.table.key
    if plan.deleted:
        wide = None if is_conditioned else partial(delete_many_sql, name, key)
        yield Statement(deletion, many=plan.deleted, wide=wide)
    for columns, rows in plan.batches():
        if rows:
            upsert = partial(upsert_sql, name, key, columns)
            yield Statement(upsert(), many=rows, wide=upsert)


def _write_one_by_one(plan: TablePlan, deletion: str, unstorable: list[UnstorableCellError]) -> Script[None]:
    name, key, table_id = plan.table.name, plan.table.key, plan.table.table_id
    writes: list[tuple[str, Sequence[Any]]] = [(deletion, row) for row in plan.deleted]
    refused = set()
    writes += [(upsert_sql(name, key, columns), row) for columns, rows in plan.batches() for row in rows]
    for sql, bindings in writes:
        try:
            yield Statement(sql, bindings)
        except Exception as error:
            if not is_refusal(error):
                raise
            row_id = bindings[0]
            refused.add(row_id)
            reason = f"table {name!r} of the database refuses the row ({error})"
            unstorable.append(
                UnstorableCellError(table_id, None if table_id is None else row_id, None, reason)
            )
    plan.restrict(lambda row_id: row_id not in refused)


def _is_integer_text(text: str) -> bool:
    try:
        return str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False
