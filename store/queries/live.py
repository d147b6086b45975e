"""A query at work: it listens to its sources, keeps its result up to date and publishes what has changed.

A plain result is written as soon as rows of a source are known to have changed; grouped and ordered ones are
worked out just before they are published, which happens when the source's transaction is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.ids import Id
from replicell.store.queries.builder import Build
from replicell.store.queries.clauses import Clauses
from replicell.store.queries.equality import is_same_row
from replicell.store.queries.expansion import Expansion
from replicell.store.queries.grouping import Grouping
from replicell.store.queries.links import Failed, Links, Put, Rows
from replicell.store.queries.ordering import Ordering
from replicell.store.queries.plan import Plan, Source
from replicell.store.queries.results import ResultTable
from replicell.store.queries.selection import Selection
from replicell.store.sorted_rows import default_sort_key
from replicell.store.store import Store

__all__ = ["Definition", "LiveQuery"]


class Definition:
    """What was given to define a query, and the clauses it said."""

    __slots__ = ("build", "clauses", "is_query", "query_id", "table_id")

    def __init__(self, query_id: Id, table_id: Id, is_query: bool, build: Build, clauses: Clauses) -> None:
        self.query_id = query_id
        self.table_id = table_id
        self.is_query = is_query
        self.build = build
        self.clauses = clauses


class LiveQuery:
    """One definition of a query and everything known of its rows.

    Args:
        definition: The definition.
        plan: Where its rows come from.
        store: The store that is queried, which may or may not be among its sources.
        result: Where its result goes.
        failed: Takes errors of its functions while it is kept up to date.
    """

    __slots__ = (
        "_changed",
        "_failed",
        "_grouping",
        "_listeners",
        "_ordering",
        "_plan",
        "_put",
        "_rows",
        "_selected",
        "_selection",
        "_selects",
        "_store",
        "_writes_at_once",
        "definition",
        "has_own_turn",
        "is_stale",
        "order_changed",
        "result",
        "sources",
        "upstreams",
    )

    def __init__(
        self, definition: Definition, plan: Plan, store: Store, result: ResultTable, failed: Failed
    ) -> None:
        self.definition = definition
        self.result = result
        self.is_stale = False
        """Whether everything must be worked out anew."""
        self.order_changed = False
        """Whether rows of the result have changed places since it was published."""
        self.sources = plan.sources
        """The tables and results it reads, each once."""
        self.upstreams = [source.table_id for source in self.sources if source.store is not store]
        """The queries whose results it reads."""
        self.has_own_turn = len(self.upstreams) < len(self.sources)
        """Whether it is published at the end of each transaction of the store, not just after its root."""
        self._store = store
        self._selects = bool(definition.clauses.selections)
        self._plan = plan
        self._failed = failed
        self._listeners: list[tuple[Store, Id]] = []
        self._changed: dict[Id, EncodedRow | None] = {}
        """What the selected rows that have changed were; only where they are grouped or ordered."""
        self._prepare()

    def _prepare(self) -> None:
        clauses, plan = self.definition.clauses, self._plan
        self._selection = Selection(clauses, plan)
        self._rows: Rows = (Expansion if plan.expands else Links)(plan, self._selection)
        self._grouping: Grouping | None = None
        if clauses.is_grouped:
            self._grouping = Grouping(clauses, self._selection.column_ids(plan))
        self._ordering: Ordering | None = None
        if clauses.is_ordered:
            last_key = default_sort_key if self._grouping is None else self._grouping.sort_key
            self._ordering = Ordering(clauses, last_key, self._failed)
        self._selected: EncodedTable = {}
        self._changed.clear()
        self._writes_at_once = self._grouping is None and self._ordering is None
        self._put: Put = self._keep
        if self._writes_at_once:
            named = not self._selection.takes_whole_rows
            self._put = partial(self.result.put, cell_ids=self._selection.ids) if named else self.result.put

    # --- sources ------------------------------------------------------------------------------------------

    @property
    def is_pending(self) -> bool:
        """Whether its result is not yet what it should be."""
        return bool(self._changed) or self.is_stale

    def attach(self, finished: Callable[[Store], None]) -> None:
        """Begin to listen to the sources.

        Args:
            finished: Called at the end of each transaction of the store, if it is among the sources.
        """
        for source in self.sources:
            self._listen(source.store, source)
        if self._grouping is not None:
            for source in self._selection.whole_sources(self._plan):
                listener_id = source.store.add_table_cell_ids_listener(source.table_id, self._rename)
                self._listeners.append((source.store, listener_id))
        if self.has_own_turn:
            listener_id = self._store.add_did_finish_transaction_listener(finished)
            self._listeners.append((self._store, listener_id))

    def detach(self) -> None:
        """Stop listening."""
        for store, listener_id in self._listeners:
            store.del_listener(listener_id)
        self._listeners.clear()

    def _listen(self, store: Store, source: Source) -> None:
        def row_changed(_: Store, table_id: Id, row_id: Id, __: Any) -> None:
            rows = store._record.cells.get(table_id)
            self.follow(source, row_id, () if rows is None else rows.get(row_id, ()))

        self._listeners.append((store, store.add_row_listener(source.table_id, None, row_changed)))

    def _rename(self, *_: object) -> None:
        # Other cells make groups now.
        self.is_stale = True

    def catch_up(self, store: Store, touched: Mapping[Id, Iterable[Id]]) -> None:
        """Take in what a transaction touched, of which not all listeners have heard."""
        if self._grouping is not None and self._selection.takes_whole_rows:
            self.is_stale = True
        for source in self.sources:
            if source.store is store:
                for row_id in touched.get(source.table_id, ()):
                    cell_ids = store._record.cells.get(source.table_id, {}).get(row_id, ())
                    self.follow(source, row_id, cell_ids)

    # --- working out --------------------------------------------------------------------------------------

    def compute(self, failed: Failed) -> EncodedTable:
        """Work out the whole result, before anything is listened to."""
        selected: EncodedTable = {}

        def take(row_id: Id, row: EncodedRow | None) -> None:
            if row is not None:
                selected[row_id] = row

        if self._selects:
            self._rows.load(take, failed)
        rows = selected
        if self._grouping is not None:
            self._selected = selected
            rows = {}
            put = _collector(rows)
            for row_id, row in selected.items():
                self._grouping.move(row_id, None, row, put, failed)
        if self._ordering is not None:
            self._selected = selected
            windowed: EncodedTable = {}
            self._ordering.load(rows, _collector(windowed))
            rows = windowed
        self._look_for_rich()
        return rows

    def follow(self, source: Source, row_id: Id, cell_ids: Iterable[Id]) -> None:
        """Take in that a row of a source may have changed."""
        if self.is_stale or not self._selects:
            return
        if self._writes_at_once and self.result.is_busy:
            self.is_stale = True
            return
        self._rows.follow(source, row_id, cell_ids, self._put, self._failed)
        if not self.result.is_rich:
            self._look_for_rich()

    def _put_copy(self, row_id: Id, row: EncodedRow | None) -> None:
        self.result.put(row_id, None if row is None else row.copy())

    def _keep(self, row_id: Id, row: EncodedRow | None) -> None:
        """Take a selected row that is still to be grouped or ordered."""
        old = self._selected.get(row_id)
        if row is None:
            if old is None:
                return
            del self._selected[row_id]
        elif old is not None and is_same_row(old, row):
            return
        else:
            self._selected[row_id] = row
        self._changed.setdefault(row_id, old)

    # --- publishing ---------------------------------------------------------------------------------------

    def replace(self, rows: EncodedTable) -> None:
        """Make the result what was computed."""
        if self._ordering is not None:
            # The ordering goes on using its rows, and the result changes its own in place.
            rows = {row_id: row.copy() for row_id, row in rows.items()}
        self.result.replace(rows)

    def refresh(self) -> None:
        """Bring the result up to date with everything that was taken in."""
        if self.is_stale:
            before = self.row_ids_in_order
            self.is_stale = False
            self._prepare()
            self.replace(self.compute(self._failed))
            self.order_changed = self.row_ids_in_order != before
        elif self._changed:
            self._refresh_changed()
        self._look_for_rich()

    def _refresh_changed(self) -> None:
        changed, self._changed = self._changed, {}
        touched: dict[Id, None] = {}
        put = self.result.put if self._ordering is None else self._to_order(self._ordering.rows, touched)
        for row_id, old in changed.items():
            new = self._selected.get(row_id)
            if self._grouping is not None:
                self._grouping.move(row_id, old, new, put, self._failed)
            else:
                put(row_id, new)
        if self._ordering is not None:
            moved = self._ordering.follow(
                touched, self.result.rows, self._put_copy, notes_moves=self.result.hears_row_ids
            )
            self.order_changed = self.order_changed or moved

    def _to_order(self, rows: EncodedTable, touched: dict[Id, None]) -> Put:
        collect = _collector(rows)

        def put(row_id: Id, row: EncodedRow | None) -> None:
            touched[row_id] = None
            collect(row_id, row)

        return put

    @property
    def is_ordered(self) -> bool:
        """Whether its result has an order of its own."""
        return self._ordering is not None

    @property
    def row_ids_in_order(self) -> list[Id] | None:
        """The ids of the result's rows if the query has an order of its own."""
        if self._ordering is None:
            return None
        rows = self.result.rows
        return [row_id for row_id in self._ordering.row_ids if row_id in rows]

    def _look_for_rich(self) -> None:
        if self._selection.found_rich or (self._grouping is not None and self._grouping.found_rich):
            self.result.note_rich()
        for source in self.sources:
            if source.table_id in source.store._rich_tables:
                self.result.note_rich()


def _collector(rows: EncodedTable) -> Put:
    def put(row_id: Id, row: EncodedRow | None) -> None:
        if row is None:
            rows.pop(row_id, None)
        else:
            rows[row_id] = row

    return put
