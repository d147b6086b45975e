"""Many-to-many relationships: rows of two tables, linked by the rows of a third."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, TypeAlias

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.definitions import DefinableModule, Definition, Event
from replicell.store.extractors import RowExtractor, cells_read
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.modules import module_of
from replicell.store.referential import OnDelete, ReferentialActions, ReferentialRule, check_on_delete
from replicell.store.relationship import TakeRowId, compile_row_id

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["Link", "LinkSide", "Links", "create_links"]

Ends = tuple["Id | MissingType", "Id | MissingType"]
"""The left and the right row that a row of the link table links."""

_NEITHER: Ends = (MISSING, MISSING)

LinkIdsListener: TypeAlias = "Callable[[Links], object]"
LinkListener: TypeAlias = "Callable[[Links, Id, Id], object]"


class LinkSide:
    """The rows on one side, with the rows each is linked to and the link rows that say so."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[Id, dict[Id | MissingType, dict[Id, None]]] = {}

    def link(self, row_id: Id, link_row_id: Id, other: Id | MissingType) -> bool:
        """Note a link to another row, which may be unknown, and tell whether it is the first to it."""
        others = self._rows.setdefault(row_id, {})
        link_row_ids = others.setdefault(other, {})
        link_row_ids[link_row_id] = None
        return len(link_row_ids) == 1 and other is not MISSING

    def unlink(self, row_id: Id, link_row_id: Id, other: Id | MissingType) -> bool:
        """Take that back, and tell whether it was the last link to the other row."""
        others = self._rows[row_id]
        link_row_ids = others[other]
        del link_row_ids[link_row_id]
        if link_row_ids:
            return False
        del others[other]
        if not others:
            del self._rows[row_id]
        return other is not MISSING

    def linked_to(self, row_id: Id) -> list[Id]:
        """Return the rows a row is linked to, each once, in the order in which they came to be."""
        return [other for other in self._rows.get(row_id, ()) if other is not MISSING]

    def link_row_ids(self, row_id: Id, other: Id | None = None) -> list[Id]:
        """Return the link rows of a row, all or those to another row."""
        others = self._rows.get(row_id, {})
        return list(chain.from_iterable(others.values()) if other is None else others.get(other, ()))


class Link(Definition):
    """One many-to-many relationship."""

    __slots__ = ("_ends", "_take_left", "_take_right", "left", "left_table_id", "right", "right_table_id")

    def __init__(self, link_id: Id, link_table_id: Id, tables: Mapping[Id, EncodedTable]) -> None:
        super().__init__(link_id, link_table_id, tables)
        self.left_table_id = self.right_table_id = ""
        self._take_left: TakeRowId = lambda row_id, row: MISSING
        self._take_right: TakeRowId = self._take_left
        self._ends: dict[Id, Ends] = {}
        self.left = LinkSide()
        self.right = LinkSide()

    def define(
        self,
        link_table_id: Id,
        left_table_id: Id,
        take_left: TakeRowId,
        right_table_id: Id,
        take_right: TakeRowId,
    ) -> list[Event]:
        """Give this relationship a definition, the first or another."""
        before = (self.table_id, self._take_left, self._take_right)
        self.table_id, self._take_left, self._take_right = link_table_id, take_left, take_right
        try:
            taken = self.take_all()
        except BaseException:
            self.table_id, self._take_left, self._take_right = before
            raise
        self.left_table_id, self.right_table_id = left_table_id, right_table_id
        return self.change(taken, True)

    def forget(self) -> None:
        """Begin with nothing."""
        self._ends, self.left, self.right = {}, LinkSide(), LinkSide()

    def known_rows(self) -> Iterable[Id]:
        """The link rows that name a row on either side."""
        return self._ends

    def take(self, row_id: Id, row: EncodedRow | None) -> Ends:
        """Take out of a link row what it links."""
        return _NEITHER if row is None else (self._take_left(row_id, row), self._take_right(row_id, row))

    def apply(self, taken: dict[Id, Ends], anew: bool) -> list[Event]:
        """Change links, and give what there is to tell: each row whose linked rows are others now."""
        lefts: dict[Id, None] = {}
        rights: dict[Id, None] = {}
        for link_row_id, new in taken.items():
            old = self._ends.get(link_row_id, _NEITHER)
            if old != new:
                _move(self.left, link_row_id, old, new, lefts)
                _move(self.right, link_row_id, (old[1], old[0]), (new[1], new[0]), rights)
                if new == _NEITHER:
                    del self._ends[link_row_id]
                else:
                    self._ends[link_row_id] = new
        return [
            *(("right_row_ids", (self.id, left), ()) for left in lefts),
            *(("left_row_ids", (self.id, right), ()) for right in rights),
        ]


def _move(side: LinkSide, link_row_id: Id, old: Ends, new: Ends, changed: dict[Id, None]) -> None:
    """Give a link row other ends, seen from one side, and note the rows that are linked to others now."""
    if old[0] is not MISSING and side.unlink(old[0], link_row_id, old[1]):
        changed[old[0]] = None
    if new[0] is not MISSING and side.link(new[0], link_row_id, new[1]):
        changed[new[0]] = None


class Links(DefinableModule[Link]):
    """The many-to-many relationships of a store. TinyBase has none.

    A link table has a row for each link, in which one cell holds the id of a row in the left table and
    another that of a row in the right one; it may have more cells that say something about the link. There is
    one such object a store: `create_links` returns it.

    >>> store = Store().set_table("casting", {
    ...     "0": {"actor": "bogart", "movie": "casablanca"},
    ...     "1": {"actor": "bogart", "movie": "sabrina"},
    ...     "2": {"actor": "hepburn", "movie": "sabrina"}})
    >>> links = create_links(store).set_link_definition(
    ...     "played", "casting", "actors", "actor", "movies", "movie")
    >>> links.get_right_row_ids("played", "bogart"), links.get_left_row_ids("played", "sabrina")
    (['casablanca', 'sabrina'], ['bogart', 'hepburn'])
    """

    __slots__ = ("_actions",)

    def __init__(self, store: Store) -> None:
        super().__init__(store, "link_ids", "left_row_ids", "right_row_ids")
        self._actions = ReferentialActions(store)

    def set_link_definition(
        self,
        link_id: IdLike,
        link_table_id: IdLike,
        left_table_id: IdLike,
        get_left_row_id: RowExtractor,
        right_table_id: IdLike,
        get_right_row_id: RowExtractor,
        *,
        on_delete: OnDelete | None = None,
    ) -> Self:
        """Define a many-to-many relationship, or change the definition of one; its listeners stay.

        Args:
            link_id: The relationship.
            link_table_id: The table with a row for each link.
            left_table_id: The table on the left; it may be the one on the right, and need not have the rows.
            get_left_row_id: The cell of a link row that holds the left row's id, or a function
                ``(get_cell, row_id)`` that returns it.
            right_table_id: The table on the right.
            get_right_row_id: The same for the right row.
            on_delete: What becomes of the links of a deleted row, in the same transaction: ``"cascade"``
                deletes their link rows, ``"set_missing"`` deletes only the cell that names the deleted row,
                ``"restrict"`` raises a `RestrictedError` and undoes the transaction. None leaves them.

        Raises:
            DefinitionError: If `on_delete` is none of these, or ``"set_missing"`` is used with a function.
        """
        self._store._check_thread()
        link_id, link_table_id = to_id(link_id), to_id(link_table_id)
        left_table_id, right_table_id = to_id(left_table_id), to_id(right_table_id)
        take_left, take_right = compile_row_id(get_left_row_id), compile_row_id(get_right_row_id)
        by_cells = not callable(get_left_row_id) and not callable(get_right_row_id)
        action = check_on_delete(on_delete, f"link {link_id!r}", by_cells)
        link = Link(link_id, link_table_id, self._store._tables)
        self._define(
            link,
            cells_read(get_left_row_id, get_right_row_id),
            lambda kept: kept.define(link_table_id, left_table_id, take_left, right_table_id, take_right),
        )
        for side, table_id, take, extractor in (
            ("left", left_table_id, take_left, get_left_row_id),
            ("right", right_table_id, take_right, get_right_row_id),
        ):
            rule = None
            if action is not None:
                rule = ReferentialRule(
                    link_id,
                    action,
                    link_table_id,
                    table_id,
                    take,
                    partial(self._link_row_ids, link_id, side),
                    None if callable(extractor) else to_id(extractor),
                )
            self._actions.set_rule((link_id, side), rule)
        return self

    def del_link_definition(self, link_id: IdLike) -> Self:
        """Remove a many-to-many relationship; the link table stays."""
        self._store._check_thread()
        self._undefine(to_id(link_id))
        return self

    def get_link_ids(self) -> list[Id]:
        """Return the ids of all many-to-many relationships."""
        self._store._check_thread()
        return list(self._things)

    def has_link(self, link_id: IdLike) -> bool:
        """Tell whether there is a many-to-many relationship of this id."""
        return self._find(link_id) is not None

    def get_link_table_id(self, link_id: IdLike) -> Id | None:
        """Return the id of the link table, or None."""
        link = self._find(link_id)
        return None if link is None else link.table_id

    def get_left_table_id(self, link_id: IdLike) -> Id | None:
        """Return the id of the table on the left, or None."""
        link = self._find(link_id)
        return None if link is None else link.left_table_id

    def get_right_table_id(self, link_id: IdLike) -> Id | None:
        """Return the id of the table on the right, or None."""
        link = self._find(link_id)
        return None if link is None else link.right_table_id

    def get_right_row_ids(self, link_id: IdLike, left_row_id: IdLike) -> list[Id]:
        """Return the ids of the right rows that a left row is linked to, each once, oldest link first."""
        link = self._find(link_id)
        return [] if link is None else link.left.linked_to(to_id(left_row_id))

    def get_left_row_ids(self, link_id: IdLike, right_row_id: IdLike) -> list[Id]:
        """Return the ids of the left rows that a right row is linked to, each once, oldest link first."""
        link = self._find(link_id)
        return [] if link is None else link.right.linked_to(to_id(right_row_id))

    def get_link_row_ids(
        self, link_id: IdLike, left_row_id: IdLike | None, right_row_id: IdLike | None
    ) -> list[Id]:
        """Return the ids of the link rows between two rows, or with None between one row and any.

        >>> links = create_links(Store().set_row("casting", "0", {"actor": "bogart", "movie": "sabrina"}))
        >>> _ = links.set_link_definition("played", "casting", "actors", "actor", "movies", "movie")
        >>> links.get_link_row_ids("played", "bogart", "sabrina")
        ['0']
        >>> links.get_link_row_ids("played", None, "sabrina")
        ['0']
        """
        link = self._find(link_id)
        if link is None:
            return []
        if left_row_id is None:
            return link.right.link_row_ids(to_id(right_row_id))
        return link.left.link_row_ids(
            to_id(left_row_id), None if right_row_id is None else to_id(right_row_id)
        )

    def add_link_ids_listener(self, listener: LinkIdsListener) -> Id:
        """Listen to when many-to-many relationships are defined or removed."""
        return self._listeners.add("link_ids", (), listener)

    def add_right_row_ids_listener(
        self,
        link_id: IdLike | None,
        left_row_id: IdLike | None,
        listener: LinkListener,
    ) -> Id:
        """Listen to which right rows a left row (or any, with None) is linked to.

        >>> store = Store()
        >>> links = create_links(store).set_link_definition(
        ...     "played", "casting", "actors", "actor", "movies", "movie")
        >>> _ = links.add_right_row_ids_listener(
        ...     "played", None, lambda links, link_id, actor: print(links.get_right_row_ids(link_id, actor)))
        >>> _ = store.add_row("casting", {"actor": "bogart", "movie": "sabrina"})
        ['sabrina']
        """
        return self._listeners.add("right_row_ids", (link_id, left_row_id), listener)

    def add_left_row_ids_listener(
        self,
        link_id: IdLike | None,
        right_row_id: IdLike | None,
        listener: LinkListener,
    ) -> Id:
        """Listen to which left rows a right row (or any, with None) is linked to."""
        return self._listeners.add("left_row_ids", (link_id, right_row_id), listener)

    def on_link_ids(self) -> Hook[LinkIdsListener]:
        """Make a decorator for a function to call when many-to-many relationships are defined or removed.

        See `add_link_ids_listener`.
        """
        return self._hook(self.add_link_ids_listener)

    def on_right_row_ids(self, link_id: IdLike | None, left_row_id: IdLike | None) -> Hook[LinkListener]:
        """Make a decorator for a function to call when a left row is linked to other right rows.

        See `add_right_row_ids_listener`.
        """
        return self._hook(self.add_right_row_ids_listener, link_id, left_row_id)

    def on_left_row_ids(self, link_id: IdLike | None, right_row_id: IdLike | None) -> Hook[LinkListener]:
        """Make a decorator for a function to call when a right row is linked to other left rows.

        See `add_left_row_ids_listener`.
        """
        return self._hook(self.add_left_row_ids_listener, link_id, right_row_id)

    def observe_right_row_ids(self, link_id: IdLike, left_row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the right rows of a left row: those now, then each new list.

        >>> store = Store()
        >>> links = create_links(store).set_link_definition(
        ...     "played", "casting", "actors", "actor", "movies", "movie")
        >>> with links.observe_right_row_ids("played", "bogart").subscribe(print):
        ...     _ = store.add_row("casting", {"actor": "bogart", "movie": "sabrina"})
        []
        ['sabrina']
        """
        return self._observe(
            "right row ids", self.add_right_row_ids_listener, self.get_right_row_ids, link_id, left_row_id
        )

    def observe_left_row_ids(self, link_id: IdLike, right_row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the left rows of a right row: those now, then each new list.

        >>> store = Store()
        >>> links = create_links(store).set_link_definition(
        ...     "played", "casting", "actors", "actor", "movies", "movie")
        >>> with links.observe_left_row_ids("played", "sabrina").subscribe(print):
        ...     _ = store.add_row("casting", {"actor": "bogart", "movie": "sabrina"})
        []
        ['bogart']
        """
        return self._observe(
            "left row ids", self.add_left_row_ids_listener, self.get_left_row_ids, link_id, right_row_id
        )

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of each kind."""
        return {kind: self._listeners.count(kind) for kind in ("left_row_ids", "right_row_ids")}

    def _undefine(self, thing_id: Id) -> Link | None:
        for side in ("left", "right"):
            self._actions.set_rule((thing_id, side), None)
        return super()._undefine(thing_id)

    def _link_row_ids(self, link_id: Id, side: str, row_id: Id) -> list[Id]:
        link = self._things[link_id]
        return (link.left if side == "left" else link.right).link_row_ids(row_id)


def create_links(store: Store) -> Links:
    """Return the many-to-many relationships of a store.

    >>> store = Store()
    >>> create_links(store) is create_links(store)
    True
    """
    return module_of(store, "links", Links)
