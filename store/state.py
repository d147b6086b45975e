"""What a store is made of, and which thread may touch it."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from replicell.store.changes import EncodedRow, EncodedTable, TransactionRecord
from replicell.store.errors import WrongThreadError
from replicell.store.ids import Id, IdPool
from replicell.store.listeners import ListenerRegistry
from replicell.store.missing import MISSING, MissingType
from replicell.store.modules import Settler, StoreModule
from replicell.store.observers import Observers
from replicell.store.schemas import TableRules
from replicell.store.sorted_rows import SortedRows
from replicell.store.threads import Submissions, name_of_thread

if TYPE_CHECKING:
    from replicell.store.guard import Guard

__all__ = ["StoreState"]


class StoreState:
    """The fields of a store; the classes that extend it, one for each concern, hold the methods.

    Content is two dicts of plain scalars, objects and arrays encoded as strings (see
    `replicell.store.cells`), so there is no object per row or cell beside what Python itself needs.
    """

    __slots__ = (
        "__weakref__",
        "_accepts_encoded",
        "_cell_counts",
        "_defined_within",
        "_depth",
        "_finishing",
        "_guard",
        "_listeners",
        "_modules",
        "_observers",
        "_old_tables_rules",
        "_old_values_rules",
        "_owner",
        "_pools",
        "_record",
        "_rich_tables",
        "_rollback_requested",
        "_settlers",
        "_sorted",
        "_strict",
        "_submissions",
        "_swift",
        "_swift_outside",
        "_tables",
        "_tables_rules",
        "_unobserved",
        "_unruled",
        "_values",
        "_values_rules",
    )

    def __init__(self, *, strict: bool = False) -> None:
        self._prepare(strict)

    def _prepare(self, strict: bool) -> None:
        self._tables: dict[Id, EncodedTable] = {}
        self._values: EncodedRow = {}
        self._cell_counts: dict[Id, dict[Id, int]] = {}
        """How many rows of each table use each cell id, in the order of first use."""
        self._rich_tables: set[Id] = set()
        """The tables that ever were to hold an object or array; all others copy without decoding."""
        self._pools: dict[Id, IdPool] = {}
        """Where add_row gets its ids, for the tables that needed it."""

        self._tables_rules: dict[Id, TableRules] | None = None
        self._values_rules: TableRules | None = None
        self._strict = strict

        self._listeners = ListenerRegistry()
        self._sorted = SortedRows(self._tables)
        self._observers: Observers | None = None
        self._modules: dict[str, StoreModule] = {}
        """What is derived from this store, by kind."""
        self._defined_within = False
        """Whether something was defined inside the open transaction, whose content may have changed since."""
        self._settlers: tuple[Settler, ...] = ()
        """What writes before each commit, after everybody else."""
        self._guard: Guard | None = None
        """Middleware, once it has a callback."""

        self._depth = 0
        """How many transactions are open within each other; -1 while only reading is allowed."""
        self._finishing = False
        self._rollback_requested = False
        self._record = TransactionRecord()
        self._old_tables_rules: dict[Id, TableRules] | MissingType | None = MISSING
        self._old_values_rules: TableRules | MissingType | None = MISSING
        """What the schemas were before the open transaction changed them."""
        self._accepts_encoded = False

        self._owner = get_ident()
        self._submissions = Submissions()
        self._unruled = True
        """Whether a plain cell is stored as it is given: no schema for tables, no middleware."""
        self._unobserved = True
        """Whether nobody could notice a transaction: no schema, and nobody listens."""
        self._swift_outside = True
        """Whether replacing one cell by another concerns nobody but listeners to content."""
        self._swift = True
        """Whether that is so and no transaction is open."""

    def _settle(self) -> None:
        """Work out anew which short cuts writes may take."""
        self._unruled = self._tables_rules is None and self._guard is None
        unfollowed = self._unruled and self._values_rules is None and not self._settlers
        observers = self._observers
        self._unobserved = (
            unfollowed and not self._listeners and (observers is None or not observers.follows_store)
        )
        self._swift_outside = (
            unfollowed and not self._sorted.views and not self._listeners.mutators.start_transaction.patterns
        )
        self._swift = self._swift_outside and self._depth == 0

    def _check_thread(self) -> None:
        if self._owner != get_ident():
            raise WrongThreadError(
                f"this store belongs to {name_of_thread(self._owner)} but was used from "
                f"{name_of_thread(get_ident())}. Hand the work over with store.submit(fn), or call "
                "store.move_to_current_thread() once, when the other thread no longer uses it."
            )
