"""A server that keeps a derived table: how many todos of each list are open, and how many are done.

``python -m examples.server_side.counts``; the clients find the figures in the table ``lists`` of their own
database, whether they are online or not.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from examples.server_side.serving import main
from replicell.store import Store
from replicell.sync import ServerRoom, SyncServer

__all__ = ["Counts", "make_server"]


class Counts:
    """Keeps the table ``lists`` of a room: for each list of todos, how many are ``open`` and ``done``.

    It costs what changes, not what there is: of each changed todo it knows where it was counted before.

    Args:
        room: The room.
    """

    def __init__(self, room: ServerRoom) -> None:
        self._counted: dict[str, tuple[str, str]] = {}
        self._figures: Counter[tuple[str, str]] = Counter()
        store = room.store
        for row_id in store.get_row_ids("todo"):
            self._count(store, row_id)
        with store.transaction():
            for name in {*store.get_row_ids("lists"), *(name for name, _ in self._figures)}:
                self._write(store, name)
        # Mutators may write, in the transaction that they listen to.
        store.add_row_listener("todo", None, self._on_row, mutator=True)

    def _on_row(self, store: Store, _: str, row_id: str, *__: object) -> None:
        for name in self._count(store, row_id):
            self._write(store, name)

    def _count(self, store: Store, row_id: str) -> set[str]:
        """Count a todo where it is now, and no more where it was; returns the lists that this changes."""
        changed: set[str] = set()
        before = self._counted.pop(row_id, None)
        if before is not None:
            self._figures[before] -= 1
            changed.add(before[0])
        row = store.get_row("todo", row_id)
        if row:
            now = self._counted[row_id] = place_of(row)
            self._figures[now] += 1
            changed.add(now[0])
        return changed

    def _write(self, store: Store, name: str) -> None:
        figures = {kind: self._figures[name, kind] for kind in ("open", "done")}
        if any(figures.values()):
            store.set_partial_row("lists", name, figures)
        else:
            store.del_row("lists", name)


def place_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the list that a todo is in, and what it counts as; one without a list is in the inbox."""
    name = row.get("list")
    return name if isinstance(name, str) and name else "inbox", "done" if row.get("completed") else "open"


def make_server(data_dir: str, port: int) -> SyncServer:
    """Return a server that counts in all its rooms."""
    server = SyncServer(data_dir, port=port, row_id_column="id")
    server.on_room(Counts)
    return server


if __name__ == "__main__":
    sys.exit(main(make_server))
