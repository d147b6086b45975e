"""Where notebook views read: tables of a store and results of queries, values and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from replicell.store.cells import EncodedCell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

if TYPE_CHECKING:
    from replicell.store.metrics import Metrics
    from replicell.store.queries import Queries
    from replicell.store.schemas import CellRule
    from replicell.store.store import Store

__all__ = [
    "Cancel",
    "MetricValue",
    "QueryResult",
    "StoreTable",
    "StoreValue",
    "TableSource",
    "ValueSource",
    "void",
]

Cancel: TypeAlias = Callable[[], None]
"""Undoes what returned it; call it once."""

_NO_ROWS: EncodedTable = {}


class TableSource(ABC):
    """A table to look at.

    Args:
        owner: The store whose thread may read it.
        table_id: Its id, which is shown.
    """

    __slots__ = ("owner", "table_id")

    is_editable = False
    """Whether cells can be written."""

    def __init__(self, owner: Store, table_id: Id) -> None:
        self.owner = owner
        self.table_id = table_id

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store that holds the rows."""

    @abstractmethod
    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when anything in the table, or its order, has changed."""

    def own_order(self, offset: int, limit: int) -> list[Id]:
        """Return some row ids in the order of the table itself, in which rows came."""
        rows = self.rows
        count = len(rows)
        start, stop = min(offset, count), min(offset + limit, count)
        if start <= count // 2:
            return list(islice(rows, start, stop))
        # From the nearer end, as there is no way to a place but past all before it.
        return list(islice(reversed(rows), count - stop, count - start))[::-1]

    @property
    def rows(self) -> EncodedTable:
        """The rows as they are now; not to be changed."""
        return self.store._tables.get(self.table_id, _NO_ROWS)

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def row(self, row_id: Id) -> EncodedRow:
        """Return one row; not to be changed."""
        return self.rows.get(row_id, {})

    def column_ids(self) -> list[Id]:
        """Return the ids of the cells in use, those of a schema first."""
        in_use = self.store._cell_counts.get(self.table_id, ())
        return list(dict.fromkeys([*self._rules(), *in_use]))

    def rule(self, cell_id: Id) -> CellRule | None:
        """Return what a schema says of a cell, if there is one and it says anything."""
        return self._rules().get(cell_id)

    def window(self, offset: int, limit: int, sort: Id | None, descending: bool) -> list[Id]:
        """Return some row ids, in the order of a cell or, without one, of the table itself."""
        if sort is None:
            return self.own_order(offset, limit)
        return self.store.get_sorted_row_ids(self.table_id, sort, descending, offset, limit)

    @abstractmethod
    def keep_order(self, sort: Id, descending: bool) -> Cancel:
        """Have the order of a cell kept while it is looked at, so that a window of it costs no sorting."""

    def _rules(self) -> dict[Id, CellRule]:
        tables_rules = self.store._tables_rules
        rules = None if tables_rules is None else tables_rules.get(self.table_id)
        return {} if rules is None else rules.cells


class StoreTable(TableSource):
    """A table of a store."""

    __slots__ = ()

    is_editable = True

    @property
    def store(self) -> Store:
        """The store that holds the rows."""
        return self.owner

    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when anything in the table has changed."""
        listener_id = self.owner.add_table_listener(self.table_id, lambda *_: told())
        return lambda: void(self.owner.del_listener(listener_id))

    def keep_order(self, sort: Id, descending: bool) -> Cancel:
        """Have the order of a cell kept while it is looked at."""
        listener_id = self.owner.add_sorted_row_ids_listener(self.table_id, sort, descending, 0, None, void)
        return lambda: void(self.owner.del_listener(listener_id))


class QueryResult(TableSource):
    """The result of a query, which need not be defined yet."""

    __slots__ = ("_queries",)

    def __init__(self, queries: Queries, query_id: Id) -> None:
        super().__init__(queries.get_store(), query_id)
        self._queries = queries

    @property
    def store(self) -> Store:
        """The store that holds the result."""
        return self._queries._result(self.table_id)[0]

    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when anything in the result has changed, or only its order."""
        queries = self._queries
        content_id = queries.add_result_table_listener(self.table_id, lambda *_: told())
        order_id = queries.add_result_row_ids_listener(self.table_id, lambda *_: told())
        return lambda: void(queries.del_listener(content_id).del_listener(order_id))

    def keep_order(self, sort: Id, descending: bool) -> Cancel:
        """Have the order of a cell kept while it is looked at."""
        queries = self._queries
        listener_id = queries.add_result_sorted_row_ids_listener(
            self.table_id, sort, descending, 0, None, void
        )
        return lambda: void(queries.del_listener(listener_id))

    def own_order(self, offset: int, limit: int) -> list[Id]:
        """Return some row ids in the order that the query asks for, or in which rows came into the result."""
        ordered = self._queries._ordered(self.table_id)
        return super().own_order(offset, limit) if ordered is None else ordered[offset : offset + limit]


class ValueSource(ABC):
    """One value to look at."""

    __slots__ = ("owner", "value_id")

    is_editable = False
    """Whether it can be written."""

    def __init__(self, owner: Store, value_id: Id) -> None:
        self.owner = owner
        self.value_id = value_id

    @abstractmethod
    def read(self) -> EncodedCell | MissingType:
        """Return the value as it is now."""

    @abstractmethod
    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when it has changed."""

    def rule(self) -> CellRule | None:
        """Return what a schema says of it, if there is one."""
        return None


class StoreValue(ValueSource):
    """A keyed value of a store."""

    __slots__ = ()

    is_editable = True

    def read(self) -> EncodedCell | MissingType:
        """Return the value as it is now."""
        return self.owner.get_encoded_value(self.value_id)

    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when it has changed."""
        listener_id = self.owner.add_value_listener(self.value_id, lambda *_: told())
        return lambda: void(self.owner.del_listener(listener_id))

    def rule(self) -> CellRule | None:
        """Return what a schema says of it, if there is one."""
        rules = self.owner._values_rules
        return None if rules is None else rules.cells.get(self.value_id)


class MetricValue(ValueSource):
    """A metric, which need not be defined yet."""

    __slots__ = ("_metrics",)

    def __init__(self, metrics: Metrics, metric_id: Id) -> None:
        super().__init__(metrics.get_store(), metric_id)
        self._metrics = metrics

    def read(self) -> EncodedCell | MissingType:
        """Return the metric as it is now."""
        value: EncodedCell | MissingType = self._metrics.get_metric(self.value_id, MISSING)
        return value

    def listen(self, told: Callable[[], object]) -> Cancel:
        """Have a function called when it has changed."""
        listener_id = self._metrics.add_metric_listener(self.value_id, lambda *_: told())
        return lambda: void(self._metrics.del_listener(listener_id))


def void(*_: object) -> None:
    """Take anything and do nothing."""
