"""A store's content in other forms: mappings, typed rows and data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from replicell.store.errors import SchemaDataLossError
from replicell.store.frames.frame import ID_COLUMN, Frame, Objects, snapshot_of
from replicell.store.frames.loading import Nulls, load_table
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.listening import Listening
from replicell.store.models import schema_from
from replicell.store.schemas import TableRules, compile_tables_schema
from replicell.store.typed.codecs import RowCodec, codec_of
from replicell.store.typed.table import TypedTable, table_id_of
from replicell.store.views import TablesView, ValuesView

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["Presenting"]

_T = TypeVar("_T")


class Presenting(Listening):
    """The methods of a store that give its content other forms."""

    __slots__ = ()

    @property
    def tables(self) -> TablesView:
        """The tables as nested mappings, live: ``store.tables["pets"]["fido"]["age"]``.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> store.tables["pets"]["fido"]["age"] += 1
        >>> store.get_cell("pets", "fido", "age")
        4
        """
        return TablesView(cast("Store", self))

    @property
    def values(self) -> ValuesView:
        """The keyed values as a mapping, live.

        >>> store = Store()
        >>> store.values["open"] = True
        >>> store.get_values()
        {'open': True}
        """
        return ValuesView(cast("Store", self))

    def table(
        self, model: type[_T], table_id: IdLike | None = None, *, schema: bool = False
    ) -> TypedTable[_T]:
        """Return a table whose rows are instances of a model, as a live mapping by row id.

        Args:
            model: A dataclass, a TypedDict, a pydantic model or a msgspec Struct.
            table_id: The table; by default the name of the model in snake_case.
            schema: Whether to add what the model says to the tables schema, so that it holds for all who
                write to the table. As with any schema, tables that are not in it cannot be written to.

        Raises:
            ModelError: If it is no model, or has a field that no cell can hold.
            SchemaDataLossError: If that schema would drop or replace data; nothing was changed.

        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Pet:
        ...     species: str
        ...     age: int = 0
        >>> store = Store()
        >>> pets = store.table(Pet, "pets")
        >>> pets["fido"] = Pet("dog", 3)
        >>> store.get_table("pets"), pets["fido"]
        ({'fido': {'species': 'dog', 'age': 3}}, Pet(species='dog', age=3))
        """
        self._check_thread()
        codec: RowCodec[_T] = codec_of(cast("Any", model))
        table_id = table_id_of(model) if table_id is None else to_id(table_id)
        if schema:
            self._add_to_schema(table_id, model)
        return TypedTable(cast("Store", self), codec, table_id)

    def frame(
        self,
        table_id: IdLike,
        *,
        id_column: str | None = ID_COLUMN,
        columns: Sequence[IdLike] | None = None,
        objects: Objects = "auto",
    ) -> Frame:
        """Return what a table is now as something that polars, pandas, pyarrow, DuckDB and narwhals read.

        Args:
            table_id: The table; if there is none of that id, the frame is empty.
            id_column: What the column of row ids is called; None leaves it out.
            columns: The cells to export; by default all that the schema knows or any row has.
            objects: Whether objects and arrays become structs and lists: ``"auto"`` where that loses
                nothing, ``"nested"`` always, with keys that some objects lack as nulls, ``"text"`` never.

        Raises:
            FrameError: If a cell has the name of the column of row ids.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> store.frame("pets").to_polars()["age"].sum()
        5
        """
        return snapshot_of(
            cast("Store", self), to_id(table_id), id_column=id_column, columns=columns, objects=objects
        )

    def set_table_from(
        self,
        table_id: IdLike,
        frame: object,
        *,
        id_column: str | None = ID_COLUMN,
        nulls: Nulls | None = None,
        convert: bool = False,
    ) -> Self:
        """Replace a table by what is in a data frame, in one transaction.

        Args:
            table_id: The table.
            frame: A frame of polars, pandas, pyarrow, DuckDB or whatever else has ``__arrow_c_stream__`` or
                is known to narwhals; a dict of columns; or a list of dicts.
            id_column: The column that has the row ids, strings or whole numbers; None numbers the rows.
            nulls: Whether a null is a cell that is ``"absent"`` or a cell of None (``"none"``). By default
                absent, but None in a list of dicts, where absent cells need no nulls. A row without any cell
                is no row.
            convert: Whether what no cell can hold becomes what comes nearest: dates and times ISO 8601 text,
                durations seconds, decimal fractions floats, NaN and infinities null. Otherwise it is refused.

        Raises:
            FrameError: If it is no frame, lacks row ids or has one twice, or has something in it that no cell
                can hold; nothing was changed.
            InvalidCellError: If the schema forbids something in it; nothing was changed.
            MissingPackageError: If a package is needed and not installed.

        >>> pets = {"_id": ["fido", "felix"], "age": [3, None], "sold": [True, False]}
        >>> Store().set_table_from("pets", pets).get_table("pets")
        {'fido': {'age': 3, 'sold': True}, 'felix': {'sold': False}}
        """
        load_table(
            cast("Store", self), to_id(table_id), frame, id_column=id_column, nulls=nulls, convert=convert
        )
        return self

    # ------------------------------------------------------------------------------------------------------

    def _add_to_schema(self, table_id: Id, model: type) -> None:
        rules = dict(self._tables_rules or {})
        added = compile_tables_schema({table_id: schema_from(model)})[0][table_id]
        present = rules.get(table_id)
        cells = {**({} if present is None else present.cells), **added.cells}
        rules[table_id] = TableRules(cells)
        losses = self._table_losses(rules)
        if losses:
            raise SchemaDataLossError(losses)
        self._write(lambda: self._install_tables_rules(rules))
