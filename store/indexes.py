"""Indexes: the rows of a table sorted into slices by something in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self, TypeAlias

from replicell.store.content_types import ForEachCell
from replicell.store.definitions import DefinableModule
from replicell.store.extractors import RowExtractor, cells_read, compile_extractor
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.index import Index, IndexKeys, RowIdSorter, SliceIdSorter, compile_slices
from replicell.store.modules import module_of

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["ForEachIndexedRow", "ForEachSlice", "Indexes", "create_indexes"]

ForEachIndexedRow: TypeAlias = Callable[[Callable[[Id, ForEachCell], object]], None]
"""Calls what it is given with each row id of one slice and a `ForEachCell`."""

ForEachSlice: TypeAlias = Callable[[Callable[[Id, ForEachIndexedRow], object]], None]
"""Calls what it is given with each slice id of one index and a `ForEachIndexedRow`."""

IndexIdsListener: TypeAlias = "Callable[[Indexes], object]"
HasIndexListener: TypeAlias = "Callable[[Indexes, Id, bool], object]"
SliceIdsListener: TypeAlias = "Callable[[Indexes, Id], object]"
HasSliceListener: TypeAlias = "Callable[[Indexes, Id, Id, bool], object]"
SliceRowIdsListener: TypeAlias = "Callable[[Indexes, Id, Id], object]"


class Indexes(DefinableModule[Index]):
    """The indexes of a store. Mirrors TinyBase's ``Indexes``.

    Each index sorts the rows of one table into slices and keeps them up to date: a write costs the same
    however many rows there are. Results change at the end of a transaction. There is one such object a store:
    `create_indexes` returns it. Listeners get this object first.

    >>> store = Store().set_table("pets", {
    ...     "fido": {"species": "dog", "age": 3}, "felix": {"species": "cat", "age": 2},
    ...     "rex": {"species": "dog", "age": 1}})
    >>> indexes = create_indexes(store).set_index_definition("by_species", "pets", "species", "age")
    >>> indexes.get_slice_ids("by_species"), indexes.get_slice_row_ids("by_species", "dog")
    (['dog', 'cat'], ['rex', 'fido'])
    """

    __slots__ = ()

    def __init__(self, store: Store) -> None:
        super().__init__(store, "index_ids", "has_index", "slice_ids", "has_slice", "slice_row_ids")

    def set_index_definition(
        self,
        index_id: IdLike,
        table_id: IdLike,
        get_slice_id_or_ids: RowExtractor | None = None,
        get_sort_key: RowExtractor | None = None,
        slice_id_sorter: SliceIdSorter | None = None,
        row_id_sorter: RowIdSorter | None = None,
    ) -> Self:
        """Define an index, or change the definition of one; its listeners stay.

        Mirrors TinyBase's ``setIndexDefinition``.

        Args:
            index_id: The index.
            table_id: The table whose rows it sorts into slices; it need not exist yet.
            get_slice_id_or_ids: The cell that names the slice of a row (rows without it are in slice ``""``),
                or a function ``(get_cell, row_id)`` that returns a slice id or a list of several. Without it
                all rows are in slice ``""``.
            get_sort_key: The cell, or function, by which the rows of a slice are sorted; a function may
                return a tuple. Without it they stay in the order they came, moved rows last.
            slice_id_sorter: Compares two slice ids. Without it slices are in the order of their first use.
            row_id_sorter: Compares two sort keys; the slice id is its third argument. Without it numbers come
                first, then strings.

        >>> indexes = create_indexes(Store().set_row("pets", "fido", {"colors": ["black", "white"]}))
        >>> _ = indexes.set_index_definition("by_color", "pets", lambda get_cell, row_id: get_cell("colors"))
        >>> indexes.get_slice_ids("by_color")
        ['black', 'white']
        """
        self._store._check_thread()
        index_id, table_id = to_id(index_id), to_id(table_id)
        take_slices = compile_slices(get_slice_id_or_ids)
        take_key = None if get_sort_key is None else compile_extractor(get_sort_key, encoded=True)
        keys = IndexKeys(slice_id_sorter, row_id_sorter)
        index = Index(index_id, table_id, self._store._tables)
        cell_ids = cells_read(get_slice_id_or_ids, get_sort_key)
        if self._define(index, cell_ids, lambda index: index.define(table_id, take_slices, take_key, keys)):
            self._listeners.call("has_index", (index_id,), True)
        return self

    def del_index_definition(self, index_id: IdLike) -> Self:
        """Remove an index. Mirrors TinyBase's ``delIndexDefinition``.

        >>> indexes = create_indexes(Store()).set_index_definition("all", "pets")
        >>> indexes.del_index_definition("all").get_index_ids()
        []
        """
        self._store._check_thread()
        index_id = to_id(index_id)
        index = self._undefine(index_id)
        if index is not None:
            self._listeners.call("has_index", (index_id,), False)
            slice_ids = index.slice_ids()
            if slice_ids:
                self._listeners.call("slice_ids", (index_id,))
            for slice_id in slice_ids:
                self._listeners.call("has_slice", (index_id, slice_id), False)
                self._listeners.call("slice_row_ids", (index_id, slice_id))
        return self

    def get_index_ids(self) -> list[Id]:
        """Return the ids of all indexes. Mirrors TinyBase's ``getIndexIds``."""
        self._store._check_thread()
        return list(self._things)

    def for_each_index(self, callback: Callable[[Id, ForEachSlice], object]) -> None:
        """Call back with each index id and a function that does the same for its slices.

        Mirrors TinyBase's ``forEachIndex``.

        >>> store = Store().set_row("pets", "fido", {"species": "dog"})
        >>> create_indexes(store).set_index_definition("all", "pets").for_each_index(
        ...     lambda index_id, for_each_slice: for_each_slice(
        ...         lambda slice_id, for_each_row: for_each_row(
        ...             lambda row_id, for_each_cell: for_each_cell(
        ...                 lambda cell_id, cell: print(row_id, cell)))))
        fido dog
        """
        self._store._check_thread()
        for index_id in list(self._things):
            callback(index_id, partial(self.for_each_slice, index_id))

    def for_each_slice(self, index_id: IdLike, callback: Callable[[Id, ForEachIndexedRow], object]) -> None:
        """Call back with each slice id of an index and a function that does the same for its rows.

        Mirrors TinyBase's ``forEachSlice``.
        """
        index = self._find(index_id)
        if index is None:
            return
        for slice_id in index.slice_ids():
            callback(slice_id, self._for_each_row(index, slice_id))

    def has_index(self, index_id: IdLike) -> bool:
        """Tell whether there is an index of this id. Mirrors TinyBase's ``hasIndex``."""
        return self._find(index_id) is not None

    def has_slice(self, index_id: IdLike, slice_id: IdLike) -> bool:
        """Tell whether an index has a slice of this id. Mirrors TinyBase's ``hasSlice``."""
        index = self._find(index_id)
        return index is not None and index.has_slice(to_id(slice_id))

    def get_table_id(self, index_id: IdLike) -> Id | None:
        """Return the id of the table an index is of, or None. Mirrors TinyBase's ``getTableId``."""
        index = self._find(index_id)
        return None if index is None else index.table_id

    def get_slice_ids(self, index_id: IdLike) -> list[Id]:
        """Return the ids of an index's slices in order. Mirrors TinyBase's ``getSliceIds``."""
        index = self._find(index_id)
        return [] if index is None else index.slice_ids()

    def get_slice_row_ids(self, index_id: IdLike, slice_id: IdLike) -> list[Id]:
        """Return the ids of a slice's rows in order. Mirrors TinyBase's ``getSliceRowIds``."""
        index = self._find(index_id)
        return [] if index is None else index.slice_row_ids(to_id(slice_id))

    def add_index_ids_listener(self, listener: IndexIdsListener) -> Id:
        """Listen to when indexes come or go. Mirrors TinyBase's ``addIndexIdsListener``."""
        return self._listeners.add("index_ids", (), listener)

    def add_has_index_listener(self, index_id: IdLike | None, listener: HasIndexListener) -> Id:
        """Listen to when an index (or any, with None) comes or goes. Mirrors ``addHasIndexListener``."""
        return self._listeners.add("has_index", (index_id,), listener)

    def add_slice_ids_listener(self, index_id: IdLike | None, listener: SliceIdsListener) -> Id:
        """Listen to when slices of an index come, go or change their order.

        Mirrors TinyBase's ``addSliceIdsListener``.

        >>> store = Store()
        >>> indexes = create_indexes(store).set_index_definition("by_species", "pets", "species")
        >>> _ = indexes.add_slice_ids_listener(
        ...     "by_species", lambda indexes, i: print(indexes.get_slice_ids(i)))
        >>> _ = store.set_row("pets", "fido", {"species": "dog"})
        ['dog']
        """
        return self._listeners.add("slice_ids", (index_id,), listener)

    def add_has_slice_listener(
        self,
        index_id: IdLike | None,
        slice_id: IdLike | None,
        listener: HasSliceListener,
    ) -> Id:
        """Listen to when a slice comes or goes. Mirrors TinyBase's ``addHasSliceListener``."""
        return self._listeners.add("has_slice", (index_id, slice_id), listener)

    def add_slice_row_ids_listener(
        self,
        index_id: IdLike | None,
        slice_id: IdLike | None,
        listener: SliceRowIdsListener,
    ) -> Id:
        """Listen to when rows of a slice come, go or change their order.

        Mirrors TinyBase's ``addSliceRowIdsListener``.

        >>> store = Store()
        >>> indexes = create_indexes(store).set_index_definition("by_species", "pets", "species")
        >>> _ = indexes.add_slice_row_ids_listener(
        ...     None, "dog", lambda indexes, i, s: print(indexes.get_slice_row_ids(i, s)))
        >>> _ = store.set_row("pets", "fido", {"species": "dog"})
        ['fido']
        """
        return self._listeners.add("slice_row_ids", (index_id, slice_id), listener)

    def on_index_ids(self) -> Hook[IndexIdsListener]:
        """Make a decorator for a function to call when indexes come or go.

        See `add_index_ids_listener`.
        """
        return self._hook(self.add_index_ids_listener)

    def on_has_index(self, index_id: IdLike | None) -> Hook[HasIndexListener]:
        """Make a decorator for a function to call when an index comes or goes.

        See `add_has_index_listener`.
        """
        return self._hook(self.add_has_index_listener, index_id)

    def on_slice_ids(self, index_id: IdLike | None) -> Hook[SliceIdsListener]:
        """Make a decorator for a function to call when slices of an index come, go or change their order.

        See `add_slice_ids_listener`.
        """
        return self._hook(self.add_slice_ids_listener, index_id)

    def on_has_slice(self, index_id: IdLike | None, slice_id: IdLike | None) -> Hook[HasSliceListener]:
        """Make a decorator for a function to call when a slice comes or goes.

        See `add_has_slice_listener`.
        """
        return self._hook(self.add_has_slice_listener, index_id, slice_id)

    def on_slice_row_ids(self, index_id: IdLike | None, slice_id: IdLike | None) -> Hook[SliceRowIdsListener]:
        """Make a decorator for a function to call when rows of a slice come, go or change their order.

        See `add_slice_row_ids_listener`.
        """
        return self._hook(self.add_slice_row_ids_listener, index_id, slice_id)

    def observe_slice_ids(self, index_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of an index's slices: those now, then each new list.

        >>> store = Store()
        >>> indexes = create_indexes(store).set_index_definition("by_species", "pets", "species")
        >>> with indexes.observe_slice_ids("by_species").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"species": "dog"})
        []
        ['dog']
        """
        return self._observe("slice ids", self.add_slice_ids_listener, self.get_slice_ids, index_id)

    def observe_slice_row_ids(self, index_id: IdLike, slice_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of a slice's rows: those now, then each new list.

        >>> store = Store()
        >>> indexes = create_indexes(store).set_index_definition("by_species", "pets", "species")
        >>> with indexes.observe_slice_row_ids("by_species", "dog").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"species": "dog"})
        []
        ['fido']
        """
        return self._observe(
            "slice row ids", self.add_slice_row_ids_listener, self.get_slice_row_ids, index_id, slice_id
        )

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of slice ids and of slice row ids. Mirrors ``getListenerStats``."""
        return {kind: self._listeners.count(kind) for kind in ("slice_ids", "slice_row_ids")}

    def _for_each_row(self, index: Index, slice_id: Id) -> ForEachIndexedRow:
        def for_each_row(callback: Callable[[Id, ForEachCell], object]) -> None:
            for row_id in index.slice_row_ids(slice_id):
                callback(row_id, self._for_each_cell(index.table_id, row_id))

        return for_each_row

    def _for_each_cell(self, table_id: Id, row_id: Id) -> ForEachCell:
        return lambda callback: self._store.for_each_cell(table_id, row_id, callback)


def create_indexes(store: Store) -> Indexes:
    """Return the indexes of a store. Mirrors TinyBase's ``createIndexes``.

    >>> store = Store()
    >>> create_indexes(store) is create_indexes(store)
    True
    """
    return module_of(store, "indexes", Indexes)
