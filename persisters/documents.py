"""A store's content as one JSON text: written, read, and merged with what others wrote meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.errors import ContentFormatError
from replicell.persisters.unsaved import RowState, UnsavedChanges
from replicell.persisters.whole_content import WholeContent
from replicell.store.cells import RICH_PREFIX, decode_cell, encoded_rich_cell, parse_json
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["DocumentKeeper", "DocumentSave", "document_text", "parse_document"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_CONTENT = WholeContent({}, {})


def document_text(content: WholeContent) -> str:
    """Write content as ``[tables, values]``, objects and arrays as such.

    Unlike JavaScript's, the text keeps 1.0 and 1 apart, so that a float comes back as one.

    >>> document_text(WholeContent({"todo": {"1": {"text": "Milk", "price": 1.0}}}, {"open": True}))
    '[{"todo":{"1":{"text":"Milk","price":1.0}}},{"open":true}]'
    """
    tables = {
        table_id: {row_id: _decoded(row) for row_id, row in table.items()}
        for table_id, table in content.tables.items()
    }
    text = json.dumps([tables, _decoded(content.values)], ensure_ascii=False, separators=(",", ":"))
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def parse_document(text: str, name: str) -> WholeContent:
    """Read what :func:`document_text` or a persister of TinyBase wrote.

    Args:
        text: The JSON text.
        name: Where it is from, for the message.

    Raises:
        ContentFormatError: it is not ``[tables, values]``.

    >>> parse_document('[{"todo":{"1":{"text":"Milk"}}},{}]', "todo.json").tables
    {'todo': {'1': {'text': 'Milk'}}}
    """
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ContentFormatError(_refusal(name, f"is not JSON ({error})")) from error
    if isinstance(content, list) and len(content) == 1:
        content = [*content, {}]
    if not (isinstance(content, list) and len(content) == 2):
        raise ContentFormatError(_refusal(name, "is not a list of tables and values"))
    tables, values = content
    rows = [] if not isinstance(tables, dict) else [*tables.values()]
    if not all(
        isinstance(thing, dict)
        for thing in (tables, values, *rows, *(row for table in rows for row in _entries(table)))
    ):
        if isinstance(tables, list) and isinstance(values, list):
            raise ContentFormatError(
                f"{name} holds the content of a TinyBase MergeableStore, which replicell does not read: have "
                "TinyBase write that of a plain Store. It is left as it is."
            )
        raise ContentFormatError(_refusal(name, "has something else where tables, rows or values belong"))
    if RICH_PREFIX in text:
        tables = {
            table_id: {row_id: _unwrapped(row) for row_id, row in table.items()}
            for table_id, table in tables.items()
        }
        values = _unwrapped(values)
    return WholeContent.of(tables, values)


class DocumentSave(NamedTuple):
    """What a save comes to.

    Args:
        text: What to write, None for nothing.
        result: What to tell the persister once that is written.
        written: The content as it then stands in the medium.
    """

    text: str | None
    result: SaveResult
    written: WholeContent


class DocumentKeeper:
    """Tells what others have changed in a JSON text, and what it becomes by a save.

    A medium without a text, be it new or deleted, is taken for one that holds what was there last, so that
    nothing is deleted from the store and the next save writes everything again.

    Args:
        name: The medium, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._text: str | None = None
        self._content = _NO_CONTENT
        self._seen: WholeContent | None = None

    def load(self, text: str | None) -> LoadedContent:
        """Return what is different from what the store has seen."""
        content = self._parsed(text)
        if content is self._seen:
            return LoadedContent(version=content)
        return content.since(self._seen)

    def save(self, text: str | None, unsaved: UnsavedChanges, is_loading: bool) -> DocumentSave:
        """Put unsaved changes into what the medium holds.

        Args:
            text: What it holds.
            unsaved: The changes.
            is_loading: Whether the store is to get what others have changed.
        """
        content = self._parsed(text)
        loaded = self.load(text) if is_loading and self._seen is not None else None
        incomplete = [
            (table_id, row_id)
            for table_id, rows in unsaved.tables.items()
            for row_id, row in rows.items()
            if row.state is RowState.PARTIAL and row_id not in content.tables.get(table_id, {})
        ]
        if incomplete:
            return DocumentSave(None, SaveResult(loaded, incomplete_rows=incomplete), content)
        written = content.with_unsaved(unsaved)
        if loaded is not None:
            loaded.version = written
        return DocumentSave(document_text(written), SaveResult(loaded), written)

    def on_saved(self, save: DocumentSave, unsaved: UnsavedChanges) -> None:
        """Learn that a save has been written."""
        if save.text is not None:
            self._text, self._content = save.text, save.written
            if save.result.loaded is None and self._seen is not None:
                self._seen = self._seen.with_unsaved(unsaved)

    def on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store."""
        self._seen = content.version

    def _parsed(self, text: str | None) -> WholeContent:
        if not text or text.isspace():
            return self._seen or _NO_CONTENT
        if text != self._text:
            self._content = parse_document(text, self._name)
            self._text = text
        return self._content


def _decoded(row: Mapping[Id, Any]) -> dict[Id, Any]:
    return {cell_id: decode_cell(cell) for cell_id, cell in row.items()}


def _unwrapped(row: Mapping[Id, Any]) -> dict[Id, Any]:
    """Objects and arrays that TinyBase's JSON holds as strings."""
    return {
        cell_id: decode_cell(cell)
        if isinstance(cell, str) and cell[:1] == RICH_PREFIX and encoded_rich_cell(cell) is not MISSING
        else cell
        for cell_id, cell in row.items()
    }


def _entries(table: object) -> list[object]:
    return [*table.values()] if isinstance(table, dict) else []


def _refusal(name: str, what: str) -> str:
    return (
        f"{name} {what}, so it is not the content of a store: repair it or name another. It is left as it is."
    )
