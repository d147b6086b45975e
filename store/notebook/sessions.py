"""The talk between a widget and its pages, whatever carries the messages.

Each page (a view of the widget: there may be several) opens a view under a name of its own, says which rows
it looks at, sends edits, and closes it in the end. It is sent the whole window once and then what changes.
All messages are dicts with a ``kind``, and the ``view`` they are from or for. Nothing is listened to while no
page looks.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from replicell.store.errors import EditError
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.notebook.editing import clear_cell, edit_cell, edit_value
from replicell.store.notebook.html import cell_text
from replicell.store.notebook.pacing import Pacer
from replicell.store.notebook.page_views import Message, PageView, TablePageView, ValuePageView
from replicell.store.notebook.sources import Cancel, TableSource, ValueSource
from replicell.store.notebook.wire import page_text
from replicell.store.store import Store

__all__ = ["Session", "TableSession", "ValueSession"]

logger = logging.getLogger("replicell.store.notebook")

_V = TypeVar("_V", bound=PageView)

_MOST_VIEWS = 32
"""How many pages can look at once; a page that was lost without a word makes room for the next."""

_ASK_AFTER = 16
_MOST_UNANSWERED = 64
"""After how many messages a page is asked whether it is still there, and taken for gone until it answers."""


class Session(ABC, Generic[_V]):
    """The views of one widget.

    Args:
        store: The store, whose thread does all of this.
        send: Sends a message to all pages.
        make_pacer: Makes what decides when changes are told, given what tells them.
    """

    def __init__(
        self,
        store: Store,
        send: Callable[[Message], object],
        make_pacer: Callable[[Store, Callable[[bool], object]], Pacer] = Pacer,
    ) -> None:
        self._store = store
        self._send = send
        self._pacer = make_pacer(store, self._tell)
        self._views: dict[str, _V] = {}
        self._stop_listening: Cancel | None = None
        self._is_over = False

    @property
    def view_count(self) -> int:
        """How many pages look at this."""
        return len(self._views)

    def receive(self, message: object) -> None:
        """Take a message from a page, in any thread; what is no message is ignored."""
        if isinstance(message, Mapping) and isinstance(message.get("view"), str):
            self._pacer.run_in_owner(lambda: self._handle(dict(message)))

    def stop(self) -> None:
        """End the talk, in any thread; pages get nothing any more."""
        self._is_over = True
        self._pacer.run_in_owner(self._close_all)

    # --- what is different for tables and values ----------------------------------------------------------

    @abstractmethod
    def _listen(self, told: Callable[[], object]) -> Cancel: ...

    @abstractmethod
    def _new_view(self) -> _V: ...

    @abstractmethod
    def _place(self, view: _V, message: Message) -> None:
        """Have a view look where its page says."""

    @abstractmethod
    def _edit(self, message: Message) -> None:
        """Write what was typed."""

    @abstractmethod
    def _full_text(self, message: Message) -> str:
        """Return the whole of a cell of which the page has only the beginning."""

    def _window(self, view: _V) -> Message | None:
        """Return what a page gets when it looks elsewhere."""
        return None

    def _describe(self) -> Message:
        """Return what a page is told besides the content when it opens a view."""
        return {}

    # ------------------------------------------------------------------------------------------------------

    def _handle(self, message: Message) -> None:
        view_id, kind = message["view"], message.get("kind")
        if self._is_over:
            return
        try:
            if kind == "open":
                self._open(view_id, message)
            elif kind == "close":
                self._close(view_id)
            elif (view := self._views.get(view_id)) is None:
                # It was taken for gone, or the kernel knows nothing of it any more.
                self._say(view_id, {"kind": "reopen"})
            else:
                self._answer(view_id, view, message)
        except Exception:
            logger.exception("a message from a notebook's page failed: %.200r", message)

    def _open(self, view_id: str, message: Message) -> None:
        view = self._views.pop(view_id, None)
        if view is None:
            view = self._new_view()
        while len(self._views) >= _MOST_VIEWS:
            self._views.pop(next(iter(self._views))).close()
        self._views[view_id] = view
        view.unanswered = 0
        if self._stop_listening is None:
            self._stop_listening = self._listen(self._pacer.note)
        self._place(view, message)
        self._say(view_id, {**view.opened(), **self._describe()})

    def _close(self, view_id: str) -> None:
        view = self._views.pop(view_id, None)
        if view is not None:
            view.close()
        if not self._views and self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
            self._pacer.stop()

    def _close_all(self) -> None:
        for view_id in list(self._views):
            self._close(view_id)

    def _answer(self, view_id: str, view: _V, message: Message) -> None:
        was_given_up = view.unanswered >= _MOST_UNANSWERED
        view.unanswered = 0
        if was_given_up:
            self._tell_view(view_id, view, False)
        kind, request = message.get("kind"), message.get("request")
        if kind == "look":
            self._place(view, message)
            window = self._window(view)
            if window is not None:
                self._say(view_id, {**window, "request": request})
        elif kind == "edit":
            self._say(view_id, {"kind": "edited", "request": request, "error": self._try_edit(message)})
        elif kind == "read":
            self._say(view_id, {"kind": "read", "request": request, "text": self._full_text(message)})

    def _try_edit(self, message: Message) -> str | None:
        try:
            self._edit(message)
        except EditError as error:
            return page_text(str(error))
        except Exception as error:
            # Whatever a strict store, middleware or a listener objects to is for the one who edits.
            logger.info("an edit in a notebook's page failed", exc_info=True)
            return page_text(f"{type(error).__name__}: {error}")
        return None

    def _tell(self, loop_has_run: bool) -> None:
        for view_id, view in list(self._views.items()):
            if view.unanswered < _MOST_UNANSWERED:
                try:
                    self._tell_view(view_id, view, loop_has_run)
                except Exception:
                    # The store's own transaction must not fail because a page cannot be reached.
                    logger.exception("a notebook's page could not be told of a change")

    def _tell_view(self, view_id: str, view: _V, counts: bool) -> None:
        difference = view.difference()
        if difference is None:
            return
        if counts:
            view.unanswered += 1
            if view.unanswered % _ASK_AFTER == 0:
                difference["ask"] = True
        self._say(view_id, difference)

    def _say(self, view_id: str, message: Message) -> None:
        self._send({**message, "view": view_id})


class TableSession(Session[TablePageView]):
    """The talk about a table.

    Args:
        source: The table.
        send: Sends a message to all pages.
        column_ids: The columns to show, or None for all.
        described: What pages are told besides the content.
        make_pacer: As for `Session`.
    """

    def __init__(
        self,
        source: TableSource,
        send: Callable[[Message], object],
        column_ids: list[Id] | None = None,
        described: Message | None = None,
        make_pacer: Callable[[Store, Callable[[bool], object]], Pacer] = Pacer,
    ) -> None:
        super().__init__(source.owner, send, make_pacer)
        self._source = source
        self._column_ids = column_ids
        self._described = described or {}

    def _listen(self, told: Callable[[], object]) -> Cancel:
        return self._source.listen(told)

    def _new_view(self) -> TablePageView:
        return TablePageView(self._source, self._column_ids)

    def _place(self, view: TablePageView, message: Message) -> None:
        sort = message.get("sort")
        view.look_at(
            _whole(message.get("offset")),
            _whole(message.get("limit")),
            sort if isinstance(sort, str) else None,
            message.get("descending") is True,
        )

    def _window(self, view: TablePageView) -> Message | None:
        return view.moved()

    def _describe(self) -> Message:
        return self._described

    def _edit(self, message: Message) -> None:
        row_id, cell_id = self._place_of(message)
        if not self._source.is_editable or self._described.get("editable") is False:
            raise EditError("This table is shown for reading only.")
        store, table_id = self._source.owner, self._source.table_id
        if message.get("clear") is True:
            clear_cell(store, table_id, row_id, cell_id)
        else:
            edit_cell(store, table_id, row_id, cell_id, str(message.get("text")))

    def _full_text(self, message: Message) -> str:
        row_id, cell_id = self._place_of(message)
        return page_text(cell_text(self._source.row(row_id).get(cell_id, "")))

    def _place_of(self, message: Message) -> tuple[Id, Id]:
        return str(message.get("row")), str(message.get("cell"))


class ValueSession(Session[ValuePageView]):
    """The talk about a value.

    Args:
        source: The value.
        send: Sends a message to all pages.
        described: What pages are told besides the content.
        make_pacer: As for `Session`.
    """

    def __init__(
        self,
        source: ValueSource,
        send: Callable[[Message], object],
        described: Message | None = None,
        make_pacer: Callable[[Store, Callable[[bool], object]], Pacer] = Pacer,
    ) -> None:
        super().__init__(source.owner, send, make_pacer)
        self._source = source
        self._described = described or {}

    def _listen(self, told: Callable[[], object]) -> Cancel:
        return self._source.listen(told)

    def _new_view(self) -> ValuePageView:
        return ValuePageView(self._source)

    def _place(self, view: ValuePageView, message: Message) -> None:
        """Do nothing: a value has but one place."""

    def _describe(self) -> Message:
        return self._described

    def _edit(self, message: Message) -> None:
        if not self._source.is_editable or self._described.get("editable") is False:
            raise EditError("This value is shown for reading only.")
        edit_value(self._source.owner, self._source.value_id, str(message.get("text")))

    def _full_text(self, message: Message) -> str:
        value = self._source.read()
        return "" if value is MISSING else page_text(cell_text(value))


def _whole(number: Any) -> int:
    return int(number) if isinstance(number, (int, float)) and abs(number) < 2**53 else 0
