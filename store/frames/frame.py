"""A table or a query result as a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from replicell.store.cells import Cell, EncodedCell, decode_cell
from replicell.store.changes import EncodedTable
from replicell.store.errors import ArgumentError, FrameError, MissingPackageError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.schemas import TableRules

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from replicell.store.store import Store

__all__ = ["ID_COLUMN", "Frame", "Objects", "snapshot_of"]

ID_COLUMN = "_id"
"""The column of row ids, unless another is named; the same name as in database files."""

Objects: TypeAlias = Literal["auto", "nested", "text"]
"""Whether objects and arrays become Arrow's structs and lists: where that loses nothing, always, or never."""

_NO_ROWS: EncodedTable = {}
_OBJECTS = ("auto", "nested", "text")


def snapshot_of(
    store: Store,
    table_id: Id,
    *,
    id_column: str | None,
    columns: Sequence[IdLike] | None,
    objects: Objects,
    row_ids: Sequence[Id] | None = None,
) -> Frame:
    """Take a table, or a query result in its order, as a frame; see `Store.frame`."""
    if objects not in _OBJECTS:
        raise ArgumentError(f"objects is one of {', '.join(map(repr, _OBJECTS))}, not {objects!r}")
    store._check_thread()
    rules = (store._tables_rules or {}).get(table_id)
    if columns is None:
        known = () if rules is None else rules.cells
        cell_ids = list(dict.fromkeys([*known, *store.get_table_cell_ids(table_id)]))
    else:
        cell_ids = [to_id(cell_id) for cell_id in columns]
    if id_column in cell_ids:
        raise FrameError(
            f"table {table_id!r} has a cell called {id_column!r}, as the column of row ids would be. Give "
            "that another name with id_column, or leave it out with id_column=None."
        )
    table = store._tables.get(table_id, _NO_ROWS)
    row_ids = list(table) if row_ids is None else row_ids
    rows = [table[row_id] for row_id in row_ids]
    cells = {cell_id: [row.get(cell_id, MISSING) for row in rows] for cell_id in cell_ids}
    return Frame(table_id, id_column, row_ids, cells, rules, objects)


class Frame:
    """What a table or a query result was at one moment, for data frame libraries; see `Store.frame`.

    Whoever takes objects with ``__arrow_c_stream__`` takes it: ``polars.DataFrame(frame)``,
    ``pyarrow.table(frame)``, ``pandas.DataFrame.from_arrow(frame)``, ``narwhals.from_arrow(frame,
    backend=...)``, and DuckDB in a query that names the variable. It may be read in any thread.

    Columns are the cells that any row has, in the order of the schema, or else of their first use. A column
    is boolean, int64, float64 or string; int64 and float64 together are float64 where that is exact. Objects
    and arrays become structs and lists. Columns that are none of these, having strings and numbers mixed or
    ints beyond 64 bits, become text in which everything but strings is U+FFFD and JSON, as in database files.
    A null is a cell that is absent or None.
    """

    __slots__ = ("_arrow", "_cells", "_id_column", "_objects", "_row_ids", "_rules", "_table_id")

    def __init__(
        self,
        table_id: Id,
        id_column: str | None,
        row_ids: Sequence[Id],
        cells: Mapping[Id, Sequence[EncodedCell | MissingType]],
        rules: TableRules | None,
        objects: Objects,
    ) -> None:
        self._table_id = table_id
        self._id_column = id_column
        self._row_ids = row_ids
        self._cells = cells
        self._rules = rules
        self._objects: Objects = objects
        self._arrow: pa.Table | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._cells) if self._id_column is None else [self._id_column, *self._cells]

    def to_dicts(self) -> list[dict[str, Cell]]:
        """Return a dict for each row, as `Store.get_row` has it, with the row id.

        Here absent cells are absent and None is None, and no package is needed.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"sold": None}})
        >>> store.frame("pets").to_dicts()
        [{'_id': 'fido', 'age': 3}, {'_id': 'felix', 'sold': None}]
        """
        rows: list[dict[str, Cell]] = [
            {} if self._id_column is None else {self._id_column: row_id} for row_id in self._row_ids
        ]
        for cell_id, cells in self._cells.items():
            for row, cell in zip(rows, cells, strict=True):
                if cell is not MISSING:
                    row[cell_id] = decode_cell(cell)
        return rows

    def to_arrow(self) -> pa.Table:
        """Return a pyarrow Table.

        Raises:
            FrameError: If there is something that Arrow cannot hold.
            MissingPackageError: If pyarrow is not installed.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"sold": True}})
        >>> store.frame("pets").to_arrow().to_pylist()
        [{'_id': 'fido', 'age': 3, 'sold': None}, {'_id': 'felix', 'age': None, 'sold': True}]
        """
        if self._arrow is None:
            try:
                from replicell.store.frames.columns import arrow_table
            except ModuleNotFoundError as error:
                raise MissingPackageError("Data frames", "pyarrow", "frames") from error

            ids = None if self._id_column is None else (self._id_column, self._row_ids)
            self._arrow = arrow_table(ids, self._cells, self._rules, self._objects)
        return self._arrow

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame.

        >>> Store().set_cell("pets", "fido", "age", 3).frame("pets").to_polars().rows()
        [('fido', 3)]
        """
        try:
            import polars as pl
        except ModuleNotFoundError as error:
            raise MissingPackageError("Data frames of polars", "polars", None) from error

        return pl.DataFrame(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame whose columns rest on Arrow, so that ints with nulls stay ints.

        For columns that rest on NumPy, as pandas had them of old, use ``pandas.DataFrame.from_arrow(frame)``.

        >>> Store().set_cell("pets", "fido", "age", 3).frame("pets").to_pandas().to_dict("records")
        [{'_id': 'fido', 'age': 3}]
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingPackageError("Data frames of pandas", "pandas", None) from error

        return self.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export it as an Arrow stream, in the form that all libraries have agreed on."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Export the types of the columns."""
        return self.to_arrow().schema.__arrow_c_schema__()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._row_ids)

    def __repr__(self) -> str:
        """Say how large it is."""
        return f"<Frame of {self._table_id!r}: {len(self)} x {len(self.columns)}>"
