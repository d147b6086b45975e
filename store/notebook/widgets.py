"""Widgets that show a table or a value of a store in a notebook, live: anywidgets, for Jupyter and marimo.

The widgets have no state that is synchronised as such; pages ask for what they show and are sent what changes
of it. The talk is in `replicell.store.notebook.sessions`, the page's half of it in the scripts beside it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from replicell.store.errors import ArgumentError, MissingPackageError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.metrics import Metrics
from replicell.store.notebook.html import Grid, grid, panel
from replicell.store.notebook.sessions import Session, TableSession, ValueSession
from replicell.store.notebook.sources import MetricValue, StoreValue, ValueSource
from replicell.store.notebook.summaries import source_of, table_summary
from replicell.store.queries import Queries
from replicell.store.store import Store

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise MissingPackageError("LiveTable and LiveValue", "anywidget", "notebook") from error

__all__ = ["LiveTable", "LiveValue", "LiveWidget"]

_DEFAULT_HEIGHT = 360


def _script(name: str) -> str:
    folder = files("replicell.store.notebook")
    return folder.joinpath("shared.js").read_text("utf-8") + folder.joinpath(name).read_text("utf-8")


class LiveWidget(anywidget.AnyWidget):
    """What live widgets have in common; use `LiveTable` or `LiveValue`."""

    _css = files("replicell.store.notebook").joinpath("live.css").read_text("utf-8")

    revision = traitlets.Int(0).tag(sync=True)
    """Counted by the page when what it shows has changed, if the widget is to rerun cells."""

    def __init__(self) -> None:
        self._session = self._make_session()
        super().__init__()
        self.on_msg(self._received)
        if self.comm is not None:
            # The page may close it, as JupyterLab does when it shuts down all widgets.
            self.comm.on_close(lambda _message: self._session.stop())

    @property
    def view_count(self) -> int:
        """How many pages show this widget at the moment."""
        return self._session.view_count

    def close(self) -> None:
        """Remove the widget from all pages and stop listening; may be called more than once."""
        # Widgets close themselves when they are collected, even if making them failed half-way.
        session = self.__dict__.get("_session")
        if session is not None:
            session.stop()
        super().close()

    # These two are not abstract because the metaclass of widgets is none that knows abstract methods.
    def _make_session(self) -> Session[Any]:
        raise NotImplementedError

    def _still_html(self) -> str:
        raise NotImplementedError

    def _received(self, _widget: object, message: object, _buffers: object) -> None:
        self._session.receive(message)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Give what there is now as well, for where no widget can run: exported notebooks, previews."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/html"] = self._still_html()
        return bundle


class LiveTable(LiveWidget):
    """A table of a store, or the result of a query, that a notebook shows live.

    It follows all changes, wherever they come from; a click on a heading sorts it; it scrolls through any
    number of rows, of which pages get only those that are in sight. Cells of a store's table can be edited in
    the page: what is typed goes through the schema, and what is refused is said and put back. In marimo wrap
    it in ``mo.ui.anywidget``. Changes that come faster than twenty a second are shown together.

    Args:
        source: The store, or its queries.
        table_id: The table, or the query; it need not exist yet.
        columns: The cells to show, in this order; without it all there are, up to 100.
        editable: Whether cells may be edited; results of queries never can.
        height: The height in pixels, at most.
        reruns: Whether marimo is to run the cells again that refer to the widget when what it shows changes.

    Raises:
        ArgumentError: If the source is neither a store nor queries.
        MissingPackageError: When imported without anywidget.

    >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
    >>> live = LiveTable(store, "pets")
    >>> live.view_count
    0
    >>> live.close()
    """

    _esm = _script("live_table.js")

    def __init__(
        self,
        source: Store | Queries,
        table_id: IdLike,
        *,
        columns: list[Id] | None = None,
        editable: bool = True,
        height: int = _DEFAULT_HEIGHT,
        reruns: bool = False,
    ) -> None:
        if not isinstance(source, (Store, Queries)):
            raise ArgumentError(f"a LiveTable is of a store or of queries, not of {source!r}")
        self._source = source
        self._table_id = to_id(table_id)
        self._columns = columns
        self._described: dict[str, Any] = {"title": self._table_id, "height": height, "reruns": reruns}
        if not editable:
            self._described["editable"] = False
        super().__init__()

    def _make_session(self) -> Session[Any]:
        table = source_of(self._source, self._table_id)
        return TableSession(table, self.send, self._columns, self._described)

    def _still_html(self) -> str:
        return table_summary(self._source, self._table_id)


class LiveValue(LiveWidget):
    """A value of a store, or a metric, that a notebook shows live.

    A value can be edited in the page, as cells of a `LiveTable` can.

    Args:
        source: The store, or its metrics.
        value_id: The value, or the metric; it need not exist yet.
        label: What is written beside it; its id, unless told otherwise.
        editable: Whether a value may be edited; metrics never can.
        reruns: Whether marimo is to run the cells again that refer to the widget when the value changes.

    Raises:
        ArgumentError: If the source is neither a store nor metrics.
        MissingPackageError: When imported without anywidget.

    >>> LiveValue(Store().set_value("open", True), "open").close()
    """

    _esm = _script("live_value.js")

    def __init__(
        self,
        source: Store | Metrics,
        value_id: IdLike,
        *,
        label: str | None = None,
        editable: bool = True,
        reruns: bool = False,
    ) -> None:
        value_id = to_id(value_id)
        if isinstance(source, Store):
            self._source: ValueSource = StoreValue(source, value_id)
        elif isinstance(source, Metrics):
            self._source = MetricValue(source, value_id)
        else:
            raise ArgumentError(f"a LiveValue is of a store or of metrics, not of {source!r}")
        self._label = value_id if label is None else label
        self._described: dict[str, Any] = {"title": self._label, "reruns": reruns}
        if not editable:
            self._described["editable"] = False
        super().__init__()

    def _make_session(self) -> Session[Any]:
        return ValueSession(self._source, self.send, self._described)

    def _still_html(self) -> str:
        rows = [(self._source.value_id, [self._source.read()])]
        return panel(self._label, "", grid(Grid("value", ["content"], rows, 1, 1)))
