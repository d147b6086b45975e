"""Reactive tables in memory: the Store and everything derived from it.

A `Store` holds tables of rows of cells and keyed values. It speaks TinyBase's language in snake_case, tells
listeners the net result of each transaction, and knows nothing of files, databases or networks.

>>> store = create_store()
>>> store.set_row("pets", "fido", {"species": "dog", "sold": False}).get_table("pets")
{'fido': {'species': 'dog', 'sold': False}}
"""

from replicell.store.cells import Cell, CellLike, EncodedCell
from replicell.store.changes import CellChange, Changes, TransactionLog
from replicell.store.errors import (
    InvalidCellError,
    InvalidValueError,
    InvalidWriteError,
    SchemaDataLossError,
    SchemaError,
    SchemaLoss,
    StoreError,
    WriteForbiddenError,
    WrongThreadError,
)
from replicell.store.ids import Id, IdLike
from replicell.store.missing import MISSING, MissingType
from replicell.store.reading import Content, Row, SortedRowIdsArgs, Table, Tables, Values
from replicell.store.schemas import CellSchema, TableSchema, TablesSchema, ValueSchema, ValuesSchema
from replicell.store.store import Store, create_store

__all__ = [
    "MISSING",
    "Cell",
    "CellChange",
    "CellLike",
    "CellSchema",
    "Changes",
    "Content",
    "EncodedCell",
    "Id",
    "IdLike",
    "InvalidCellError",
    "InvalidValueError",
    "InvalidWriteError",
    "MissingType",
    "Row",
    "SchemaDataLossError",
    "SchemaError",
    "SchemaLoss",
    "SortedRowIdsArgs",
    "Store",
    "StoreError",
    "Table",
    "TableSchema",
    "Tables",
    "TablesSchema",
    "TransactionLog",
    "ValueSchema",
    "Values",
    "ValuesSchema",
    "WriteForbiddenError",
    "WrongThreadError",
    "create_store",
]
