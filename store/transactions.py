"""Transactions: beginning, committing, rolling back, and the order of events at the end.

The outermost finish runs, in this order: mutator listeners; the caller's `do_rollback`; will-finish
listeners; the commit, from where on writes are refused; normal listeners; did-finish listeners. Whatever
fails before the commit undoes the transaction; what fails after it leaves the data as committed and reaches
the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeAlias, TypeVar, cast, overload

from replicell.store.cells import EncodedCell
from replicell.store.changes import Changes, TransactionEdits, TransactionLog
from replicell.store.dispatch import Dispatching
from replicell.store.errors import InvalidWriteError, UnsettledError, WriteForbiddenError
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["TransactionScope", "Transactions", "raise_all"]

Update: TypeAlias = tuple[Id, Id, Id, EncodedCell, EncodedCell]
"""A cell that was replaced: its ids, what it is now, and what it was."""

_MOST_ROUNDS = 100

_T = TypeVar("_T")
_S = TypeVar("_S", bound="Transactions")


class TransactionScope(Generic[_S]):
    """A transaction as a ``with`` block; see `Store.transaction`."""

    __slots__ = ("_do_rollback", "_store")

    def __init__(self, store: _S, do_rollback: Callable[[_S], object] | None) -> None:
        self._store = store
        self._do_rollback = do_rollback

    def __enter__(self) -> _S:
        self._store.start_transaction()
        return self._store

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._store.finish_transaction(self._do_rollback)
        else:
            self._store._abandon(error)


class Transactions(Dispatching):
    """The methods of a store that are about transactions."""

    __slots__ = ()

    @overload
    def transaction(
        self, *, do_rollback: Callable[[Self], object] | None = None
    ) -> TransactionScope[Self]: ...
    @overload
    def transaction(
        self, actions: Callable[[], _T], do_rollback: Callable[[Self], object] | None = None
    ) -> _T: ...
    def transaction(
        self,
        actions: Callable[[], Any] | None = None,
        do_rollback: Callable[[Self], object] | None = None,
    ) -> Any:
        """Make several writes one: listeners hear of the net result, once, at the end.

        Used with ``with``, or given a function, whose result it returns. Transactions nest; only the
        outermost does anything at its end. An exception undoes everything since the outermost began, even
        if somebody in between catches it. Inside listeners that may only read, the function is not run and
        `MISSING` is returned. Mirrors TinyBase's ``transaction``.

        Args:
            actions: What to run. Without it, the result is a context manager.
            do_rollback: Asked, with the store, at the end of the outermost transaction, after mutator
                listeners; if it answers true, everything is undone.

        >>> store = Store()
        >>> with store.transaction():
        ...     _ = store.set_cell("pets", "fido", "sold", True).set_cell("pets", "felix", "sold", False)
        >>> store.transaction(lambda: store.set_value("open", True).get_value("open"))
        True
        >>> with store.transaction(do_rollback=lambda store: True):
        ...     _ = store.del_tables()
        >>> store.get_row_ids("pets")
        ['fido', 'felix']
        """
        if actions is None:
            return TransactionScope(self, do_rollback)
        self._check_thread()
        if not self._begin():
            return MISSING
        try:
            result = actions()
        except BaseException as error:
            self._abandon(error)
            raise
        self._end(cast("Callable[[Transactions], object] | None", do_rollback))
        return result

    def start_transaction(self) -> Self:
        """Open a transaction, or one more within the open one. Mirrors TinyBase's ``startTransaction``.

        Prefer `transaction`, which cannot be left open by an exception.

        >>> store = Store().start_transaction().set_cell("pets", "fido", "sold", True).finish_transaction()
        """
        self._check_thread()
        self._begin()
        return self

    def finish_transaction(self, do_rollback: Callable[[Self], object] | None = None) -> Self:
        """Close the innermost open transaction; without one, do nothing.

        Mirrors TinyBase's ``finishTransaction``.

        Args:
            do_rollback: As for `transaction`; counts only where the outermost transaction is closed.

        >>> store = Store().start_transaction().set_cell("pets", "fido", "sold", True)
        >>> store.finish_transaction(do_rollback=lambda store: True).get_tables()
        {}
        """
        self._check_thread()
        self._end(cast("Callable[[Transactions], object] | None", do_rollback))
        return self

    def get_transaction_changes(self) -> Changes:
        """Return what the open transaction has changed so far, for `apply_changes` on another store.

        Outside a transaction it is empty; did-finish listeners can still read it. Mirrors TinyBase's
        ``getTransactionChanges``.

        >>> store = Store().set_cell("pets", "fido", "sold", True)
        >>> with store.transaction():
        ...     _ = store.del_row("pets", "fido").set_value("open", True)
        ...     store.get_transaction_changes()
        Changes(tables={'pets': MISSING}, values={'open': True}, is_changes=1)
        """
        self._check_thread()
        return self._record.changes(self._tables, self._values)

    def get_transaction_log(self) -> TransactionLog:
        """Return everything about the open transaction so far. Mirrors TinyBase's ``getTransactionLog``.

        >>> store = Store()
        >>> with store.transaction():
        ...     store.set_cell("pets", "fido", "sold", True).get_transaction_log().changed_cells
        {'pets': {'fido': {'sold': (MISSING, True)}}}
        """
        self._check_thread()
        return self._record.log(self._tables, self._values)

    def get_transaction_edits(self) -> TransactionEdits:
        """Return what the open transaction has written so far, in the encoded form that persisters keep.

        Like `get_transaction_log` without the old cells and most ids, at a fraction of its cost.

        >>> store = Store()
        >>> with store.transaction():
        ...     store.set_cell("pets", "fido", "sold", True).get_transaction_edits().cells
        {'pets': {'fido': {'sold': True}}}
        """
        self._check_thread()
        return self._record.edits(self._tables, self._values)

    def _begin(self) -> bool:
        """Open a transaction; tell whether it may write."""
        depth = self._depth
        if depth < 0:
            if self._strict:
                raise WriteForbiddenError.in_listener()
            return False
        self._depth = depth + 1
        if depth == 0:
            self._swift = False
            starting = self._listeners.mutators.start_transaction
            if starting.patterns:
                try:
                    self._call(starting.find())
                except BaseException as error:
                    self._abandon(error)
                    raise
        return True

    def _end(self, do_rollback: Callable[[Transactions], object] | None = None) -> None:
        if self._depth > 1:
            self._depth -= 1
        elif self._depth == 1 and not self._finishing:
            self._finish(do_rollback)

    def _abandon(self, error: BaseException) -> None:
        """Close a transaction whose actions failed, so that all is undone in the end."""
        if self._depth > 1:
            self._depth -= 1
            # A refused write has changed nothing, so whoever catches its error may go on.
            if not isinstance(error, InvalidWriteError):
                self._rollback_requested = True
        elif self._depth == 1 and not self._finishing:
            self._rollback_requested = True
            self._finish(None)

    def _finish(
        self, do_rollback: Callable[[Transactions], object] | None, update: Update | None = None
    ) -> None:
        """End the outermost transaction.

        Args:
            do_rollback: Whether to undo it, asked after mutators.
            update: If all it did so far was to replace one cell: what `_call_update` wants to know.
        """
        mutators, normal = self._listeners.mutators, self._listeners.normal
        errors: list[BaseException] = []
        committed = told_at_end = False
        self._finishing = True
        try:
            try:
                if self._rollback_requested:
                    self._rollback()
                else:
                    if mutators.hears_anything:
                        if update is None:
                            self._call_phase(mutators)
                        else:
                            self._call_update(mutators, *update)
                            update = None
                            self._call_phase_of_values(mutators)
                    if do_rollback is not None and do_rollback(self):
                        self._rollback()
                    told_at_end = True
                    if mutators.will_finish_transaction.patterns:
                        update = None
                        self._call_every(mutators.will_finish_transaction, errors)
                    if self._settlers and not errors:
                        update = None
                        self._run_settlers()
                    if errors:
                        self._rollback()
                    else:
                        self._depth = -1
                        committed = True
                        if normal.hears_anything:
                            if update is None:
                                self._call_phase(normal)
                            else:
                                self._call_update(normal, *update)
                        if self._defined_within:
                            self._bring_up_modules(True, errors)
            except BaseException as error:
                errors.append(error)
                if not committed:
                    self._rollback()
                elif self._modules:
                    self._bring_up_modules(True, errors)
            self._depth = -1
            if self._observers is not None:
                self._observers.collect(self._record)
            if told_at_end and normal.did_finish_transaction.patterns:
                self._call_every(normal.did_finish_transaction, errors)
            if errors and self._observers is not None:
                self._observers.recheck_derived()
            description = str(self._record) if len(errors) > 1 else ""
        finally:
            self._reset()
        if self._observers is not None and self._observers.waiting:
            self._tell_observers(errors)
        if errors:
            raise_all(errors, description)

    def _finish_update(
        self, table_id: Id, row_id: Id, cell_id: Id, new: EncodedCell, old: EncodedCell
    ) -> None:
        """End a transaction that has replaced one cell, when nobody may write before its end."""
        normal = self._listeners.normal
        errors: list[BaseException] = []
        self._depth = -1
        try:
            try:
                self._call_update(normal, table_id, row_id, cell_id, new, old)
            except Exception as error:
                errors.append(error)
                if self._modules:
                    self._bring_up_modules(True, errors)
            if self._observers is not None:
                self._observers.collect_update(table_id, row_id, cell_id)
            if normal.did_finish_transaction.patterns:
                self._call_every(normal.did_finish_transaction, errors)
            if errors and self._observers is not None:
                self._observers.recheck_derived()
            description = str(self._record) if errors else ""
        finally:
            # Not cleared: its identity stands for the transaction.
            self._record.cells = {}
            if self._listeners.has_dead:
                self._listeners.sweep()
            self._depth = 0
            self._swift = self._swift_outside
        if self._observers is not None and self._observers.waiting:
            self._tell_observers(errors)
        if errors:
            raise_all(errors, description)

    def _tell_observers(self, errors: list[BaseException]) -> None:
        """Tell observers what was collected, when the store may be written to again."""
        if self._observers is not None:
            try:
                self._observers.emit()
            except Exception as error:
                errors.append(error)

    def _rollback(self) -> None:
        if self._old_tables_rules is not MISSING:
            self._tables_rules = self._old_tables_rules
        if self._old_values_rules is not MISSING:
            self._values_rules = self._old_values_rules
        self._settle()
        record = self._record
        for table_id, rows in record.cells.items():
            for row_id, cells in rows.items():
                for cell_id, old in cells.items():
                    if old is not MISSING:
                        self._put_cell(table_id, row_id, cell_id, old)
                    elif cell_id in self._find_row(table_id, row_id):
                        self._remove_cell(table_id, row_id, cell_id)
        for value_id, old in record.values.items():
            if old is not MISSING:
                self._put_value(value_id, old)
            elif value_id in self._values:
                self._remove_value(value_id)
        if self._sorted.views:
            self._sorted.follow(record.cells)
        if self._modules:
            self._bring_up_modules(False, [])
        record.clear_changes()

    def _run_settlers(self) -> None:
        for _ in range(_MOST_ROUNDS):
            if not any(settler() for settler in self._settlers):
                return
        raise UnsettledError(
            f"computed cells and referential actions still wanted to write after {_MOST_ROUNDS} rounds in "
            f"{self._record}; it was undone. Look for computed cells that depend on each other in a circle."
        )

    def _bring_up_modules(self, committed: bool, errors: list[BaseException]) -> None:
        """Have modules take in a transaction of which their listeners may not have heard."""
        depth, self._depth = self._depth, -1
        try:
            for module in self._modules.values():
                try:
                    module._catch_up(self._record.cells, committed)
                except Exception as error:
                    errors.append(error)
        finally:
            self._depth = depth

    def _reset(self) -> None:
        self._depth = 0
        self._finishing = self._rollback_requested = self._defined_within = False
        if self._old_tables_rules is not MISSING or self._old_values_rules is not MISSING:
            self._old_tables_rules = self._old_values_rules = MISSING
            self._settle()
        if self._sorted.views:
            self._sorted.follow(self._record.cells)
        self._record.clear()
        if self._listeners.has_dead:
            self._listeners.sweep()
        self._swift = self._swift_outside


def raise_all(errors: list[BaseException], transaction: str = "") -> NoReturn:
    """Raise the errors of a transaction's listeners: the only one as it is, several as a group."""
    if len(errors) == 1:
        raise errors[0]
    raise BaseExceptionGroup(f"several listeners failed in {transaction or 'a transaction'}", errors)
