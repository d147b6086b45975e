"""Checkpoints: undo and redo of everything that happened to a store between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.deltas import NEW, OLD, Delta, Side
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.module_listeners import ModuleListeners
from replicell.store.modules import module_of

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["CheckpointIds", "Checkpoints", "create_checkpoints"]


class CheckpointIds(NamedTuple):
    """The ids of all checkpoints, as TinyBase's triple."""

    backward: list[Id]
    """Those that can be gone back to, oldest first."""
    current: Id | None
    """Where the store is, or None if it has changed since."""
    forward: list[Id]
    """Those that were undone, next first."""


CheckpointIdsListener: TypeAlias = "Callable[[Checkpoints], object]"
CheckpointListener: TypeAlias = "Callable[[Checkpoints, Id], object]"


class Checkpoints:
    """The checkpoints of a store: places in its history to go back and forward to.

    What changes after a checkpoint is gathered until the next one is added; going back undoes it in one
    transaction, which listeners hear of like any other, and going forward does it again. Changes are net,
    whoever makes them; undo and redo are not changes to be undone, and ask no middleware. Mirrors TinyBase's
    ``Checkpoints``. There is one such object a store: `create_checkpoints` returns it.

    >>> store = Store().set_cell("pets", "fido", "sold", False)
    >>> checkpoints = create_checkpoints(store)
    >>> _ = store.set_cell("pets", "fido", "sold", True)
    >>> checkpoints.add_checkpoint("sale")
    '1'
    >>> checkpoints.go_backward().get_store().get_cell("pets", "fido", "sold")
    False
    >>> checkpoints.get_checkpoint_ids()
    CheckpointIds(backward=[], current='0', forward=['1'])
    >>> checkpoints.go_forward().get_store().get_cell("pets", "fido", "sold")
    True
    """

    __slots__ = (
        "_backward",
        "_current",
        "_deltas",
        "_forward",
        "_heard_cells",
        "_heard_values",
        "_ids_changed",
        "_labels",
        "_listeners",
        "_listens",
        "_next_id",
        "_pending",
        "_size",
        "_store",
        "_store_listener_ids",
        "_transaction",
    )

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners = ModuleListeners(self, "checkpoint_ids", "checkpoint")
        self._size = 100
        self._backward: list[Id] = []
        self._current: Id | None = None
        self._forward: list[Id] = []
        self._deltas: dict[Id, Delta] = {}
        self._labels: dict[Id, str] = {}
        self._pending = Delta()
        self._next_id = 0
        self._ids_changed = False
        self._listens = True
        """Whether changes are to be gathered; not so during undo and redo."""
        self._store_listener_ids: list[Id] = []
        self._transaction: object = None
        """Stands for the transaction of which the following were heard."""
        self._heard_cells = self._heard_values = 0
        self.clear()

    def get_store(self) -> Store:
        """Return the store. Mirrors TinyBase's ``getStore``."""
        return self._store

    # --- checkpoints --------------------------------------------------------------------------------------

    def set_size(self, size: int) -> Self:
        """Say how many checkpoints can be gone back to, 100 at first; the oldest are dropped.

        Mirrors TinyBase's ``setSize``.

        >>> store = Store()
        >>> checkpoints = create_checkpoints(store).set_size(1)
        >>> for age in (1, 2, 3):
        ...     _ = store.set_cell("pets", "fido", "age", age)
        ...     _ = checkpoints.add_checkpoint()
        >>> checkpoints.get_checkpoint_ids().backward
        ['2']
        """
        self._store._check_thread()
        self._size = size
        self._trim()
        return self

    def add_checkpoint(self, label: str = "") -> Id:
        """Make a checkpoint of what has changed since the last, and return its id.

        Without a change there is nothing to make: the id of the current one is returned and the label is not
        used. Mirrors TinyBase's ``addCheckpoint``.
        """
        self._store._check_thread()
        checkpoint_id = self._add(label)
        self._tell_ids()
        return checkpoint_id

    def set_checkpoint(self, checkpoint_id: IdLike, label: str) -> Self:
        """Give a checkpoint another label. Mirrors TinyBase's ``setCheckpoint``.

        >>> checkpoints = create_checkpoints(Store())
        >>> checkpoints.set_checkpoint("0", "beginning").get_checkpoint("0")
        'beginning'
        """
        self._store._check_thread()
        checkpoint_id = to_id(checkpoint_id)
        if checkpoint_id in self._deltas and self._labels.get(checkpoint_id) != label:
            self._labels[checkpoint_id] = label
            self._listeners.call("checkpoint", (checkpoint_id,))
        return self

    def get_checkpoint_ids(self) -> CheckpointIds:
        """Return the ids of the checkpoints before, at and after the present.

        Mirrors TinyBase's ``getCheckpointIds``.
        """
        self._store._check_thread()
        return CheckpointIds(list(self._backward), self._current, list(self._forward))

    def for_each_checkpoint(self, callback: Callable[[Id, str], object]) -> None:
        """Call back with the id and label of each checkpoint. Mirrors TinyBase's ``forEachCheckpoint``."""
        self._store._check_thread()
        for checkpoint_id, label in list(self._labels.items()):
            callback(checkpoint_id, label)

    def has_checkpoint(self, checkpoint_id: IdLike) -> bool:
        """Tell whether there is a checkpoint of this id. Mirrors TinyBase's ``hasCheckpoint``."""
        self._store._check_thread()
        return to_id(checkpoint_id) in self._deltas

    def get_checkpoint(self, checkpoint_id: IdLike, default: str | None = None) -> str | None:
        """Return the label of a checkpoint, or the default. Mirrors TinyBase's ``getCheckpoint``."""
        self._store._check_thread()
        return self._labels.get(to_id(checkpoint_id), default)

    def clear(self) -> Self:
        """Forget all checkpoints and begin again with ``'0'``; the store stays as it is.

        Mirrors TinyBase's ``clear``.
        """
        self._store._check_thread()
        self._drop(self._backward, len(self._backward))
        self._drop(self._forward, len(self._forward))
        if self._current is not None:
            self._forget(self._current)
        self._current = None
        self._next_id = 0
        self.add_checkpoint()
        return self

    def clear_forward(self) -> Self:
        """Forget what was undone. Mirrors TinyBase's ``clearForward``."""
        self._store._check_thread()
        if self._forward:
            self._drop(self._forward, len(self._forward))
            self._listeners.call("checkpoint_ids")
        return self

    def destroy(self) -> None:
        """Stop listening to the store; `create_checkpoints` listens again. Mirrors TinyBase's ``destroy``."""
        for listener_id in self._store_listener_ids:
            self._store.del_listener(listener_id)
        self._store_listener_ids = []

    # --- undo and redo ------------------------------------------------------------------------------------

    def go_backward(self) -> Self:
        """Undo what has changed since the last checkpoint, if there is one. Mirrors ``goBackward``.

        Changes since the current checkpoint become one of their own first, so that they can be redone.
        """
        return self._travel(self._go_backward, lambda: False)

    def go_forward(self) -> Self:
        """Redo what was undone last, if anything was. Mirrors TinyBase's ``goForward``."""
        return self._travel(self._go_forward, lambda: False)

    def go_to(self, checkpoint_id: IdLike) -> Self:
        """Undo or redo until a checkpoint is the current one; unknown ids are ignored.

        Mirrors TinyBase's ``goTo``.

        >>> store = Store()
        >>> checkpoints = create_checkpoints(store)
        >>> for age in (1, 2, 3):
        ...     _ = store.set_cell("pets", "fido", "age", age)
        ...     _ = checkpoints.add_checkpoint()
        >>> checkpoints.go_to("1").get_store().get_cell("pets", "fido", "age")
        1
        """
        checkpoint_id = to_id(checkpoint_id)
        step: Callable[[], bool]
        if checkpoint_id in self._backward:
            step = self._go_backward
        elif checkpoint_id in self._forward:
            step = self._go_forward
        else:
            return self
        return self._travel(step, lambda: self._current != checkpoint_id)

    # --- listeners ----------------------------------------------------------------------------------------

    def add_checkpoint_ids_listener(self, listener: CheckpointIdsListener) -> Id:
        """Listen to when the ids of checkpoints, or which is current, change.

        Mirrors TinyBase's ``addCheckpointIdsListener``.

        >>> store = Store()
        >>> _ = create_checkpoints(store).add_checkpoint_ids_listener(
        ...     lambda checkpoints: print(checkpoints.get_checkpoint_ids().current))
        >>> _ = store.set_value("open", True)
        None
        """
        return self._listeners.add("checkpoint_ids", (), listener)

    def add_checkpoint_listener(self, checkpoint_id: IdLike | None, listener: CheckpointListener) -> Id:
        """Listen to when a checkpoint (or any, with None) gets a label or is forgotten.

        Mirrors TinyBase's ``addCheckpointListener``.
        """
        return self._listeners.add("checkpoint", (checkpoint_id,), listener)

    def on_checkpoint_ids(self) -> Hook[CheckpointIdsListener]:
        """Make a decorator for a function to call when the ids of checkpoints, or which is current, change.

        See `add_checkpoint_ids_listener`.
        """
        self._store._check_thread()
        return Hook(self.add_checkpoint_ids_listener, self.del_listener)

    def on_checkpoint(self, checkpoint_id: IdLike | None) -> Hook[CheckpointListener]:
        """Make a decorator for a function to call when a checkpoint gets a label or is forgotten.

        See `add_checkpoint_listener`.
        """
        self._store._check_thread()
        return Hook(partial(self.add_checkpoint_listener, checkpoint_id), self.del_listener)

    def observe_checkpoint_ids(self) -> Observable[CheckpointIds]:
        """Return a reactivex Observable of the ids of the checkpoints: those now, then each new triple.

        >>> store = Store()
        >>> with create_checkpoints(store).observe_checkpoint_ids().subscribe(print):
        ...     _ = store.set_value("open", True)
        CheckpointIds(backward=[], current='0', forward=[])
        CheckpointIds(backward=['0'], current=None, forward=[])
        """
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import derived_from

        listen = self.add_checkpoint_ids_listener
        return derived_from(self._store, "checkpoint ids", listen, self.del_listener, self.get_checkpoint_ids)

    def del_listener(self, listener_id: IdLike) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's ``delListener``."""
        self._store._check_thread()
        self._listeners.remove(listener_id)
        return self

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of each kind. Mirrors TinyBase's ``getListenerStats``."""
        return {kind: self._listeners.count(kind) for kind in ("checkpoint_ids", "checkpoint")}

    # ------------------------------------------------------------------------------------------------------

    def _attach(self) -> Self:
        if not self._store_listener_ids:
            self._store_listener_ids = [
                self._store.add_cell_listener(None, None, None, self._hear_cell),
                self._store.add_value_listener(None, self._hear_value),
            ]
        return self

    def _hear_cell(self, store: Store, table_id: Id, row_id: Id, cell_id: Id, *_: object) -> None:
        if self._listens:
            self._recognise_transaction()
            self._heard_cells += 1
            old = store._record.cells[table_id][row_id][cell_id]
            self._note_cell(table_id, row_id, cell_id, old)

    def _hear_value(self, store: Store, value_id: Id, *_: object) -> None:
        if self._listens:
            self._recognise_transaction()
            self._heard_values += 1
            self._note_value(value_id, store._record.values[value_id])

    def _note_cell(self, table_id: Id, row_id: Id, cell_id: Id, old: EncodedCell | MissingType) -> None:
        self._leave_current()
        new = self._store._find_row(table_id, row_id).get(cell_id, MISSING)
        self._pending.note_cell(table_id, row_id, cell_id, old, new)
        self._return_if_unchanged()

    def _note_value(self, value_id: Id, old: EncodedCell | MissingType) -> None:
        self._leave_current()
        self._pending.note_value(value_id, old, self._store._values.get(value_id, MISSING))
        self._return_if_unchanged()

    def _leave_current(self) -> None:
        if self._current is not None:
            self._backward.append(self._current)
            self._trim()
            self._drop(self._forward, len(self._forward))
            self._current = None
            self._ids_changed = True

    def _return_if_unchanged(self) -> None:
        if not self._pending:
            self._current = self._backward.pop() if self._backward else None
            self._ids_changed = True
        self._tell_ids()

    def _recognise_transaction(self) -> None:
        if self._transaction is not self._store._record.cells:
            self._transaction = self._store._record.cells
            self._heard_cells = self._heard_values = 0

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        """Gather what another listener, by failing, kept from being heard."""
        if not committed or not self._listens or not self._store_listener_ids:
            return
        self._recognise_transaction()
        store, record = self._store, self._store._record
        changed_cells = [
            (table_id, row_id, cell_id, old)
            for table_id, rows in record.cells.items()
            for row_id, cells in rows.items()
            for cell_id, old in cells.items()
            if not is_same_cell(old, store._find_row(table_id, row_id).get(cell_id, MISSING))
        ]
        for table_id, row_id, cell_id, old in changed_cells[self._heard_cells :]:
            self._heard_cells += 1
            self._note_cell(table_id, row_id, cell_id, old)
        changed_values = [
            (value_id, old)
            for value_id, old in record.values.items()
            if not is_same_cell(old, store._values.get(value_id, MISSING))
        ]
        for value_id, old in changed_values[self._heard_values :]:
            self._heard_values += 1
            self._note_value(value_id, old)

    def _add(self, label: str) -> Id:
        if self._current is None:
            checkpoint_id = self._current = str(self._next_id)
            self._next_id += 1
            self._deltas[checkpoint_id], self._pending = self._pending, Delta()
            self._ids_changed = True
            self.set_checkpoint(checkpoint_id, label)
            return checkpoint_id
        return self._current

    def _trim(self) -> None:
        self._drop(self._backward, len(self._backward) - self._size)

    def _drop(self, checkpoint_ids: list[Id], count: int) -> None:
        dropped = checkpoint_ids[: max(count, 0)]
        del checkpoint_ids[: max(count, 0)]
        for checkpoint_id in dropped:
            self._forget(checkpoint_id)

    def _forget(self, checkpoint_id: Id) -> None:
        self._deltas.pop(checkpoint_id, None)
        self._labels.pop(checkpoint_id, None)
        self._listeners.call("checkpoint", (checkpoint_id,))

    def _tell_ids(self) -> None:
        if self._ids_changed:
            self._listeners.call("checkpoint_ids")
            self._ids_changed = False

    def _travel(self, step: Callable[[], bool], wants_more: Callable[[], bool]) -> Self:
        store = self._store
        store._check_thread()
        if store._depth < 0:
            # Nothing may be written now: a strict store says so here, any other ignores the call.
            store.start_transaction()
            return self
        try:
            while step() and wants_more():
                pass
        finally:
            self._tell_ids()
        return self

    def _go_backward(self) -> bool:
        if not self._backward:
            return False
        undone = self._add("")
        if self._current != undone:
            # A listener that was told of the new checkpoint has changed the store already.
            return False
        self._forward.insert(0, undone)
        error = self._restore(undone, OLD)
        if error is None or self._deltas[undone].is_restored(self._store, OLD):
            self._current = self._backward.pop()
            self._ids_changed = True
        else:
            del self._forward[0]
        if error is not None:
            raise error
        return True

    def _go_forward(self) -> bool:
        if not self._forward or self._current is None:
            return False
        self._backward.append(self._current)
        self._current = redone = self._forward.pop(0)
        error = self._restore(redone, NEW)
        if error is None or self._deltas[redone].is_restored(self._store, NEW):
            self._ids_changed = True
        else:
            self._forward.insert(0, redone)
            self._current = self._backward.pop()
        if error is not None:
            raise error
        return True

    def _restore(self, checkpoint_id: Id, side: Side) -> BaseException | None:
        """Write one side of a checkpoint's delta, in a transaction that is not listened to."""
        delta = self._deltas[checkpoint_id]
        self._listens = False
        try:
            self._store.transaction(lambda: self._write(delta, side))
        except BaseException as error:
            # It may come from a listener that was called after all was restored.
            return error
        finally:
            self._listens = True
        return None

    def _write(self, delta: Delta, side: Side) -> None:
        store = self._store
        guard, store._guard = store._guard, None
        try:
            store._accepting_encoded(lambda: delta.restore(store, side))
        finally:
            store._guard = guard


def create_checkpoints(store: Store) -> Checkpoints:
    """Return the checkpoints of a store, listening to it. Mirrors TinyBase's ``createCheckpoints``.

    >>> store = Store()
    >>> create_checkpoints(store) is create_checkpoints(store)
    True
    """
    return module_of(store, "checkpoints", Checkpoints)._attach()
