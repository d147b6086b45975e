"""A whole store as one JSON text in one row of an SQLite database."""

from __future__ import annotations

from typing import NamedTuple

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.documents import DocumentKeeper, DocumentSave
from replicell.persisters.json_config import JsonConfig
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.modes import HeldRows, WriteLog
from replicell.persisters.sqlite.scripts import Script, Statement
from replicell.persisters.tracking import Scope
from replicell.persisters.unsaved import UnsavedChanges

__all__ = ["EVERYTHING", "JSON_ROW", "JsonMode", "JsonSave"]

EVERYTHING = Scope(
    loaded_tables=None, saved_tables=None, shared_tables=None, loaded_values=None, saved_values=None
)
JSON_ROW = "_"


class JsonSave(NamedTuple):
    """What a save script in JSON mode returns.

    Args:
        result: What to tell the persister.
        document: What was written.
    """

    result: SaveResult
    document: DocumentSave

    @property
    def has_effects(self) -> bool:
        """Whether there is something to load after it: there is not."""
        return False


class JsonMode:
    """A whole store as one JSON text in one row.

    Args:
        config: The names of the table and its columns.
    """

    scope = EVERYTHING

    def __init__(self, config: JsonConfig) -> None:
        self._config = config
        self._keeper = DocumentKeeper(f"column {config.column_name!r} of table {config.table_name!r}")

    def load(self, facts: SchemaFacts, log: WriteLog, held: HeldRows) -> Script[LoadedContent]:
        """Read the text and keep what is different from before."""
        return self._keeper.load((yield from self._read()))

    def save(
        self, unsaved: UnsavedChanges, facts: SchemaFacts, is_loading: bool, log: WriteLog
    ) -> Script[JsonSave]:
        """Put unsaved cells into the text."""
        save = self._keeper.save((yield from self._read()), unsaved, is_loading)
        if save.text is not None:
            table, key, column = self._names()
            yield Statement(f"CREATE TABLE IF NOT EXISTS {table} ({key} TEXT PRIMARY KEY NOT NULL, {column})")
            yield Statement(
                f"INSERT INTO {table} ({key}, {column}) VALUES (?, ?) "
                f"ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}",
                (JSON_ROW, save.text),
            )
        return JsonSave(save.result, save)

    def on_saved(self, save: JsonSave, unsaved: UnsavedChanges) -> None:
        """Learn that a save is committed."""
        self._keeper.on_saved(save.document, unsaved)

    def on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store."""
        self._keeper.on_applied(content)

    def _read(self) -> Script[str | None]:
        table, key, column = self._names()
        there = yield Statement(
            "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
            (self._config.table_name,),
        )
        if not there:
            return None
        rows = yield Statement(f"SELECT {column} FROM {table} WHERE {key} = ?", (JSON_ROW,))
        return str(rows[0][0]) if rows and rows[0][0] is not None else None

    def _names(self) -> tuple[str, str, str]:
        config = self._config
        return quote(config.table_name), quote(config.id_column_name), quote(config.column_name)
