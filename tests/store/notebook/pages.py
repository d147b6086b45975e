"""A page as a widget's kernel side sees one: it knows what it shows by what it is sent alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from replicell.store.notebook.sessions import Session

__all__ = ["Page", "size_of"]


class Page:
    """One view, which follows the messages as the script in the browser does."""

    def __init__(self, session: Session[Any], messages: list[dict[str, Any]], view: str = "a") -> None:
        self.session = session
        self.messages = messages
        self.view = view
        self.order: list[str] = []
        self.rows: dict[str, dict[str, Any]] = {}
        self.columns: list[str] = []
        self.count = 0
        self.value: Any = None

    def say(self, kind: str, **content: Any) -> list[dict[str, Any]]:
        """Send a message and return what comes of it."""
        before = len(self.messages)
        self.session.receive({"kind": kind, "view": self.view, **content})
        self.follow()
        return self.messages[before:]

    def open(self, limit: int = 10, **content: Any) -> list[dict[str, Any]]:
        return self.say("open", offset=0, limit=limit, **content)

    def after(self, work: Callable[[], object]) -> list[dict[str, Any]]:
        """Do something, and return the messages it causes for this page."""
        before = len(self.messages)
        work()
        self.follow()
        return [message for message in self.messages[before:] if message["view"] == self.view]

    def follow(self) -> None:
        """Take in all messages from the first, so that nothing but messages counts."""
        self.order, self.rows, self.columns, self.count, self.value = [], {}, [], 0, None
        for message in self.messages:
            # What cannot be JSON would not reach a page.
            message = json.loads(json.dumps(message))
            if message["view"] == self.view and message["kind"] in ("opened", "window", "changed"):
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message["kind"] == "opened":
            self.rows = {}
        self.order = message.get("order", self.order)
        for at, gone, come in message.get("splices", ()):
            self.order[at : at + gone] = come
        rows = {}
        for row_id in self.order:
            cells = {**self.rows.get(row_id, {}), **message.get("rows", {}).get(row_id, {})}
            rows[row_id] = {cell_id: cell for cell_id, cell in cells.items() if cell != []}
        self.rows = rows
        self.count = message.get("count", self.count)
        self.columns = (
            [column["id"] for column in message["columns"]] if "columns" in message else self.columns
        )
        self.value = message.get("value", self.value)


def size_of(messages: list[dict[str, Any]]) -> int:
    """Return how many bytes messages are on the wire, without what carries them."""
    return sum(len(json.dumps(message, separators=(",", ":")).encode()) for message in messages)
