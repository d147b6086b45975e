"""A store's content as nested mappings: ``store.tables["todo"]["1"]["text"]``.

Views are live and hold nothing but ids. Reading one looks into the store and copies only the cell that is
asked for; writing to one is `Store.set_cell` and its like, with their validation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from replicell.store.cells import Cell, CellLike, EncodedCell, decode_cell
from replicell.store.content_types import Row, Table
from replicell.store.errors import AbsentError, WriteForbiddenError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.notebook.representation import NotebookRepresentation

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["RowView", "TableView", "TablesView", "ValuesView", "absent", "refuse_forbidden_write"]

_T = TypeVar("_T")
_D = TypeVar("_D")
_NOTHING: Mapping[Any, Any] = {}
_LONGEST = 12
_NO_DEFAULT: Any = object()


def absent(what: str) -> AbsentError:
    """Return the error for a key that is not there."""
    return AbsentError(f"{what}. Ask with `in`, or read with get(key, default), where it may be absent.")


def refuse_forbidden_write(store: Store) -> None:
    """Raise where a store that is not strict would leave out a write without a word.

    Raises:
        WriteForbiddenError: If listeners that may only read are being called.
    """
    store._check_thread()
    if store._depth < 0:
        raise WriteForbiddenError.in_listener()


class _View(MutableMapping[Id, _T], NotebookRepresentation, Generic[_T]):
    """A mapping whose keys are those of a dict in the store, which may come and go."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    @abstractmethod
    def _held(self) -> Mapping[Id, Any]: ...

    @abstractmethod
    def _holder(self) -> str: ...

    def __iter__(self) -> Iterator[Id]:
        """Go through the ids."""
        self._store._check_thread()
        return iter(self._held())

    def __len__(self) -> int:
        """Return how many there are."""
        self._store._check_thread()
        return len(self._held())

    def __contains__(self, key: object) -> bool:
        """Tell whether there is one of that id."""
        self._store._check_thread()
        return isinstance(key, (str, int)) and to_id(key) in self._held()

    def _key(self, given: IdLike, noun: str) -> Id:
        """Return the id of what is there."""
        self._store._check_thread()
        key = to_id(given)
        if key not in self._held():
            raise absent(f"{self._holder()} has no {noun} {key!r}")
        return key


class _CellsView(_View[Cell]):
    """A mapping of ids to cells."""

    __slots__ = ()
    _noun = "cell"

    def __getitem__(self, cell_id: IdLike) -> Cell:
        """Return a cell, decoded.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        self._store._check_thread()
        found: EncodedCell | MissingType = self._held().get(to_id(cell_id), MISSING)
        if found is MISSING:
            raise absent(f"{self._holder()} has no {self._noun} {to_id(cell_id)!r}")
        return decode_cell(found)

    def __repr__(self) -> str:
        """Show the first cells."""
        shown = [f"{key!r}: {decode_cell(cell)!r}" for key, cell in list(self._held().items())[:_LONGEST]]
        more = [f"... {len(self) - _LONGEST} more"] if len(self) > _LONGEST else []
        return f"<{type(self).__name__} of {self._holder()}: {{{', '.join(shown + more)}}}>"


class RowView(_CellsView):
    """The cells of a row, by cell id; it stays good when the row goes and comes back.

    >>> store = Store().set_row("pets", "fido", {"species": "dog", "age": 3})
    >>> fido = store.tables["pets"]["fido"]
    >>> fido["age"] += 1
    >>> fido
    <RowView of row 'fido' of table 'pets': {'species': 'dog', 'age': 4}>
    """

    __slots__ = ("_row_id", "_table_id")

    def __init__(self, store: Store, table_id: Id, row_id: Id) -> None:
        super().__init__(store)
        self._table_id = table_id
        self._row_id = row_id

    def __setitem__(self, cell_id: IdLike, cell: CellLike) -> None:
        """Do what `Store.set_cell` does."""
        refuse_forbidden_write(self._store)
        self._store.set_cell(self._table_id, self._row_id, cell_id, cell)

    def __delitem__(self, cell_id: IdLike) -> None:
        """Do what `Store.del_cell` does: a cell with a default in the schema is set to that.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        refuse_forbidden_write(self._store)
        self._store.del_cell(self._table_id, self._row_id, self._key(cell_id, self._noun))

    def clear(self) -> None:
        """Delete the row."""
        refuse_forbidden_write(self._store)
        self._store.del_row(self._table_id, self._row_id)

    def _held(self) -> Mapping[Id, Any]:
        return self._store._find_row(self._table_id, self._row_id)

    def _holder(self) -> str:
        return f"row {self._row_id!r} of table {self._table_id!r}"


class ValuesView(_CellsView):
    """The keyed values of a store, by id.

    >>> store = Store().set_value("open", True)
    >>> store.values["employees"] = 3
    >>> dict(store.values)
    {'open': True, 'employees': 3}
    """

    __slots__ = ()
    _noun = "value"

    def __setitem__(self, value_id: IdLike, value: CellLike) -> None:
        """Do what `Store.set_value` does."""
        refuse_forbidden_write(self._store)
        self._store.set_value(value_id, value)

    def __delitem__(self, value_id: IdLike) -> None:
        """Do what `Store.del_value` does: one with a default in the schema is set to that.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        refuse_forbidden_write(self._store)
        self._store.del_value(self._key(value_id, self._noun))

    def clear(self) -> None:
        """Delete all values, in one transaction."""
        refuse_forbidden_write(self._store)
        self._store.del_values()

    def _held(self) -> Mapping[Id, Any]:
        return self._store._values

    def _holder(self) -> str:
        return "the store"


class TableView(_View[RowView]):
    """The rows of a table, by row id.

    >>> pets = Store().set_cell("pets", "fido", "age", 3).tables["pets"]
    >>> pets["felix"] = {"age": 2}
    >>> list(pets), pets["felix"]["age"], "rex" in pets
    (['fido', 'felix'], 2, False)
    """

    __slots__ = ("_table_id",)

    def __init__(self, store: Store, table_id: Id) -> None:
        super().__init__(store)
        self._table_id = table_id

    def __getitem__(self, row_id: IdLike) -> RowView:
        """Return a view of a row.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        return RowView(self._store, self._table_id, self._key(row_id, "row"))

    def __setitem__(self, row_id: IdLike, row: Mapping[Any, Any]) -> None:
        """Do what `Store.set_row` does."""
        refuse_forbidden_write(self._store)
        self._store.set_row(self._table_id, row_id, dict(row))

    def __delitem__(self, row_id: IdLike) -> None:
        """Do what `Store.del_row` does.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        refuse_forbidden_write(self._store)
        self._store.del_row(self._table_id, self._key(row_id, "row"))

    def pop(self, row_id: IdLike, default: _D = _NO_DEFAULT) -> Row | _D:  # type: ignore[override]  # a view would be empty
        """Delete a row and return its cells, as a view of it would be empty; or `default` if it is absent.

        Raises:
            AbsentError: If it is not there and there is no default; it is a KeyError.
        """
        if default is not _NO_DEFAULT and row_id not in self:
            return default
        row = dict(self[row_id])
        del self[row_id]
        return row

    def popitem(self) -> tuple[Id, Row]:  # type: ignore[override]  # as for `pop`
        """Delete the first row and return its id and cells.

        Raises:
            AbsentError: If there is none; it is a KeyError.
        """
        for row_id in self:
            return row_id, self.pop(row_id)
        raise absent(f"{self._holder()} has no rows")

    def clear(self) -> None:
        """Delete the table."""
        refuse_forbidden_write(self._store)
        self._store.del_table(self._table_id)

    def __repr__(self) -> str:
        """Say how many rows there are."""
        return f"<TableView of {self._holder()}: {len(self)} row{'' if len(self) == 1 else 's'}>"

    def _held(self) -> Mapping[Id, Any]:
        return self._store._tables.get(self._table_id, _NOTHING)

    def _holder(self) -> str:
        return f"table {self._table_id!r}"


class TablesView(_View[TableView]):
    """The tables of a store, by table id.

    >>> store = Store()
    >>> store.tables["pets"] = {"fido": {"age": 3}}
    >>> store.tables["pets"]["fido"]["age"]
    3
    >>> del store.tables["pets"]
    >>> store.tables
    <TablesView: no tables>
    """

    __slots__ = ()

    def __getitem__(self, table_id: IdLike) -> TableView:
        """Return a view of a table.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        return TableView(self._store, self._key(table_id, "table"))

    def __setitem__(self, table_id: IdLike, table: Mapping[Any, Any]) -> None:
        """Do what `Store.set_table` does."""
        refuse_forbidden_write(self._store)
        self._store.set_table(table_id, {row_id: dict(row) for row_id, row in table.items()})

    def __delitem__(self, table_id: IdLike) -> None:
        """Do what `Store.del_table` does.

        Raises:
            AbsentError: If it is not there; it is a KeyError.
        """
        refuse_forbidden_write(self._store)
        self._store.del_table(self._key(table_id, "table"))

    def pop(self, table_id: IdLike, default: _D = _NO_DEFAULT) -> Table | _D:  # type: ignore[override]  # a view would be empty
        """Delete a table and return its rows, as a view of it would be empty; or `default` if it is absent.

        Raises:
            AbsentError: If it is not there and there is no default; it is a KeyError.
        """
        if default is not _NO_DEFAULT and table_id not in self:
            return default
        table = {row_id: dict(row) for row_id, row in self[table_id].items()}
        del self[table_id]
        return table

    def popitem(self) -> tuple[Id, Table]:  # type: ignore[override]  # as for `pop`
        """Delete the first table and return its id and rows.

        Raises:
            AbsentError: If there is none; it is a KeyError.
        """
        for table_id in self:
            return table_id, self.pop(table_id)
        raise absent("the store has no tables")

    def clear(self) -> None:
        """Delete all tables, in one transaction."""
        refuse_forbidden_write(self._store)
        self._store.del_tables()

    def __repr__(self) -> str:
        """Name the tables."""
        return f"<TablesView: {', '.join(map(repr, self)) or 'no tables'}>"

    def _held(self) -> Mapping[Id, Any]:
        return self._store._tables

    def _holder(self) -> str:
        return "the store"
