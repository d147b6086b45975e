"""Which rows a connection has written, from SQLite's pre-update hook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

__all__ = ["HookedWriteLog"]

_NOT_FOLLOWED = -1


class HookedWriteLog:
    """Notes the keys of the rows that one connection writes to followed tables, whoever uses it.

    Rows whose writing was rolled back are among them. Used on the database's thread only.
    """

    is_blind = False

    def __init__(self) -> None:
        self._connection: apsw.Connection | None = None
        self._key_positions: Mapping[str, int | None] = {}
        self._keys: dict[str, set[Any]] = {}
        self._has_missed = True

    def attach(self, connection: apsw.Connection) -> None:
        """Listen to a connection; what was written before is not known."""
        if self._connection is not connection:
            self._connection = connection
            self._has_missed = True
            self.resume()

    def detach(self, connection: apsw.Connection) -> None:
        """Listen no more."""
        self.pause()
        self._connection = None

    def follow(self, key_positions: Mapping[str, int | None]) -> None:
        """Note writes to these tables from now on, given where their keys stand among their columns."""
        self._key_positions = key_positions

    def take(self) -> dict[str, set[Any]] | None:
        """Hand out the keys of the rows written since the last time; None if there may be others."""
        keys, self._keys = self._keys, {}
        has_missed, self._has_missed = self._has_missed, False
        return None if has_missed else keys

    def pause(self) -> None:
        """Note nothing, because the persister itself writes."""
        if self._connection is not None:
            self._connection.preupdate_hook(None, id=self)

    def resume(self) -> None:
        """Note writes again."""
        if self._connection is not None:
            self._connection.preupdate_hook(self._note, id=self)

    def _note(self, update: apsw.PreUpdate) -> None:
        if update.database_name != "main":
            return
        position = self._key_positions.get(update.table_name, _NOT_FOLLOWED)
        if position == _NOT_FOLLOWED:
            return
        if position is None:
            self._has_missed = True
            return
        keys = self._keys.setdefault(update.table_name, set())
        for row in (update.old, update.new):
            if row is not None:
                keys.add(row[position])
