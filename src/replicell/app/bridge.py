"""Keeping two stores the same that belong to two threads.

A program without asyncio owns a store; the persister's thread owns a twin of it. What the owner writes goes
to the twin at once, transaction by transaction. What comes into the twin from elsewhere waits in `Arrivals`
until the owner takes it in, so that nothing changes behind the owner's back.

Both may change the same row meanwhile. The twin's order decides: it holds, at any time, the writes of both
sides in the order in which they reached it. The owner gets there without a detour by two rules:

- What it has written and the twin has not confirmed is not overwritten by what arrives. Each message to the
  twin has a number; what arrives says up to which number the twin had got.
- What waits in `Arrivals` is kept as the twin has it. When the twin takes in a message that touches a waiting
  row, the row is read anew, so that it is never older than the number says.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable
from replicell.persisters.tracking import ChangeTracker, Scope
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store.cells import EncodedCell
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.store import Store

__all__ = ["Again", "Arrivals", "Edits", "Message", "OwnerSide", "SchemaChange", "TwinSide", "make_twin"]

_log = logging.getLogger("replicell.app")

_MESSAGES_AT_ONCE = 200
_ONE_ROW = ""
"""The key under which values are loaded, as if they were the cells of a row."""

Places: TypeAlias = Mapping[Id, tuple[Id, ...]]
"""Row ids by table."""

CellIds: TypeAlias = Mapping[Id, frozenset[Id]]
"""Ids of cells that have changed in any row, by table."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What a transaction of the owner has written.

    Args:
        number: Counts the messages.
        changes: The cells and values.
        whole_rows: All cells of the rows of which only some were written, by table: should the row be gone in
            the twin by now, it comes back whole.
    """

    number: int
    changes: UnsavedChanges
    whole_rows: Mapping[Id, Mapping[Id, Mapping[Id, EncodedCell]]]


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """The owner's store has other schemas now, as JSON texts."""

    tables: str
    values: str


@dataclass(frozen=True, slots=True)
class Again:
    """The owner could not take in what had arrived, and asks for it once more."""

    rows: Places
    cell_ids: CellIds
    values: tuple[Id, ...]


Message: TypeAlias = Edits | SchemaChange | Again


@dataclass(slots=True)
class _Waiting:
    tables: dict[Id, dict[Id, LoadedRow]] = field(default_factory=dict)
    cell_ids: dict[Id, set[Id]] = field(default_factory=dict)
    values: dict[Id, EncodedCell | MissingType] = field(default_factory=dict)


class Arrivals:
    """What the owner has not taken in yet, as the twin has it now; the one thing both threads touch.

    However long the owner takes, this does not grow beyond the size of the twin.

    Args:
        notify: Called on the twin's thread when something has arrived and the owner does not know yet.
    """

    def __init__(self, notify: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._waiting = _Waiting()
        self._is_told = False
        self._notify = notify
        self._confirmed = 0

    @property
    def confirmed(self) -> int:
        """The number of the owner's last message that the twin has taken in."""
        return self._confirmed

    def add(self, twin: Store, rows: Places, cell_ids: CellIds, values: tuple[Id, ...]) -> None:
        """Let rows and values wait as the twin has them."""
        with self._lock:
            waiting = self._waiting
            for table_id, row_ids in rows.items():
                table = waiting.tables.setdefault(table_id, {})
                for row_id in row_ids:
                    table[row_id] = _row_of(twin, table_id, row_id)
                waiting.cell_ids.setdefault(table_id, set()).update(cell_ids[table_id])
            self._read_values(twin, values)
            is_news, self._is_told = not self._is_told, True
        if is_news:
            self._notify()

    def confirm(self, twin: Store, number: int, rows: Places, values: tuple[Id, ...]) -> None:
        """Note that the twin has taken in a message, and read anew what waits of the rows it touches."""
        with self._lock:
            for table_id, row_ids in rows.items():
                waiting = self._waiting.tables.get(table_id)
                if waiting:
                    for row_id in row_ids:
                        if row_id in waiting:
                            waiting[row_id] = _row_of(twin, table_id, row_id)
            self._read_values(twin, tuple(one for one in values if one in self._waiting.values))
            self._confirmed = number

    def refresh(self, twin: Store) -> None:
        """Read anew all that waits."""
        with self._lock:
            for table_id, rows in self._waiting.tables.items():
                for row_id in rows:
                    rows[row_id] = _row_of(twin, table_id, row_id)
            self._read_values(twin, tuple(self._waiting.values))

    def take(self) -> tuple[LoadedContent, int]:
        """Hand out all that waits, and the number of the last message that it takes account of."""
        with self._lock:
            waiting, self._waiting = self._waiting, _Waiting()
            self._is_told = False
            confirmed = self._confirmed
        tables = {
            table_id: LoadedTable(rows, frozenset(waiting.cell_ids[table_id]), is_complete=False)
            for table_id, rows in waiting.tables.items()
        }
        values = None
        if waiting.values:
            present = {
                one: value for one, value in waiting.values.items() if not isinstance(value, MissingType)
            }
            values = LoadedTable({_ONE_ROW: present}, frozenset(waiting.values), is_complete=False)
        return LoadedContent(tables, values), confirmed

    def tell_of_more(self) -> None:
        """Notify of what arrives from now on, although nothing was taken."""
        with self._lock:
            self._is_told = False

    def _read_values(self, twin: Store, values: tuple[Id, ...]) -> None:
        if values:
            present = twin.get_encoded_values()
            for value_id in values:
                self._waiting.values[value_id] = present.get(value_id, MISSING)


class TwinSide:
    """The twin, and what it hears from the owner; lives on the twin's thread.

    Args:
        store: The twin.
        scope: What of it is kept.
        arrivals: Where the owner finds what comes from elsewhere.
        call_soon: Has a function called on the twin's thread; called in the owner's.
        call_later: Has a function called a moment later; called on the twin's thread.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        arrivals: Arrivals,
        call_soon: Callable[[Callable[[], object]], object],
        call_later: Callable[[Callable[[], object]], object],
    ) -> None:
        self.store = store
        self._scope = scope
        self._arrivals = arrivals
        self._call_soon = call_soon
        self._call_later = call_later
        self._messages: deque[Message] = deque()
        self._is_scheduled = False
        self._is_taking_in = False
        self._listener_id = store.add_did_finish_transaction_listener(self._on_did_finish)

    def send(self, message: Message) -> None:
        """Take a message; called in the owner's thread."""
        self._messages.append(message)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._take_some_in)

    def take_in(self, at_most: int | None = None) -> None:
        """Take in messages in their order, all of them or some, in one transaction."""
        taken: list[Message] = []
        self._is_taking_in = True
        try:
            with self.store.transaction():
                while self._messages and len(taken) != at_most:
                    taken.append(self._messages.popleft())
                    self._write(taken[-1])
        except Exception:
            _log.exception("%s changes could not be handed over to be saved", len(taken))
        finally:
            self._is_taking_in = False
            for message in taken:
                self._answer(message)

    def stop(self) -> None:
        """Listen to the twin no more."""
        self.store.del_listener(self._listener_id)

    def _take_some_in(self) -> None:
        # After one message there are often more. Looking for them is cheaper than being woken by each, for
        # which two threads would have to take turns.
        if self._messages:
            self.take_in(_MESSAGES_AT_ONCE)
            self._call_later(self._take_some_in)
            return
        # First this, then one more look, so that a message sent in between is not left lying.
        self._is_scheduled = False
        if self._messages:
            self._is_scheduled = True
            self._call_later(self._take_some_in)

    def _write(self, message: Message) -> None:
        match message:
            case Edits():
                self.store.apply_encoded_changes([self._changed_rows(message), message.changes.values, 1])
            case SchemaChange():
                _set_schemas(self.store, message)

    def _answer(self, message: Message) -> None:
        match message:
            case Edits(number, changes):
                rows = {table_id: tuple(rows) for table_id, rows in changes.tables.items()}
                self._arrivals.confirm(self.store, number, rows, tuple(changes.values))
            case SchemaChange():
                self._arrivals.refresh(self.store)
            case Again(rows, cell_ids, values):
                self._arrivals.add(self.store, rows, cell_ids, values)

    def _changed_rows(self, message: Edits) -> dict[Id, dict[Id, Any]]:
        return {
            table_id: {
                row_id: self._changed_row(table_id, row_id, row, message.whole_rows)
                for row_id, row in rows.items()
            }
            for table_id, rows in message.changes.tables.items()
        }

    def _changed_row(
        self,
        table_id: Id,
        row_id: Id,
        row: UnsavedRow,
        whole_rows: Mapping[Id, Mapping[Id, Mapping[Id, EncodedCell]]],
    ) -> Any:
        if row.state is RowState.GONE:
            return MISSING
        if row.state is RowState.PARTIAL and not self.store.has_row(table_id, row_id):
            return whole_rows[table_id][row_id]
        return row.cells

    def _on_did_finish(self, store: Store) -> None:
        if self._is_taking_in:
            return
        edits = store.get_transaction_edits()
        rows = {}
        cell_ids = {}
        for table_id, edited in edits.cells.items():
            if _has(self._scope.loaded_tables, table_id):
                rows[table_id] = tuple(edited)
                cell_ids[table_id] = frozenset(cell_id for cells in edited.values() for cell_id in cells)
        values = tuple(value_id for value_id in edits.values if _has(self._scope.loaded_values, value_id))
        if rows or values:
            self._arrivals.add(store, rows, cell_ids, values)


class OwnerSide:
    """The owner's store, and what it hears from the twin; lives in the owner's thread.

    Args:
        store: The owner's store.
        scope: What of it is kept.
        arrivals: What comes from the twin.
        send: Takes messages for the twin.
        schedule: Arranges that `take_in` is called soon in the owner's thread.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        arrivals: Arrivals,
        send: Callable[[Message], object],
        schedule: Callable[[], object],
    ) -> None:
        self._store = store
        self._arrivals = arrivals
        self._send = send
        self._schedule = schedule
        self._tracker = ChangeTracker(store, scope)
        self._count = 0
        self._unconfirmed: deque[Edits] = deque()
        self._is_deferred = False
        self._missed: Again | None = None
        # Before the tracker's, so that the twin knows a new schema before the writes under it.
        self._listener_id = store.add_did_finish_transaction_listener(self._on_did_finish)
        self._tracker.start(self._send_edits)

    def stop(self) -> None:
        """Send and take in nothing more."""
        self._tracker.stop()
        self._store.del_listener(self._listener_id)

    @property
    def is_deferred(self) -> bool:
        """Whether something waits because there was a transaction going on."""
        return self._is_deferred

    def take_in(self) -> None:
        """Bring what has arrived into the store in one transaction, except over what is not confirmed.

        In the middle of a transaction nothing is done. It is scheduled again once that is over, unless an
        exception ends it.

        Raises:
            Exception: whatever a listener of the store raised. If nothing could be taken in for that, it
                comes again after the next transaction or arrival.
        """
        edits = self._store.get_transaction_edits()
        if edits.cells or edits.values:
            self._is_deferred = True
            self._arrivals.tell_of_more()
            return
        self._is_deferred = False
        self._ask_again()
        content, confirmed = self._arrivals.take()
        self._forget(confirmed)
        if not content.tables and content.values is None:
            return
        self._tracker.was_applied = False
        try:
            for problem in self._tracker.apply(
                content, tuple(message.changes for message in self._unconfirmed)
            ):
                _log.warning("%s", problem)
        finally:
            if not self._tracker.was_applied:
                self._missed = _places(content)
            if self._tracker.has_unsaved:
                self._send_edits()

    def _send_edits(self) -> None:
        changes = self._tracker.take()
        self._count += 1
        whole_rows = {
            table_id: {
                row_id: self._store.get_encoded_row(table_id, row_id)
                for row_id, row in rows.items()
                if row.state is RowState.PARTIAL
            }
            for table_id, rows in changes.tables.items()
        }
        message = Edits(self._count, changes, whole_rows)
        self._forget(self._arrivals.confirmed)
        self._unconfirmed.append(message)
        self._send(message)

    def _forget(self, confirmed: int) -> None:
        while self._unconfirmed and self._unconfirmed[0].number <= confirmed:
            self._unconfirmed.popleft()

    def _ask_again(self) -> None:
        missed, self._missed = self._missed, None
        if missed is not None:
            self._send(missed)

    def _on_did_finish(self, store: Store) -> None:
        if store.has_transaction_changed_schema():
            self._send(SchemaChange(store.get_tables_schema_json(), store.get_values_schema_json()))
        self._ask_again()
        if self._is_deferred:
            self._schedule()


def make_twin(tables: Mapping[Id, Any], values: Mapping[Id, Any], schemas: SchemaChange) -> Store:
    """Return a store with the same content and schemas as another; called on the thread it is for."""
    twin = Store()
    _set_schemas(twin, schemas)
    return twin.apply_encoded_changes([tables, values, 1])


def _set_schemas(twin: Store, schemas: SchemaChange) -> None:
    tables, values = json.loads(schemas.tables), json.loads(schemas.values)
    with twin.transaction():
        if tables:
            twin.set_tables_schema(tables)
        else:
            twin.del_tables_schema()
        if values:
            twin.set_values_schema(values)
        else:
            twin.del_values_schema()


def _row_of(twin: Store, table_id: Id, row_id: Id) -> LoadedRow:
    return twin.get_encoded_row(table_id, row_id) or None


def _places(content: LoadedContent) -> Again:
    values = () if content.values is None else tuple(content.values.cell_ids)
    return Again(
        {table_id: tuple(table.rows) for table_id, table in content.tables.items()},
        {table_id: table.cell_ids for table_id, table in content.tables.items()},
        values,
    )


def _has(ids: frozenset[Id] | None, one: Id) -> bool:
    return ids is None or one in ids
