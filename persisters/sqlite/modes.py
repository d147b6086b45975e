"""What a persister does with an SQLite database, whoever runs the SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.scripts import Script
from replicell.persisters.tracking import Scope
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.ids import Id

__all__ = ["BlindWriteLog", "HeldRows", "Mode", "Save", "WriteLog"]

HeldRows: TypeAlias = Mapping[Id, Sequence[Id]]
"""The ids of the rows that the store has, by table."""


class WriteLog(Protocol):
    """Knows which rows were written through the persister's own connection; used on the database's thread."""

    @property
    def is_blind(self) -> bool:
        """Whether it knows nothing."""
        ...

    def follow(self, key_positions: Mapping[str, int | None]) -> None:
        """Note writes to these tables from now on, given where their keys stand among their columns."""

    def take(self) -> Mapping[str, Collection[Any]] | None:
        """Hand out the keys of the rows written since the last time; None if there may be others."""

    def pause(self) -> None:
        """Note nothing, because the persister itself writes."""

    def resume(self) -> None:
        """Note writes again."""


class BlindWriteLog:
    """A log for connections that cannot say what was written."""

    is_blind = True

    def follow(self, key_positions: Mapping[str, int | None]) -> None:
        """Do nothing, as there is no way to."""

    def take(self) -> None:
        """Say that anything may have been written."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""


class Save(Protocol):
    """What a save script returns."""

    @property
    def result(self) -> SaveResult:
        """What to tell the persister once the transaction is committed."""
        ...

    @property
    def has_effects(self) -> bool:
        """Whether there is something to load after it."""
        ...


class Mode(Protocol):
    """How the content of a store stands in a database.

    The scripts run in a transaction, never two at a time. What others have changed comes again until
    ``on_applied`` is told of it.
    """

    @property
    def scope(self) -> Scope:
        """What of a store it is about."""
        ...

    def load(self, facts: SchemaFacts, log: WriteLog, held: HeldRows) -> Script[LoadedContent]:
        """Read what has changed; everything the first time, when the store holds some rows already."""
        ...

    def save(
        self, unsaved: UnsavedChanges, facts: SchemaFacts, is_loading: bool, log: WriteLog
    ) -> Script[Save]:
        """Write unsaved changes, and read what others have changed before if the store is to have it."""
        ...

    def on_saved(self, save: Any, unsaved: UnsavedChanges) -> None:
        """Learn that a save is committed."""

    def on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store."""
