"""Reactive tables in memory: the Store and everything derived from it.

A `Store` holds tables of rows of cells and keyed values. It speaks TinyBase's language in snake_case, tells
listeners the net result of each transaction, and knows nothing of files, databases or networks.

>>> store = create_store()
>>> store.set_row("pets", "fido", {"species": "dog", "sold": False}).get_table("pets")
{'fido': {'species': 'dog', 'sold': False}}
"""

from replicell.store.cells import Cell, CellLike, EncodedCell
from replicell.store.change_objects import CellChange, Change, ValueChange
from replicell.store.changes import Changes, TransactionLog, Transition
from replicell.store.checkpoints import CheckpointIds, Checkpoints, create_checkpoints
from replicell.store.computed import ComputedCells, create_computed_cells
from replicell.store.content_types import Content, Row, SortedRowIdsArgs, Table, Tables, Values
from replicell.store.errors import (
    AbsentError,
    ArgumentError,
    DefinitionError,
    EditError,
    FrameError,
    InvalidCellError,
    InvalidValueError,
    InvalidWriteError,
    MissingPackageError,
    ModelError,
    NoEventLoopError,
    RestrictedError,
    SchemaDataLossError,
    SchemaError,
    SchemaLoss,
    StoreError,
    UnreadableRowError,
    UnsettledError,
    WaitTimeoutError,
    WatchOverflowError,
    WriteForbiddenError,
    WrongThreadError,
)
from replicell.store.extractors import GetCell, RowExtractor
from replicell.store.frames import Frame
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike
from replicell.store.indexes import Indexes, create_indexes
from replicell.store.links import Links, create_links
from replicell.store.metrics import Metrics, create_metrics
from replicell.store.middleware import Middleware, create_middleware
from replicell.store.missing import MISSING, MissingType
from replicell.store.models import schema_from
from replicell.store.queries import GetTableCell, Queries, QueryBuilder, create_queries
from replicell.store.referential import OnDelete
from replicell.store.relationships import Relationships, create_relationships
from replicell.store.row_order import RowOrder
from replicell.store.schemas import CellSchema, TableSchema, TablesSchema, ValueSchema, ValuesSchema
from replicell.store.schematizers import Schematizer, create_custom_schematizer
from replicell.store.store import Store, create_store
from replicell.store.typed import TypedTable
from replicell.store.views import RowView, TablesView, TableView, ValuesView

__all__ = [
    "MISSING",
    "AbsentError",
    "ArgumentError",
    "Cell",
    "CellChange",
    "CellLike",
    "CellSchema",
    "Change",
    "Changes",
    "CheckpointIds",
    "Checkpoints",
    "ComputedCells",
    "Content",
    "DefinitionError",
    "EditError",
    "EncodedCell",
    "Frame",
    "FrameError",
    "GetCell",
    "GetTableCell",
    "Hook",
    "Id",
    "IdLike",
    "Indexes",
    "InvalidCellError",
    "InvalidValueError",
    "InvalidWriteError",
    "Links",
    "Metrics",
    "Middleware",
    "MissingPackageError",
    "MissingType",
    "ModelError",
    "NoEventLoopError",
    "OnDelete",
    "Queries",
    "QueryBuilder",
    "Relationships",
    "RestrictedError",
    "Row",
    "RowExtractor",
    "RowOrder",
    "RowView",
    "SchemaDataLossError",
    "SchemaError",
    "SchemaLoss",
    "Schematizer",
    "SortedRowIdsArgs",
    "Store",
    "StoreError",
    "Table",
    "TableSchema",
    "TableView",
    "Tables",
    "TablesSchema",
    "TablesView",
    "TransactionLog",
    "Transition",
    "TypedTable",
    "UnreadableRowError",
    "UnsettledError",
    "ValueChange",
    "ValueSchema",
    "Values",
    "ValuesSchema",
    "ValuesView",
    "WaitTimeoutError",
    "WatchOverflowError",
    "WriteForbiddenError",
    "WrongThreadError",
    "create_checkpoints",
    "create_computed_cells",
    "create_custom_schematizer",
    "create_indexes",
    "create_links",
    "create_metrics",
    "create_middleware",
    "create_queries",
    "create_relationships",
    "create_store",
    "schema_from",
]
