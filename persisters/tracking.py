"""Which changes of a store are the program's own, and what goes into the store without being one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from replicell.persisters.arrivals import CAME, REFUSED, Arrival, EditedCells, row_state
from replicell.persisters.content import LoadedContent, RowForm
from replicell.persisters.errors import PersisterError, UnreadableCellError, UnstorableCellError
from replicell.persisters.reconciling import Place, Reconciliation, reconcile, whole_row
from replicell.persisters.row_blocks import RowBlock
from replicell.persisters.schema_facts import SchemaFacts, SchemaReader
from replicell.persisters.unsaved import RowState, UnsavedCells, UnsavedChanges, UnsavedRow
from replicell.store.cells import EncodedCell
from replicell.store.changes import TransactionEdits
from replicell.store.errors import InvalidWriteError
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.store import Store

__all__ = ["EVERYTHING", "ChangeTracker", "Ids", "Scope"]

Ids: TypeAlias = frozenset[Id] | None
"""Some ids, or None for all there are."""

_NO_IDS: Mapping[Id, int] = {}


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a store a persister looks after.

    Args:
        loaded_tables: Tables that are loaded.
        saved_tables: Tables that are saved.
        shared_tables: Tables that are loaded from where they are saved, so that what was loaded need not be
            saved.
        loaded_values: Values that are loaded.
        saved_values: Values that are saved, to where they are loaded from.
    """

    loaded_tables: Ids
    saved_tables: Ids
    shared_tables: Ids
    loaded_values: Ids
    saved_values: Ids


EVERYTHING: Final = Scope(
    loaded_tables=None, saved_tables=None, shared_tables=None, loaded_values=None, saved_values=None
)


class ChangeTracker:
    """Knows what of a store is not saved yet, and applies what is loaded without taking it for an edit.

    What a load changes in the store is recognised by content, not by time: if a mutator listener changes what
    is being loaded, that is an edit and will be saved. Defaults that a schema adds to loaded rows are not, or
    each replica would overwrite the others' cells that are still under way.

    Args:
        store: The store.
        scope: What to look after.
    """

    def __init__(self, store: Store, scope: Scope) -> None:
        self._store = store
        self._scope = scope
        self._schema_reader = SchemaReader(store)
        self._unsaved = UnsavedChanges()
        self._unstorable: set[Place] = set()
        # What comes into the store from now on is tracked, so only this may have never been saved.
        self._unknown_tables = set(store.get_table_ids())
        self._are_values_known = not store.get_value_ids()
        self._arriving: Arrival | None = None
        self._is_inserting = False
        self._listener_id: str | None = None
        self._start_listener_id: str | None = None
        self._on_unsaved: Callable[[], None] = _nothing
        self.edits = 0
        """Counts the transactions that left something to save."""
        self.was_applied = True
        """Whether the last content that was applied is certain to stay in the store."""

    def start(self, on_unsaved: Callable[[], None]) -> None:
        """Listen to the store, and call a function after each transaction that leaves something to save."""
        self._on_unsaved = on_unsaved
        self._listener_id = self._store.add_did_finish_transaction_listener(self._on_did_finish)

    def extend(self, scope: Scope) -> None:
        """Look after more tables from now on; what the store already holds of them was never saved."""
        self._unknown_tables.update(
            table_id
            for table_id in self._store.get_table_ids()
            if _has(scope.saved_tables, table_id) and not _has(self._scope.saved_tables, table_id)
        )
        self._scope = scope

    def stop(self) -> None:
        """Stop listening."""
        for listener_id in (self._listener_id, self._start_listener_id):
            if listener_id is not None:
                self._store.del_listener(listener_id)
        self._listener_id = self._start_listener_id = None

    @property
    def has_unsaved(self) -> bool:
        """Whether there is something to save that has not been taken yet."""
        return bool(self._unsaved)

    def schema(self) -> SchemaFacts:
        """Return what there is to know of the store's schemas."""
        return self._schema_reader.read()

    def is_store_empty(self) -> bool:
        """Tell whether the store holds nothing of what is loaded."""
        return not any(
            _has(self._scope.loaded_tables, table_id) for table_id in self._store.get_table_ids()
        ) and not any(_has(self._scope.loaded_values, value_id) for value_id in self._store.get_value_ids())

    def take(self) -> UnsavedChanges:
        """Hand out what is unsaved, and begin anew."""
        taken, self._unsaved = self._unsaved, UnsavedChanges()
        return taken

    def put_back(self, unsaved: UnsavedChanges) -> None:
        """Take back what was handed out, because it could not be saved."""
        self._unsaved = unsaved.followed_by(self._unsaved)

    def note_never_saved(self, rows_at_once: int) -> Iterator[None]:
        """Note all that neither was saved nor came from where it would be saved, some rows at a time.

        Whoever uses it may wait between the steps: what changes meanwhile is noted anyway.

        Args:
            rows_at_once: How many rows are noted in one step.
        """
        if not self._are_values_known:
            self._are_values_known = True
            self._unsaved.add_values(self._saved_only(self._store.get_encoded_values()))
            self.edits += bool(self._unsaved.values)
        for table_id in self._store.get_table_ids():
            if _has(self._scope.saved_tables, table_id) and table_id in self._unknown_tables:
                row_ids = self._store.get_row_ids(table_id)
                yield from self._note_whole_rows(table_id, row_ids, rows_at_once)
                self._unknown_tables.discard(table_id)

    def rows_to_find(self, content: LoadedContent) -> dict[Id, dict[Id, None]]:
        """Return the rows of the store, by table, that a medium never had if complete tables lack them."""
        return {
            table_id: dict.fromkeys(self._store.get_row_ids(table_id))
            for table_id, table in content.tables.items()
            if table.is_complete
            and _has(self._scope.saved_tables, table_id)
            and self._store.has_table(table_id)
        }

    def note_whole(self, rows: Mapping[Id, Iterable[Id]], rows_at_once: int) -> Iterator[None]:
        """Note rows, as :meth:`note_never_saved` does; those that are gone are left out."""
        for table_id, row_ids in rows.items():
            yield from self._note_whole_rows(table_id, list(row_ids), rows_at_once)

    def _note_whole_rows(self, table_id: Id, row_ids: Sequence[Id], rows_at_once: int) -> Iterator[None]:
        whole = object()
        for start in range(0, len(row_ids), rows_at_once):
            if start:
                yield
            part = row_ids[start : start + rows_at_once]
            columns = self._store.get_encoded_columns(table_id, part)
            if columns is not None:
                self._unsaved.add_block(table_id, RowBlock(part, *columns), whole)
                self.edits += 1
            elif rows := self._store.get_encoded_rows(table_id, part):  # others went meanwhile
                self._unsaved.add_whole_rows(table_id, rows)
                self.edits += 1

    def saved_only(self, rows: Iterable[tuple[Id, Id]]) -> dict[Id, list[Id]]:
        """Return those of some rows, by table, of which nothing is unsaved."""
        saved: dict[Id, list[Id]] = {}
        for table_id, row_id in rows:
            if self._unsaved.row(table_id, row_id) is None:
                saved.setdefault(table_id, []).append(row_id)
        return saved

    def complete_rows(self, rows: Iterable[tuple[Id, Id]]) -> None:
        """Note all cells of rows that were deleted in the medium while they had unsaved ones."""
        for table_id, row_id in rows:
            if self._store.has_row(table_id, row_id):
                self._unsaved.add_row(table_id, row_id, whole_row(self._store, table_id, row_id))
                self.edits += 1
            else:
                self._unsaved.add_row(table_id, row_id, UnsavedRow({}, RowState.GONE))

    def set_unstorable(self, problems: Iterable[UnstorableCellError]) -> None:
        """Remember cells that the medium cannot hold, so that loads leave them alone."""
        for problem in problems:
            if problem.cell_id is not None:
                self._unstorable.add((problem.table_id, problem.row_id, problem.cell_id))

    def apply(self, content: LoadedContent, just_saved: tuple[UnsavedChanges, ...]) -> list[PersisterError]:
        """Bring loaded content into the store in one transaction, except over what is not saved yet.

        Args:
            content: What was loaded.
            just_saved: What was written after the content was read.

        Returns:
            What could not be loaded.

        Raises:
            Exception: whatever a listener of the store raised.
        """
        unsaved = (*just_saved, self._unsaved)
        self.was_applied = True
        if self._insert(content, unsaved):
            self._note_known(content)
            return list(content.unreadable)
        schema = self.schema()
        outcome = reconcile(self._store, content, unsaved, self._unstorable, schema)
        self._adopt(outcome.unsaved)
        self._note_known(content)
        problems: list[PersisterError] = list(content.unreadable)
        if outcome.tables or outcome.values:
            arrival = self._arriving = Arrival(outcome, schema)
            self.was_applied = False
            try:
                try:
                    self._store.apply_encoded_changes([outcome.tables, outcome.values, 1])
                except InvalidWriteError:
                    # A strict store has refused a cell, and with it everything.
                    self._apply_one_by_one(outcome, arrival.refused)
            except BaseException:
                self._arriving = None
                raise
            if not self.was_applied:
                self._leave_open(arrival)
            problems += arrival.refused
        return problems

    def _leave_open(self, arrival: Arrival) -> None:
        """Be ready for the transaction that somebody keeps open to fail: then nobody is told of its end."""
        arrival.is_left_open = True
        if self._start_listener_id is None:
            self._start_listener_id = self._store.add_start_transaction_listener(self._on_start)

    def _on_start(self, store: Store) -> None:
        if self._arriving is not None and self._arriving.is_left_open:
            self._arriving = None
        if self._start_listener_id is not None:
            store.del_listener(self._start_listener_id)
            self._start_listener_id = None

    def _insert(self, content: LoadedContent, unsaved: tuple[UnsavedChanges, ...]) -> bool:
        """Hand loaded rows over to the store where they meet nothing; False if nothing happened."""
        if content.values is not None or len(content.tables) != 1 or self._unstorable:
            return False
        ((table_id, table),) = content.tables.items()
        if (
            table.form is RowForm.UNCHECKED
            or (table.is_complete and not table.is_slice)
            or any(changes.touches(table_id, table.rows) for changes in unsaved)
            or (_has(self._scope.saved_tables, table_id) and not _has(self._scope.shared_tables, table_id))
        ):
            return False
        rows = cast("dict[Id, dict[Id, EncodedCell]]", table.rows)
        self._is_inserting = True
        try:
            return self._store.insert_encoded_rows(table_id, rows, has_rich=table.form is RowForm.RICH)
        finally:
            self._is_inserting = False

    def _apply_one_by_one(self, outcome: Reconciliation, refused: list[UnreadableCellError]) -> None:
        store = self._store
        with store.transaction():
            for table_id, rows in outcome.tables.items():
                for row_id, row in rows.items():
                    if row is MISSING:
                        store.del_row(table_id, row_id)
                        continue
                    for cell_id, cell in row.items():
                        try:
                            store.apply_encoded_changes([{table_id: {row_id: {cell_id: cell}}}, {}, 1])
                        except InvalidWriteError:
                            refused.append(UnreadableCellError(table_id, row_id, cell_id, REFUSED))
            for value_id, value in outcome.values.items():
                try:
                    store.apply_encoded_changes([{}, {value_id: value}, 1])
                except InvalidWriteError:
                    refused.append(UnreadableCellError(None, None, value_id, REFUSED))

    def _adopt(self, unsaved: UnsavedChanges) -> None:
        for table_id, rows in unsaved.tables.items():
            if _has(self._scope.saved_tables, table_id):
                for row_id, row in rows.items():
                    self._unsaved.add_row(table_id, row_id, row)
        self._unsaved.add_values(
            {
                value_id: value
                for value_id, value in self._saved_only(unsaved.values).items()
                if _has(self._scope.loaded_values, value_id)
            }
        )
        if self.has_unsaved:
            self.edits += 1

    def _note_known(self, content: LoadedContent) -> None:
        for table_id, table in content.tables.items():
            if table.is_complete and _has(self._scope.shared_tables, table_id):
                self._unknown_tables.discard(table_id)
        if content.values is not None and content.values.is_complete:
            self._are_values_known |= self._scope.loaded_values == self._scope.saved_values

    def _saved_only(self, values: Mapping[Id, Any]) -> UnsavedCells:
        return {
            value_id: value for value_id, value in values.items() if _has(self._scope.saved_values, value_id)
        }

    def _on_did_finish(self, store: Store) -> None:
        if self._is_inserting:
            # Nobody else could write in this transaction; but in the next, before the call returns.
            self._is_inserting = False
            return
        edits = store.get_transaction_edits()
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            self.was_applied = True
            arriving.note_refused(edits)
        is_edited = False
        for table_id, rows in edits.cells.items():
            if _has(self._scope.saved_tables, table_id):
                row_ids = edits.row_ids.get(table_id, _NO_IDS)
                if arriving is not None and _has(self._scope.shared_tables, table_id):
                    edited = arriving.edited_rows(table_id, rows, row_ids)
                    is_edited = self._note_rows(table_id, edited) or is_edited
                else:
                    self._note_edits(table_id, rows, row_ids)
                    is_edited = True
        for value_id, value in edits.values.items():
            if _has(self._scope.saved_values, value_id) and not (
                arriving is not None and arriving.brought_value(value_id, value)
            ):
                self._unsaved.values[value_id] = value
                self._unstorable.discard((None, None, value_id))
                is_edited = True
        if arriving is not None:
            is_edited = self._note_undone(arriving, edits) or is_edited
        if is_edited:
            self.edits += 1
            self._on_unsaved()

    def _note_undone(self, arriving: Arrival, edits: TransactionEdits) -> bool:
        """Note what was loaded and is as it was before, because a mutator listener wants it so."""
        is_edited = False
        for table_id in arriving.tables:
            if _has(self._scope.saved_tables, table_id) and _has(self._scope.shared_tables, table_id):
                undone = arriving.undone_rows(self._store, table_id, edits)
                is_edited = self._note_rows(table_id, undone) or is_edited
        for value_id, value in arriving.undone_values(self._store, edits).items():
            if _has(self._scope.saved_values, value_id):
                self._unsaved.values[value_id] = value
                is_edited = True
        return is_edited

    def _note_edits(self, table_id: Id, rows: EditedCells, row_ids: Mapping[Id, int]) -> None:
        self._forget_unstorable(table_id, rows)
        came = {row_id: cells for row_id, cells in rows.items() if row_ids.get(row_id) == CAME}
        self._unsaved.add_whole_rows(table_id, came)
        if len(came) < len(rows):
            for row_id, cells in rows.items():
                if row_id not in came:
                    self._unsaved.add_row(table_id, row_id, UnsavedRow(cells, row_state(row_ids, row_id)))

    def _note_rows(self, table_id: Id, rows: dict[Id, UnsavedRow]) -> bool:
        self._forget_unstorable(table_id, {row_id: row.cells for row_id, row in rows.items()})
        for row_id, row in rows.items():
            self._unsaved.add_row(table_id, row_id, row)
        return bool(rows)

    def _forget_unstorable(self, table_id: Id, rows: EditedCells) -> None:
        if self._unstorable:
            self._unstorable.difference_update(
                (table_id, row_id, cell_id) for row_id, cells in rows.items() for cell_id in cells
            )


def _has(ids: Ids, one: Id) -> bool:
    return ids is None or one in ids


def _nothing() -> None:
    return
