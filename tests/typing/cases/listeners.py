"""Listeners: callbacks are checked against the kind they are for."""

from __future__ import annotations

from replicell.store import Id, Store

store = Store()


def hear_row_count(store: Store, table_id: Id, count: int) -> None: ...


store.add_row_count_listener("pets", hear_row_count)
store.add_row_listener("pets", None, hear_row_count)  # expect: mypy[arg-type], pyright[reportArgumentType]
