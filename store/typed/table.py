"""A table whose rows are instances of a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from replicell.store.cells import encode_cell
from replicell.store.changes import EncodedTable
from replicell.store.content_types import Row, Table
from replicell.store.errors import InvalidCellError, UnreadableRowError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.models import name_of
from replicell.store.notebook.representation import NotebookRepresentation
from replicell.store.typed.accessors import reader_of, writer_of
from replicell.store.typed.codecs import RowCodec
from replicell.store.typed.mismatch import MismatchError
from replicell.store.views import absent, refuse_forbidden_write

if TYPE_CHECKING:
    from _typeshed import SupportsKeysAndGetItem
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["TypedTable", "table_id_of"]

T = TypeVar("T")
_D = TypeVar("_D")

_NO_ROWS: EncodedTable = {}
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def table_id_of(model: type) -> Id:
    """Return the table that a model's rows are in unless another is named: its own name in snake_case.

    >>> class TodoItem: ...
    >>> table_id_of(TodoItem)
    'todo_item'
    """
    return _WORD_BEGINS.sub("_", model.__name__).lower()


class TypedTable(MutableMapping[Id, T], NotebookRepresentation, Generic[T]):
    """The rows of one table as instances of a model, by row id; see `Store.table`.

    It is live: every access reads or writes the store, nothing is kept. Whatever is written is checked
    against the model and against the store's schema, also where the store is not strict, and refused whole.
    Cells that the model does not know are left alone.
    """

    __slots__ = ("_codec", "_read", "_store", "_table_id", "_write")

    def __init__(self, store: Store, codec: RowCodec[T], table_id: Id) -> None:
        self._store = store
        self._codec = codec
        self._table_id = table_id
        self._read: Callable[[Id], T] = reader_of(codec, store, table_id, self._read_with_care)
        self._write = writer_of(codec, codec.write)

    @property
    def model(self) -> type[T]:
        """What the rows are instances of."""
        return self._codec.model

    @property
    def table_id(self) -> Id:
        """The table in the store."""
        return self._table_id

    def get_store(self) -> Store:
        """Return the store."""
        return self._store

    # --- reading ------------------------------------------------------------------------------------------

    def __getitem__(self, row_id: IdLike) -> T:
        """Return a row.

        Raises:
            AbsentError: If there is no such row; it is a KeyError.
            UnreadableRowError: If the model cannot have what is in the row.
        """
        return self._read(row_id)  # type: ignore[arg-type]  # what is no string is not found, and made one

    @overload
    def get(self, row_id: IdLike, /) -> T | None: ...
    @overload
    def get(self, row_id: IdLike, /, default: T) -> T: ...
    @overload
    def get(self, row_id: IdLike, /, default: _D) -> T | _D: ...
    def get(self, row_id: IdLike, /, default: Any = None) -> Any:
        """Return a row, or `default` if there is no such row.

        Raises:
            UnreadableRowError: If the model cannot have what is in the row.
        """
        return self._read(row_id) if row_id in self else default  # type: ignore[arg-type]  # as above

    def __contains__(self, row_id: object) -> bool:
        """Tell whether there is such a row, whatever is in it."""
        return isinstance(row_id, (str, int)) and to_id(row_id) in self._rows()

    def __iter__(self) -> Iterator[Id]:
        """Go through the row ids, in the order of the table."""
        return iter(self._rows())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows())

    # --- writing ------------------------------------------------------------------------------------------

    def __setitem__(self, row_id: IdLike, row: T) -> None:
        """Replace a row, or put it there.

        Raises:
            InvalidCellError: If the model or the schema forbids what is in it; nothing was changed.
        """
        row_id = to_id(row_id)
        self._put(row_id, self._accepted(row_id, row))

    def __delitem__(self, row_id: IdLike) -> None:
        """Delete a row, also the cells that the model does not know.

        Raises:
            AbsentError: If there is no such row; it is a KeyError.
        """
        row_id = to_id(row_id)
        refuse_forbidden_write(self._store)
        if row_id not in self._rows():
            raise self._absent(row_id)
        self._store.del_row(self._table_id, row_id)

    def add(self, row: T) -> Id:
        """Put a row there under an id of its own, and return that.

        Raises:
            InvalidCellError: If the model or the schema forbids what is in it; nothing was changed.
        """
        refuse_forbidden_write(self._store)
        row_id = self._store.add_row(self._table_id, self._accepted(MISSING, row))
        if row_id is MISSING:
            raise InvalidCellError(self._table_id, MISSING, MISSING, row, "middleware has vetoed it")
        return row_id

    @overload
    def update(self, row_id: IdLike, /, **cells: Any) -> None: ...
    @overload
    def update(self, rows: SupportsKeysAndGetItem[Id, T], /, **more_rows: T) -> None: ...
    @overload
    def update(self, rows: Iterable[tuple[Id, T]], /, **more_rows: T) -> None: ...
    @overload
    def update(self, /, **rows: T) -> None: ...
    def update(  # pyright: ignore[reportIncompatibleMethodOverride]  # self only by position
        self, given: Any = (), /, **named: Any
    ) -> None:
        """Change some cells of one row, or put several rows there as a dict does, in one transaction.

        Args:
            given: The id of the row; or several rows, as a mapping or as pairs.
            named: New cells of the row, `MISSING` for one to delete; or more rows by id.

        Raises:
            AbsentError: If there is no such row; it is a KeyError.
            InvalidCellError: If the model or the schema forbids the rows that would result; nothing was
                changed.

        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Todo:
        ...     text: str
        ...     done: bool = False
        >>> todos = Store().table(Todo)
        >>> todos.update({"1": Todo("Buy milk"), "2": Todo("Drink it")})
        >>> todos.update("1", done=True)
        >>> todos["1"]
        Todo(text='Buy milk', done=True)
        """
        if isinstance(given, (str, int)):
            self._update_row(to_id(given), named)
            return
        rows = {to_id(row_id): row for row_id, row in dict(given, **named).items()}
        accepted = {row_id: self._accepted(row_id, row) for row_id, row in rows.items()}
        with self._store.transaction():
            for row_id, made in accepted.items():
                self._put(row_id, made)

    def clear(self) -> None:
        """Delete all rows, in one transaction."""
        refuse_forbidden_write(self._store)
        self._store.del_table(self._table_id)

    # --- observing ----------------------------------------------------------------------------------------

    @overload
    def observe(self) -> Observable[dict[Id, T]]: ...
    @overload
    def observe(self, row_id: IdLike) -> Observable[T | None]: ...
    def observe(self, row_id: IdLike | None = None) -> Observable[Any]:
        """Return a reactivex Observable of one row, None while it is absent, or of all rows by id.

        It gives what is there now and then what each transaction makes of it. Should the model not be able to
        have it, the Observable ends with an `UnreadableRowError`.

        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Todo:
        ...     text: str
        >>> todos = Store().table(Todo)
        >>> with todos.observe("1").subscribe(print):
        ...     todos["1"] = Todo("Buy milk")
        None
        Todo(text='Buy milk')
        """
        # Imported here, so that a store without observables does without reactivex.
        from reactivex import operators as ops

        if row_id is None:
            table = self._store.observe_table(self._table_id)
            return table.pipe(ops.map(self._all_made))
        wanted = to_id(row_id)

        def made(row: Row) -> T | None:
            return self._made(wanted, row) if row else None

        return self._store.observe_row(self._table_id, wanted).pipe(ops.map(made))

    def __repr__(self) -> str:
        """Say of what it is, and how many rows there are."""
        count = len(self)
        rows = f"{count} row{'' if count == 1 else 's'}"
        return f"<TypedTable of {name_of(self.model)}: {self._table_id!r}, {rows}>"

    # ------------------------------------------------------------------------------------------------------

    def _rows(self) -> EncodedTable:
        self._store._check_thread()
        return self._store._tables.get(self._table_id, _NO_ROWS)

    def _absent(self, row_id: Id) -> Exception:
        return absent(f"table {self._table_id!r} has no row {row_id!r}")

    def _read_with_care(self, given: object) -> T:
        row_id = to_id(given)
        row = self._rows().get(row_id)
        if row is None:
            raise self._absent(row_id) from None
        try:
            return self._codec.read(row)
        except MismatchError as error:
            self._raise_unreadable(row_id, error)

    def _all_made(self, table: Table) -> dict[Id, T]:
        return {row_id: self._made(row_id, row) for row_id, row in table.items()}

    def _made(self, row_id: Id, row: Row) -> T:
        known = self._codec.cell_ids
        try:
            return self._codec.make({name: cell for name, cell in row.items() if name in known})
        except MismatchError as error:
            self._raise_unreadable(row_id, error)

    def _raise_unreadable(self, row_id: Id, error: MismatchError) -> NoReturn:
        raise UnreadableRowError(
            name_of(self.model), self._table_id, row_id, _cell_id_of(error), error.value, _rule_of(error)
        ) from error.__cause__

    def _accepted(self, row_id: Id | MissingType, row: T) -> dict[Id, Any]:
        """Return the cells of an instance, when model and schema allow them."""
        try:
            cells = self._write(row)
        except MismatchError as error:
            self._raise_invalid(row_id, error)
        if not cells:
            raise InvalidCellError(self._table_id, row_id, MISSING, row, "a row must have at least one cell")
        self._check_against_schema(row_id, cells)
        return cells

    def _update_row(self, row_id: Id, given: Mapping[Id, Any]) -> None:
        refuse_forbidden_write(self._store)
        row = self._rows().get(row_id)
        if row is None:
            raise self._absent(row_id)
        try:
            cells = self._codec.merge(row, given)
        except MismatchError as error:
            self._raise_invalid(row_id, error)
        written = {name: cell for name, cell in cells.items() if cell is not MISSING}
        self._check_against_schema(row_id, {**dict.fromkeys(row), **written}, written)
        with self._store.transaction():
            for name in cells.keys() - written.keys():
                self._store.del_cell(self._table_id, row_id, name)
            if written:
                self._store.set_partial_row(self._table_id, row_id, written)

    def _put(self, row_id: Id, cells: dict[Id, Any]) -> None:
        refuse_forbidden_write(self._store)
        store, table_id = self._store, self._table_id
        present = store._tables.get(table_id, _NO_ROWS).get(row_id)
        if present is None or present.keys() <= self._codec.cell_ids:
            store.set_row(table_id, row_id, cells)
            return
        known = self._codec.cell_ids
        kept = {name: cell for name, cell in present.items() if name not in known}
        encoded = {name: encode_cell(cell) for name, cell in cells.items()}
        store._accepting_encoded(lambda: store.set_row(table_id, row_id, {**kept, **encoded}))

    def _check_against_schema(
        self, row_id: Id | MissingType, row: Mapping[Id, Any], written: Mapping[Id, Any] | None = None
    ) -> None:
        """See that the store, strict or not, would take a row as it is."""
        if self._store._tables_rules is None:
            return
        rules = self._store._tables_rules.get(self._table_id)
        if rules is None:
            raise InvalidCellError(self._table_id, row_id, MISSING, row, "the schema knows no such table")
        for name, cell in (row if written is None else written).items():
            rule = rules.cells.get(name)
            if rule is None:
                reason = "the store's schema knows no such cell"
                raise InvalidCellError(self._table_id, row_id, name, cell, reason)
            if rule.accept(cell) is MISSING:
                raise InvalidCellError(self._table_id, row_id, name, cell, rule.describe())
        for name in rules.required:
            if name not in row:
                reason = "it is required by the schema and has no default"
                raise InvalidCellError(self._table_id, row_id, name, MISSING, reason)

    def _raise_invalid(self, row_id: Id | MissingType, error: MismatchError) -> NoReturn:
        raise InvalidCellError(
            self._table_id, row_id, _cell_id_of(error), error.value, _rule_of(error)
        ) from error.__cause__


def _cell_id_of(error: MismatchError) -> Id | MissingType:
    return str(error.path[0]) if error.path else MISSING


def _rule_of(error: MismatchError) -> str:
    within = "/".join(map(str, error.path[1:]))
    return f"at {within}, {error.rule}" if within else error.rule
