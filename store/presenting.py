"""A store's content in Python's own forms: mappings and typed rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from replicell.store.errors import SchemaDataLossError
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
