"""Metrics: one number over all rows of a table, kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from replicell.store.aggregates import (
    Aggregate,
    Average,
    CountDistinct,
    Number,
    Sum,
    finite_or_missing,
    maximum,
    minimum,
    to_number,
)
from replicell.store.cells import is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.definitions import DefinableModule, Definition, Event
from replicell.store.extractors import Extract, RowExtractor, cells_read, compile_extractor
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.modules import module_of

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = [
    "AggregateAdd",
    "AggregateFunction",
    "AggregateRemove",
    "AggregateReplace",
    "Metric",
    "Metrics",
    "NamedAggregate",
    "Recipe",
    "create_metrics",
]

NamedAggregate: TypeAlias = Literal["sum", "avg", "min", "max", "count_distinct"]

AggregateFunction: TypeAlias = Callable[[list[Any], int], "Number | MissingType | None"]
"""Computes a metric from the numbers of all rows, and how many they are."""

AggregateAdd: TypeAlias = Callable[[Any, Any, int], "Number | MissingType | None"]
"""Given a metric, a number that came and how many there were, returns the new metric, or MISSING."""

AggregateRemove: TypeAlias = Callable[[Any, Any, int], "Number | MissingType | None"]
"""Given a metric, a number that went and how many there were, returns the new metric, or MISSING."""

AggregateReplace: TypeAlias = Callable[[Any, Any, Any, int], "Number | MissingType | None"]
"""Given a metric, a number that came, the one it replaced and how many there are, returns the new metric."""

MetricIdsListener: TypeAlias = "Callable[[Metrics], object]"
MetricListener: TypeAlias = "Callable[[Metrics, Id, Number | MissingType, Number | MissingType], object]"

_AGGREGATES: Mapping[str, Callable[[], Aggregate]] = {
    "sum": Sum,
    "avg": Average,
    "min": minimum,
    "max": maximum,
    "count_distinct": CountDistinct,
    "countDistinct": CountDistinct,
}


class Recipe:
    """How a metric is made of what is taken out of rows."""

    __slots__ = ("add", "aggregate", "create", "remove", "replace", "take")

    def __init__(
        self,
        aggregate: str | AggregateFunction | None,
        get_number: RowExtractor | None,
        add: AggregateAdd | None,
        remove: AggregateRemove | None,
        replace: AggregateReplace | None,
    ) -> None:
        self.aggregate = aggregate if callable(aggregate) else None
        self.create = _AGGREGATES.get(str(aggregate), Sum)
        self.add, self.remove, self.replace = add, remove, replace
        extract = compile_extractor(get_number, 1)
        self.take: Extract = extract
        if self.aggregate is not None or self.create is not CountDistinct:
            self.take = lambda row_id, row: to_number(extract(row_id, row))


class Metric(Definition):
    """One metric."""

    __slots__ = ("_aggregate", "_recipe", "_things", "value")

    def __init__(
        self, metric_id: Id, table_id: Id, tables: Mapping[Id, EncodedTable], recipe: Recipe
    ) -> None:
        super().__init__(metric_id, table_id, tables)
        self.value: Number | MissingType = MISSING
        self._recipe = recipe
        self._things: dict[Id, Any] = {}
        """What each row contributes, if anything."""
        self._aggregate: Aggregate = Sum()

    def define(self, table_id: Id, recipe: Recipe) -> list[Event]:
        """Give this metric a definition, the first or another."""
        before = (self.table_id, self._recipe)
        self.table_id, self._recipe = table_id, recipe
        try:
            taken = self.take_all()
        except BaseException:
            self.table_id, self._recipe = before
            raise
        return self.change(taken, True)

    def forget(self) -> None:
        """Begin with nothing."""
        self._things = {}

    def known_rows(self) -> Iterable[Id]:
        """The rows that contribute."""
        return self._things

    def take(self, row_id: Id, row: EncodedRow | None) -> Any:
        """Take a row's contribution out of it."""
        return MISSING if row is None else self._recipe.take(row_id, row)

    def apply(self, taken: dict[Id, Any], anew: bool) -> list[Event]:
        """Work out the metric after some contributions have changed."""
        old = self.value
        if self._recipe.aggregate is not None:
            new = self._combine(self._recipe, self._recipe.aggregate, taken, anew)
        else:
            if anew:
                self._aggregate = self._recipe.create()
                self._things = {}
            self._aggregate_changes(taken)
            new = self._aggregate.result()
        self.value = new
        return [] if new == old else [("metric", (self.id,), (new, old))]

    def _aggregate_changes(self, taken: dict[Id, Any]) -> None:
        things, aggregate = self._things, self._aggregate
        for row_id, new in taken.items():
            old = things.get(row_id, MISSING)
            if is_same_cell(old, new):
                continue
            if old is not MISSING:
                aggregate.remove(old)
            if new is MISSING:
                del things[row_id]
            else:
                aggregate.add(new)
                things[row_id] = new

    def _combine(
        self, recipe: Recipe, aggregate: AggregateFunction, taken: dict[Id, Any], anew: bool
    ) -> Number | MissingType:
        """Use the functions that the user gave, from the start where they give up."""
        things = self._things
        value: Any = MISSING if anew else self.value
        count = len(things)
        for row_id, new in taken.items():
            old = things.get(row_id, MISSING)
            if is_same_cell(old, new):
                continue
            if value is not MISSING:
                if old is MISSING:
                    value = None if recipe.add is None else recipe.add(value, new, count)
                elif new is MISSING:
                    value = None if recipe.remove is None else recipe.remove(value, old, count)
                else:
                    value = None if recipe.replace is None else recipe.replace(value, new, old, count)
                value = MISSING if value is None else value
            count += (old is MISSING) - (new is MISSING)
            if new is MISSING:
                del things[row_id]
            else:
                things[row_id] = new
        if not things:
            return MISSING
        if value is MISSING:
            value = aggregate(list(things.values()), len(things))
        return finite_or_missing(value)


class Metrics(DefinableModule[Metric]):
    """The metrics of a store. Mirrors TinyBase's ``Metrics``.

    Each metric is one number over the rows of a table, and is kept up to date: a write costs the same however
    many rows there are, also when the least or greatest number goes. Sums and averages do not drift. Results
    change at the end of a transaction. There is one such object a store: `create_metrics` returns it.

    >>> store = Store().set_table("pets", {"fido": {"price": 5}, "felix": {"price": 4}})
    >>> metrics = create_metrics(store).set_metric_definition("average_price", "pets", "avg", "price")
    >>> metrics.get_metric("average_price")
    4.5
    >>> _ = metrics.add_metric_listener("average_price", lambda metrics, metric_id, new, old: print(old, new))
    >>> _ = store.del_row("pets", "felix")
    4.5 5.0
    """

    __slots__ = ()

    def __init__(self, store: Store) -> None:
        super().__init__(store, "metric_ids", "metric")

    def set_metric_definition(
        self,
        metric_id: IdLike,
        table_id: IdLike,
        aggregate: NamedAggregate | str | AggregateFunction | None = "sum",
        get_number: RowExtractor | None = None,
        aggregate_add: AggregateAdd | None = None,
        aggregate_remove: AggregateRemove | None = None,
        aggregate_replace: AggregateReplace | None = None,
    ) -> Self:
        """Define a metric, or change the definition of one; its listeners stay.

        Mirrors TinyBase's ``setMetricDefinition``.

        Args:
            metric_id: The metric.
            table_id: The table over whose rows it is computed; it need not exist yet.
            aggregate: ``"sum"``, ``"avg"``, ``"min"``, ``"max"``, ``"count_distinct"`` (how many different
                cells there are), or a function of the list of all numbers and their count.
            get_number: The cell that holds a row's number, or a function ``(get_cell, row_id)`` that returns
                it; without it each row counts 1. Rows without one are left out, as are booleans and text that
                is no number; None counts as 0.
            aggregate_add: With a function as `aggregate`: the metric after a number has come, given the
                metric, the number and how many there were before. `MISSING` has it computed from the start.
            aggregate_remove: The same for a number that has gone.
            aggregate_replace: The same for a number that has replaced another, given the metric, the new
                number, the old one and how many there are.

        >>> metrics = create_metrics(Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 3}}))
        >>> _ = metrics.set_metric_definition("pets", "pets")
        >>> _ = metrics.set_metric_definition("ages", "pets", "count_distinct", "age")
        >>> _ = metrics.set_metric_definition("range", "pets", lambda ages, n: max(ages) - min(ages), "age")
        >>> metrics.get_metric("pets"), metrics.get_metric("ages"), metrics.get_metric("range")
        (2, 1, 0)
        """
        self._store._check_thread()
        table_id = to_id(table_id)
        recipe = Recipe(aggregate, get_number, aggregate_add, aggregate_remove, aggregate_replace)
        metric = Metric(to_id(metric_id), table_id, self._store._tables, recipe)
        self._define(metric, cells_read(get_number), lambda metric: metric.define(table_id, recipe))
        return self

    def del_metric_definition(self, metric_id: IdLike) -> Self:
        """Remove a metric. Mirrors TinyBase's ``delMetricDefinition``.

        >>> metrics = create_metrics(Store()).set_metric_definition("pets", "pets")
        >>> metrics.del_metric_definition("pets").get_metric_ids()
        []
        """
        self._store._check_thread()
        self._undefine(to_id(metric_id))
        return self

    def get_metric_ids(self) -> list[Id]:
        """Return the ids of all metrics, also of those without a value. Mirrors ``getMetricIds``."""
        self._store._check_thread()
        return list(self._things)

    def for_each_metric(self, callback: Callable[[Id, Number], object]) -> None:
        """Call back with the id and the value of each metric that has one. Mirrors ``forEachMetric``.

        >>> store = Store().set_row("pets", "fido", {"price": 5})
        >>> create_metrics(store).set_metric_definition("pets", "pets").for_each_metric(print)
        pets 1
        """
        self._store._check_thread()
        for metric_id, metric in list(self._things.items()):
            if metric.value is not MISSING:
                callback(metric_id, metric.value)

    def has_metric(self, metric_id: IdLike) -> bool:
        """Tell whether there is a metric of this id that has a value. Mirrors TinyBase's ``hasMetric``."""
        metric = self._find(metric_id)
        return metric is not None and metric.value is not MISSING

    def get_table_id(self, metric_id: IdLike) -> Id | None:
        """Return the id of the table a metric is of, or None. Mirrors TinyBase's ``getTableId``."""
        metric = self._find(metric_id)
        return None if metric is None else metric.table_id

    def get_metric(self, metric_id: IdLike, default: Any = None) -> Any:
        """Return the value of a metric, or the default if no row has a number or it is not finite.

        Mirrors TinyBase's ``getMetric``.

        >>> create_metrics(Store()).set_metric_definition("pets", "pets").get_metric("pets", default=0)
        0
        """
        metric = self._find(metric_id)
        return default if metric is None or metric.value is MISSING else metric.value

    def add_metric_ids_listener(self, listener: MetricIdsListener) -> Id:
        """Listen to when metrics are defined or removed. Mirrors TinyBase's ``addMetricIdsListener``."""
        return self._listeners.add("metric_ids", (), listener)

    def add_metric_listener(
        self,
        metric_id: IdLike | None,
        listener: MetricListener,
    ) -> Id:
        """Listen to when a metric (or any, with None) changes; the callback gets its new and its old value.

        Mirrors TinyBase's ``addMetricListener``.
        """
        return self._listeners.add("metric", (metric_id,), listener)

    def on_metric_ids(self) -> Hook[MetricIdsListener]:
        """Make a decorator for a function to call when metrics are defined or removed.

        See `add_metric_ids_listener`.
        """
        return self._hook(self.add_metric_ids_listener)

    def on_metric(self, metric_id: IdLike | None) -> Hook[MetricListener]:
        """Make a decorator for a function to call when a metric changes.

        See `add_metric_listener`.
        """
        return self._hook(self.add_metric_listener, metric_id)

    def observe_metric(self, metric_id: IdLike) -> Observable[Number | None]:
        """Return a reactivex Observable of a metric: its value now, or None, then each new one.

        >>> store = Store()
        >>> metrics = create_metrics(store).set_metric_definition("pets", "pets")
        >>> with metrics.observe_metric("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        None
        1
        """
        return self._observe("metric", self.add_metric_listener, self.get_metric, metric_id)

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of metrics. Mirrors TinyBase's ``getListenerStats``."""
        return {"metric": self._listeners.count("metric")}


def create_metrics(store: Store) -> Metrics:
    """Return the metrics of a store. Mirrors TinyBase's ``createMetrics``.

    >>> store = Store()
    >>> create_metrics(store) is create_metrics(store)
    True
    """
    return module_of(store, "metrics", Metrics)
