"""Persisters made of four functions, for media of one's own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeAlias

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.errors import ConfigError, PersisterError
from replicell.persisters.persister import ErrorListener, InitialContent, Persister
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import EVERYTHING, ChangeTracker
from replicell.persisters.unsaved import RowState, UnsavedChanges
from replicell.persisters.whole_content import WholeContent
from replicell.store.cells import decode_cell
from replicell.store.changes import Changes
from replicell.store.missing import MISSING, MissingType
from replicell.store.store import Store

__all__ = ["CustomPersister", "PersisterListener", "create_custom_persister"]

_PLAIN_STORE, _MERGEABLE_STORE_ONLY, _PLAIN_OR_MERGEABLE_STORE = 1, 2, 3

Content: TypeAlias = tuple[Any, Any] | list[Any]
"""``[tables, values]``, or ``[tables, values, 1]`` for changes, in which `MISSING` deletes."""

GetPersisted: TypeAlias = Callable[[], Awaitable[Content | Changes | MissingType | None] | Any]
SetPersisted: TypeAlias = Callable[[Callable[[], tuple[Any, Any]], Changes | None], Awaitable[object] | Any]
PersisterListener: TypeAlias = Callable[..., None]
"""Called with content, with None and changes, or with nothing."""


class CustomPersister(Persister):
    """Keeps a store and a medium the same by four functions. Mirrors TinyBase's custom persister.

    The functions run on the event loop; they may be coroutine functions. What the medium held last is
    remembered, so that only differences are loaded, whether it gives all of its content or changes.

    Args:
        store: The store.
        get_persisted: Returns what the medium holds: ``[tables, values]``, changes, or `MISSING` (or None) if
            it holds nothing yet.
        set_persisted: Writes to the medium. It gets a function that returns the store's ``(tables, values)``
            at the time it is called, and the changes since the last save, or None if everything is to be
            saved. If it raises, it is called again later.
        add_persister_listener: Has a function called whenever somebody else has changed the medium: with the
            new content, with None and the changes, or with nothing to have it read. Returns a handle.
        del_persister_listener: Is given the handle, to end that.
        options: The keyword arguments of `Persister`.
    """

    def __init__(
        self,
        store: Store,
        get_persisted: GetPersisted,
        set_persisted: SetPersisted,
        add_persister_listener: Callable[[PersisterListener], Any],
        del_persister_listener: Callable[[Any], Any],
        **options: Any,
    ) -> None:
        super().__init__(store, ChangeTracker(store, EVERYTHING), **options)
        self._get_persisted = get_persisted
        self._set_persisted = set_persisted
        self._add_persister_listener = add_persister_listener
        self._del_persister_listener = del_persister_listener
        self._known: WholeContent | None = None
        self._offered: list[Any] = []
        self._must_read = True
        self._is_settled = True
        self._must_save_all = True
        self._adding: asyncio.Future[Any] | None = None

    async def load(self, initial: InitialContent | None = None) -> Self:
        """Load what has changed in the medium; everything the first time. See `Persister.load`."""
        self._must_read = True
        return await super().load(initial)

    async def save(self) -> Self:
        """Save everything. See `Persister.save`."""
        self._must_save_all = True
        return await super().save()

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        return asyncio.ensure_future(self._load())

    async def _load(self) -> LoadedContent:
        if self._adding is not None:
            await self._adding
        # What was offered and has not reached the store is not offered again.
        must_read = self._must_read or not self._is_settled or self._known is None
        self._must_read = self._is_settled = False
        offered, self._offered = self._offered, []
        content = self._known
        if must_read:
            offered = [await _awaited(self._get_persisted())]
        for persisted in offered:
            content = _followed_by(content, persisted)
        return (content or WholeContent({}, {})).since(self._known)

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        return asyncio.ensure_future(self._save(unsaved))

    async def _save(self, unsaved: UnsavedChanges) -> SaveResult:
        written = (self._known or WholeContent({}, {})).with_unsaved(unsaved)

        def get_content() -> tuple[Any, Any]:
            nonlocal written
            written = WholeContent(self._store.get_encoded_tables(), self._store.get_encoded_values())
            tables, values = self._store.get_content()
            return tables, values

        is_all, self._must_save_all = self._must_save_all, False
        try:
            await _awaited(self._set_persisted(get_content, None if is_all else _changes(unsaved)))
        except BaseException:
            self._must_save_all = is_all or self._must_save_all
            raise
        if self._known is not None:
            self._known = written
        return SaveResult()

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        def listener(content: Any = None, changes: Any = None) -> None:
            given = content if changes is None or changes is MISSING else changes
            if given is None or given is MISSING:
                self._must_read = True
            else:
                self._offered.append(given)
            on_change()

        adding = asyncio.ensure_future(_awaited(self._add_persister_listener(listener)))
        self._adding = adding
        return Subscription(lambda: self._stop_watching(adding))

    def _stop_watching(self, adding: asyncio.Future[Any]) -> None:
        async def stop() -> None:
            try:
                await _awaited(self._del_persister_listener(await adding))
            except Exception as error:
                self._report(error, "the listener of the medium could not be deleted")

        self._adding = asyncio.ensure_future(stop())

    def _on_applied(self, content: LoadedContent) -> None:
        self._known = content.version
        self._is_settled = True

    def _release(self) -> None:
        self._known = None

    async def close(self) -> None:
        """Save what is not saved yet, if auto-saving, and let go of the medium. See `Persister.close`."""
        await super().close()
        if self._adding is not None:
            await asyncio.wait([self._adding])


def create_custom_persister(
    store: Store,
    get_persisted: GetPersisted,
    set_persisted: SetPersisted,
    add_persister_listener: Callable[[PersisterListener], Any],
    del_persister_listener: Callable[[Any], Any],
    on_ignored_error: ErrorListener | None = None,
    persist: int = _PLAIN_STORE,
    **options: Any,
) -> CustomPersister:
    """Create a persister for a medium of one's own. Mirrors TinyBase's `createCustomPersister`.

    Args:
        store: The store.
        get_persisted: See `CustomPersister`, like the next three.
        set_persisted: Writes.
        add_persister_listener: Begins to watch the medium.
        del_persister_listener: Ends that.
        on_ignored_error: TinyBase's name for ``on_error``.
        persist: Which kinds of store the medium is for, as TinyBase numbers them: 1 for plain ones, 3 for
            these and MergeableStores. Either means the same here, where all stores are plain.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the medium is for MergeableStores only, which there are none of here.
    """
    _check_persist(persist)
    options.setdefault("on_error", on_ignored_error)
    return CustomPersister(
        store, get_persisted, set_persisted, add_persister_listener, del_persister_listener, **options
    )


def _check_persist(persist: object) -> None:
    if persist == _MERGEABLE_STORE_ONLY:
        raise ConfigError(
            "persist=2 asks for a MergeableStore, which replicell does not have: leave persist out to keep "
            "plain content, and let replicas meet in a CrSqliteDatabase."
        )
    if isinstance(persist, bool) or persist not in (_PLAIN_STORE, _PLAIN_OR_MERGEABLE_STORE):
        raise ConfigError(f"persist must be 1 (plain stores) or 3 (any store), not {persist!r}.")


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _followed_by(content: WholeContent | None, persisted: Any) -> WholeContent:
    """Return the content after something was given by the medium."""
    if persisted is None or persisted is MISSING:
        return WholeContent({}, {})
    if not isinstance(persisted, list | tuple) or len(persisted) not in (2, 3):
        raise PersisterError(
            f"The medium gave {persisted!r:.80}; it must give [tables, values], changes as "
            "[tables, values, 1], or MISSING if it holds nothing yet."
        )
    tables, values, *kind = persisted
    if isinstance(tables, list | tuple) and isinstance(values, list | tuple):
        raise PersisterError(
            "The medium gave the content of a TinyBase MergeableStore, which replicell does not read: have "
            "it give plain content, as getContent() of that store returns it."
        )
    if not isinstance(tables, Mapping) or not isinstance(values, Mapping):
        raise PersisterError("The medium must give tables and values as mappings by id.")
    if kind != [1]:
        return WholeContent.of(tables, values)
    return (content or WholeContent({}, {})).with_changes(tables, values)


def _changes(unsaved: UnsavedChanges) -> Changes:
    """Return unsaved changes as the store's own methods give them."""
    tables: dict[str, Any] = {
        table_id: {
            row_id: MISSING
            if row.state is RowState.GONE
            else {cell_id: _decoded(cell) for cell_id, cell in row.cells.items()}
            for row_id, row in rows.items()
        }
        for table_id, rows in unsaved.tables.items()
    }
    return Changes(tables, {value_id: _decoded(value) for value_id, value in unsaved.values.items()})


def _decoded(cell: Any) -> Any:
    return MISSING if cell is MISSING else decode_cell(cell)
