"""All queries of a store together: which depends on which, and when each is published.

At the end of a transaction of the store, each query that listens to it takes its turn, in the order of
definition. What it reads is published before it, and what reads only its result after it, so every query is
published at most once for one change, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from replicell.store.errors import DefinitionError
from replicell.store.ids import Id
from replicell.store.queries.live import Definition, LiveQuery
from replicell.store.queries.plan import Plan, Source
from replicell.store.queries.results import ResultStore, ResultTable
from replicell.store.store import Store
from replicell.store.transactions import raise_all

__all__ = ["Publishing"]


class Publishing:
    """The live queries of a store.

    Args:
        store: The store.
        new_result: Told of each result table, when it is new.
    """

    __slots__ = ("_dependents", "_depth", "_errors", "_new_result", "_unsettled", "live", "results", "store")

    def __init__(self, store: Store, new_result: Callable[[ResultTable], None]) -> None:
        self.store = store
        self.live: dict[Id, LiveQuery] = {}
        """By id, in the order in which the ids were first defined."""
        self.results: dict[Id, ResultTable] = {}
        """Those of live queries, and others that somebody reads or listens to."""
        self._new_result = new_result
        self._dependents: dict[Id, dict[Id, None]] = {}
        """For each query those that read its result, in the order of definition."""
        self._unsettled: set[Id] = set()
        """The queries worked out in a transaction of the store that is not over."""
        self._errors: list[BaseException] = []
        self._depth = 0

    def result_of(self, query_id: Id) -> ResultTable:
        """Return the result table of a query, whether it is defined or not."""
        result = self.results.get(query_id)
        if result is None:
            result = self.results[query_id] = ResultTable(query_id, ResultStore(self.store))
            self._new_result(result)
        return result

    # --- defining -----------------------------------------------------------------------------------------

    def stage(self, definition: Definition) -> Callable[[], None]:
        """Work out a new definition without changing anything yet.

        Returns:
            What puts it in the place of the one before.

        Raises:
            DefinitionError: If it would read its own result.
            Exception: What a function of the query raises.
        """
        self._check_circles(definition)
        root = self._source(definition.table_id, definition.is_query)
        plan = Plan(definition.clauses, root, self._source, self.store._strict)
        query_id = definition.query_id
        live = LiveQuery(definition, plan, self.store, self.result_of(query_id), self.note)
        rows = live.compute(_raise)

        def commit() -> None:
            old = self.live.get(query_id)
            if old is not None:
                self._detach(old)
            self.live[query_id] = live
            live.attach(lambda _: self._finished(query_id))
            for upstream in live.upstreams:
                self._dependents.setdefault(upstream, {})[query_id] = None
            if self.store._depth > 0:
                self._unsettled.add(query_id)
            if live.result.is_busy:
                live.is_stale = True
            else:
                live.replace(rows)
                orders = live.is_ordered or (old is not None and old.is_ordered)
                live.order_changed = orders and live.result.is_open

        return commit

    def drop(self, query_id: Id) -> None:
        """Take a query away; its result empties when it is next published."""
        live = self.live.pop(query_id, None)
        if live is not None:
            self._detach(live)
        self._unsettled.discard(query_id)

    def tidy(self, keeps: Callable[[Id], bool]) -> None:
        """Let go of the result tables that nobody needs.

        Args:
            keeps: Whether somebody listens to the result of a query.
        """
        for query_id in list(self.results):
            if query_id not in self.live and not self._dependents.get(query_id) and not keeps(query_id):
                del self.results[query_id]

    def _detach(self, live: LiveQuery) -> None:
        live.detach()
        for upstream in live.upstreams:
            self._dependents[upstream].pop(live.definition.query_id, None)
            if not self._dependents[upstream]:
                del self._dependents[upstream]

    def _source(self, table_id: Id, is_query: bool) -> Source:
        return Source(self.result_of(table_id).store if is_query else self.store, table_id)

    def _check_circles(self, definition: Definition) -> None:
        reads = [definition.table_id] if definition.is_query else []
        reads += [join.table_id for join in definition.clauses.joins if join.is_query]
        seen: dict[Id, None] = {}
        while reads:
            query_id = reads.pop()
            if query_id == definition.query_id:
                raise DefinitionError(
                    f"query {query_id!r} would read its own result, by way of "
                    f"{', '.join(map(repr, seen)) or 'itself'}. A definition it had is left in place. "
                    "Let one of these queries read a table instead."
                )
            if query_id not in seen:
                seen[query_id] = None
                live = self.live.get(query_id)
                reads += () if live is None else live.upstreams

    # --- publishing ---------------------------------------------------------------------------------------

    def publish(self, query_id: Id, *, everyone: bool = False) -> None:
        """Tell of what has changed in the result of a query, and of all that follows from it.

        Args:
            query_id: The query.
            everyone: Whether also those that depend on it are told at once that have a turn of their own at
                the end of a transaction.
        """
        self._settle(query_id)
        for dependent in tuple(self._dependents.get(query_id, ())):
            live = self.live.get(dependent)
            if live is not None and (everyone or not live.has_own_turn):
                self.publish(dependent, everyone=everyone)

    def _settle(self, query_id: Id) -> None:
        result = self.results.get(query_id)
        if result is None or result.is_publishing:
            return
        result.is_publishing = True
        try:
            while True:
                live = self.live.get(query_id)
                if live is None:
                    if result.rows:
                        result.replace({})
                else:
                    for upstream in live.upstreams:
                        self._settle(upstream)
                    if live.is_pending:
                        live.refresh()
                if not result.is_open:
                    # Listeners may have written to what this query reads: go on until nothing is left.
                    break
                self._close(result, live)
        finally:
            result.is_publishing = False

    def _close(self, result: ResultTable, live: LiveQuery | None) -> None:
        store, query_id = result.store, result.query_id
        told_of_row_ids = bool(store._record.row_ids.get(query_id))
        moved = live is not None and live.order_changed
        if live is not None:
            live.order_changed = False
        result.close()
        if moved and not told_of_row_ids:
            store._call(store._listeners.normal.row_ids.find(query_id), query_id, dict)

    def _finished(self, query_id: Id) -> None:
        """Take a query's turn at the end of a transaction of the store."""
        if self._unsettled:
            self._unsettled.clear()
        live = self.live[query_id]
        stands_alone = query_id not in self._dependents and not live.upstreams and not live.is_pending
        if stands_alone and (not live.result.is_open or self._publish_alone(live)):
            return
        # As `telling` does it; here it is done after every transaction.
        self._depth += 1
        try:
            self.publish(query_id)
        finally:
            self._depth -= 1
        if self._errors and not self._depth:
            self._raise_all([])

    def _publish_alone(self, live: LiveQuery) -> bool:
        """Publish a query that is up to date and has nothing to do with others; tell whether that was all."""
        result = live.result
        if result.is_publishing or self._depth:
            return False
        result.is_publishing = True
        self._depth = 1
        try:
            result.close()
        finally:
            result.is_publishing = False
            self._depth = 0
        # Listeners may have failed, or have changed what this query reads, or the query itself.
        if self._errors or result.is_open or live.is_pending:
            return False
        return self.live.get(result.query_id) is live

    def catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        """Take in what a transaction touched of which queries may not have heard.

        Args:
            touched: The rows touched, by table.
            committed: Whether the transaction was committed; else it was undone.
        """
        if committed:
            for live in list(self.live.values()):
                live.catch_up(self.store, touched)
        elif self._unsettled:
            unsettled, self._unsettled = self._unsettled, set()
            with self.telling():
                for query_id, live in list(self.live.items()):
                    if query_id in unsettled:
                        live.is_stale = True
                        self.publish(query_id, everyone=True)

    # --- errors -------------------------------------------------------------------------------------------

    def note(self, error: Exception) -> None:
        """Keep an error for when everything is up to date."""
        self._errors.append(error)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Do something that may publish, and raise at its end what listeners and functions have raised.

        Raises:
            Exception: The only one as it is, several as a group.
        """
        self._depth += 1
        try:
            yield
        except BaseException as error:
            self._depth -= 1
            if self._errors and not self._depth:
                self._raise_all([error])
            raise
        self._depth -= 1
        if self._errors and not self._depth:
            self._raise_all([])

    def _raise_all(self, errors: list[BaseException]) -> NoReturn:
        errors, self._errors = errors + self._errors, []
        raise_all(errors, "queries that follow a store")


def _raise(error: Exception) -> None:
    raise error
