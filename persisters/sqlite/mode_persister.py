"""What the persisters of SQLite databases have in common, whoever runs the SQL."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from replicell.persisters.config import TabularConfig
from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.cleaning import Cleaning, wanted_cleanings
from replicell.persisters.json_config import JsonConfig, parse_database_config
from replicell.persisters.persister import Persister
from replicell.persisters.sqlite.json_mode import JsonMode
from replicell.persisters.sqlite.modes import HeldRows, Mode, Save
from replicell.persisters.sqlite.tabular_mode import TabularMode
from replicell.persisters.tracking import ChangeTracker
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["ModePersister"]


class ModePersister(Persister):
    """Keeps a store and an SQLite database the same, in the mode that the configuration says.

    A subclass runs the scripts of ``_mode``, with ``_held_rows`` for a load, and hands what a save script
    returns to ``_saved``.

    Args:
        store: The store.
        config: What is kept where; see `parse_database_config`.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """

    def __init__(self, store: Store, config: object, **options: Any) -> None:
        self._config = parse_database_config(config)
        self._mode: Mode = (
            JsonMode(self._config) if isinstance(self._config, JsonConfig) else TabularMode(self._config)
        )
        self._has_loaded = False
        super().__init__(store, ChangeTracker(store, self._mode.scope), **options)

    @property
    def config(self) -> JsonConfig | TabularConfig:
        """What is kept where."""
        return self._config

    async def save(self) -> Self:
        """Save all that the database does not have. See `Persister.save`.

        If the configuration says so, columns and tables that are empty afterwards are dropped.
        """
        await super().save()
        if isinstance(self._config, TabularConfig):
            cleanings = wanted_cleanings(self._config, self._store)
            if cleanings:
                await self._clean(cleanings)
        return self

    @abstractmethod
    async def _clean(self, cleanings: Sequence[Cleaning]) -> None:
        """Drop what is empty, in a transaction of its own."""

    def _held_rows(self) -> HeldRows:
        """Return what a first load must know of the store; nothing for later ones."""
        if self._has_loaded:
            return {}
        tables = self._mode.scope.loaded_tables or ()
        return {table_id: self._store.get_row_ids(table_id) for table_id in tables}

    def _saved(self, save: Save, unsaved: UnsavedChanges) -> SaveResult:
        """Learn what a save script returned once its transaction is committed."""
        self._mode.on_saved(save, unsaved)
        if save.has_effects and self.is_auto_loading():
            asyncio.get_running_loop().call_soon(self._on_medium_change)
        return save.result

    def _on_applied(self, content: LoadedContent) -> None:
        self._has_loaded = True
        self._mode.on_applied(content)
