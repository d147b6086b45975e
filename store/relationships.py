"""Relationships: rows that refer to rows, looked up from both sides, and chains of linked rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from replicell.store.content_types import ForEachRow
from replicell.store.definitions import DefinableModule
from replicell.store.errors import ArgumentError
from replicell.store.extractors import RowExtractor, cells_read
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING
from replicell.store.modules import module_of
from replicell.store.referential import (
    OnDelete,
    ReferentialActions,
    ReferentialRule,
    check_on_delete,
)
from replicell.store.relationship import Relationship, compile_row_id

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["Relationships", "create_relationships"]

RelationshipIdsListener: TypeAlias = "Callable[[Relationships], object]"
LinkedRowListener: TypeAlias = "Callable[[Relationships, Id, Id], object]"


class Relationships(DefinableModule[Relationship]):
    """The relationships of a store. Mirrors TinyBase's ``Relationships``.

    Each relationship leads from the rows of a local table to rows of a remote one, which may be the same
    table and need not have those rows. There is one such object a store: `create_relationships` returns it.

    >>> store = Store().set_table("pets", {"fido": {"species": "dog"}, "rex": {"species": "dog"}})
    >>> relationships = create_relationships(store)
    >>> _ = relationships.set_relationship_definition("of_species", "pets", "species", "species")
    >>> relationships.get_remote_row_id("of_species", "fido")
    'dog'
    >>> relationships.get_local_row_ids("of_species", "dog")
    ['fido', 'rex']
    """

    __slots__ = ("_actions",)

    def __init__(self, store: Store) -> None:
        super().__init__(store, "relationship_ids", "remote_row_id", "local_row_ids", "linked_row_ids")
        self._actions = ReferentialActions(store)

    def set_relationship_definition(
        self,
        relationship_id: IdLike,
        local_table_id: IdLike,
        remote_table_id: IdLike,
        get_remote_row_id: RowExtractor,
        *,
        on_delete: OnDelete | None = None,
    ) -> Self:
        """Define a relationship, or change the definition of one; its listeners stay.

        Mirrors TinyBase's ``setRelationshipDefinition``, which has no `on_delete`.

        Args:
            relationship_id: The relationship.
            local_table_id: The table whose rows refer to others.
            remote_table_id: The table they refer to.
            get_remote_row_id: The cell that holds the id of the remote row, or a function
                ``(get_cell, row_id)`` that returns it; rows without one refer to nothing.
            on_delete: What becomes of the rows that refer to a deleted row, in the same transaction:
                ``"cascade"`` deletes them, ``"set_missing"`` deletes the cell that refers, ``"restrict"``
                raises a `RestrictedError` and undoes the transaction. None leaves them as they are.

        Raises:
            DefinitionError: If `on_delete` is none of these, or ``"set_missing"`` is used with a function.

        >>> store = Store().set_cell("species", "dog", "price", 5).set_cell("pets", "fido", "species", "dog")
        >>> _ = create_relationships(store).set_relationship_definition(
        ...     "of_species", "pets", "species", "species", on_delete="cascade")
        >>> store.del_row("species", "dog").get_tables()
        {}
        """
        self._store._check_thread()
        relationship_id = to_id(relationship_id)
        local_table_id, remote_table_id = to_id(local_table_id), to_id(remote_table_id)
        take = compile_row_id(get_remote_row_id)
        where = f"relationship {relationship_id!r}"
        action = check_on_delete(on_delete, where, not callable(get_remote_row_id))
        relationship = Relationship(relationship_id, local_table_id, remote_table_id, self._store._tables)
        for first_row_id in self._first_rows_listened_to(relationship_id):
            if relationship_id not in self._things:
                relationship.expect_listener(first_row_id)
        self._define(
            relationship,
            cells_read(get_remote_row_id),
            lambda kept: kept.define(local_table_id, remote_table_id, take),
        )
        rule = None
        if action is not None:
            rule = ReferentialRule(
                relationship_id,
                action,
                local_table_id,
                remote_table_id,
                take,
                partial(self.get_local_row_ids, relationship_id),
                None if callable(get_remote_row_id) else to_id(get_remote_row_id),
            )
        self._actions.set_rule((relationship_id, ""), rule)
        return self

    def del_relationship_definition(self, relationship_id: IdLike) -> Self:
        """Remove a relationship; its referential action goes with it.

        Mirrors TinyBase's ``delRelationshipDefinition``.
        """
        self._store._check_thread()
        self._undefine(to_id(relationship_id))
        return self

    def get_relationship_ids(self) -> list[Id]:
        """Return the ids of all relationships. Mirrors TinyBase's ``getRelationshipIds``."""
        self._store._check_thread()
        return list(self._things)

    def for_each_relationship(self, callback: Callable[[Id, ForEachRow], object]) -> None:
        """Call back with each relationship id and a function that goes through the rows of its local table.

        Mirrors TinyBase's ``forEachRelationship``.

        >>> relationships = create_relationships(Store().set_row("pets", "fido", {"species": "dog"}))
        >>> _ = relationships.set_relationship_definition("of_species", "pets", "species", "species")
        >>> relationships.for_each_relationship(
        ...     lambda relationship_id, for_each_row: for_each_row(
        ...         lambda row_id, for_each_cell: print(relationship_id, row_id)))
        of_species fido
        """
        self._store._check_thread()
        for relationship_id, relationship in list(self._things.items()):
            callback(relationship_id, partial(self._store.for_each_row, relationship.table_id))

    def has_relationship(self, relationship_id: IdLike) -> bool:
        """Tell whether there is a relationship of this id. Mirrors TinyBase's ``hasRelationship``."""
        return self._find(relationship_id) is not None

    def get_local_table_id(self, relationship_id: IdLike) -> Id | None:
        """Return the id of the table whose rows refer to others, or None. Mirrors ``getLocalTableId``."""
        relationship = self._find(relationship_id)
        return None if relationship is None else relationship.table_id

    def get_remote_table_id(self, relationship_id: IdLike) -> Id | None:
        """Return the id of the table that is referred to, or None. Mirrors ``getRemoteTableId``."""
        relationship = self._find(relationship_id)
        return None if relationship is None else relationship.remote_table_id

    def get_remote_row_id(self, relationship_id: IdLike, local_row_id: IdLike, default: Any = None) -> Any:
        """Return the id of the row that a row refers to, or the default. Mirrors ``getRemoteRowId``."""
        relationship = self._find(relationship_id)
        found = MISSING if relationship is None else relationship.remote_row_id(to_id(local_row_id))
        return default if found is MISSING else found

    def get_local_row_ids(self, relationship_id: IdLike, remote_row_id: IdLike) -> list[Id]:
        """Return the ids of the rows that refer to a row, in the order in which they came to do so.

        Mirrors TinyBase's ``getLocalRowIds``.
        """
        relationship = self._find(relationship_id)
        return [] if relationship is None else relationship.local_row_ids(to_id(remote_row_id))

    def get_linked_row_ids(self, relationship_id: IdLike, first_row_id: IdLike) -> list[Id]:
        """Return a row id and, where rows of a table refer to rows of the same, those it leads to.

        The chain ends where a row refers to nothing, or to a row that is in it already. Mirrors TinyBase's
        ``getLinkedRowIds``.

        >>> relationships = create_relationships(Store().set_table(
        ...     "pets", {"fido": {"next": "felix"}, "felix": {"next": "rex"}}))
        >>> _ = relationships.set_relationship_definition("sequence", "pets", "pets", "next")
        >>> relationships.get_linked_row_ids("sequence", "fido")
        ['fido', 'felix', 'rex']
        """
        relationship = self._find(relationship_id)
        first_row_id = to_id(first_row_id)
        return [first_row_id] if relationship is None else relationship.linked_row_ids(first_row_id)

    def add_relationship_ids_listener(self, listener: RelationshipIdsListener) -> Id:
        """Listen to when relationships are defined or removed. Mirrors ``addRelationshipIdsListener``."""
        return self._listeners.add("relationship_ids", (), listener)

    def add_remote_row_id_listener(
        self,
        relationship_id: IdLike | None,
        local_row_id: IdLike | None,
        listener: LinkedRowListener,
    ) -> Id:
        """Listen to when a row comes to refer to another row. Mirrors ``addRemoteRowIdListener``.

        >>> store = Store()
        >>> relationships = create_relationships(store).set_relationship_definition(
        ...     "of_species", "pets", "species", "species")
        >>> _ = relationships.add_remote_row_id_listener(
        ...     None, None, lambda rels, rel_id, row_id: print(rels.get_remote_row_id(rel_id, row_id)))
        >>> _ = store.set_row("pets", "fido", {"species": "dog"})
        dog
        """
        return self._listeners.add("remote_row_id", (relationship_id, local_row_id), listener)

    def add_local_row_ids_listener(
        self,
        relationship_id: IdLike | None,
        remote_row_id: IdLike | None,
        listener: LinkedRowListener,
    ) -> Id:
        """Listen to which rows refer to a row. Mirrors TinyBase's ``addLocalRowIdsListener``."""
        return self._listeners.add("local_row_ids", (relationship_id, remote_row_id), listener)

    def add_linked_row_ids_listener(
        self,
        relationship_id: IdLike,
        first_row_id: IdLike,
        listener: LinkedRowListener,
    ) -> Id:
        """Listen to the chain of rows that begins with a row; both ids must be given.

        Mirrors TinyBase's ``addLinkedRowIdsListener``.
        """
        if relationship_id is None or first_row_id is None:
            raise ArgumentError(
                "a listener to linked rows needs a relationship id and a first row id, not None"
            )
        relationship = self._find(relationship_id)
        if relationship is not None:
            relationship.listen_to_chain(to_id(first_row_id))
        return self._listeners.add("linked_row_ids", (relationship_id, first_row_id), listener)

    def on_relationship_ids(self) -> Hook[RelationshipIdsListener]:
        """Make a decorator for a function to call when relationships are defined or removed.

        See `add_relationship_ids_listener`.
        """
        return self._hook(self.add_relationship_ids_listener)

    def on_remote_row_id(
        self, relationship_id: IdLike | None, local_row_id: IdLike | None
    ) -> Hook[LinkedRowListener]:
        """Make a decorator for a function to call when a row comes to refer to another row.

        See `add_remote_row_id_listener`.
        """
        self._store._check_thread()
        return Hook(
            partial(self.add_remote_row_id_listener, relationship_id, local_row_id), self.del_listener
        )

    def on_local_row_ids(
        self, relationship_id: IdLike | None, remote_row_id: IdLike | None
    ) -> Hook[LinkedRowListener]:
        """Make a decorator for a function to call when other rows come to refer to a row.

        See `add_local_row_ids_listener`.
        """
        self._store._check_thread()
        return Hook(
            partial(self.add_local_row_ids_listener, relationship_id, remote_row_id), self.del_listener
        )

    def on_linked_row_ids(self, relationship_id: IdLike, first_row_id: IdLike) -> Hook[LinkedRowListener]:
        """Make a decorator for a function to call when the chain that begins with a row changes.

        See `add_linked_row_ids_listener`.
        """
        self._store._check_thread()
        return Hook(
            partial(self.add_linked_row_ids_listener, relationship_id, first_row_id), self.del_listener
        )

    def observe_remote_row_id(self, relationship_id: IdLike, local_row_id: IdLike) -> Observable[Id | None]:
        """Return a reactivex Observable of the row that a row refers to, or None: now, then each new one.

        >>> store = Store()
        >>> relationships = create_relationships(store).set_relationship_definition(
        ...     "of_species", "pets", "species", "species")
        >>> with relationships.observe_remote_row_id("of_species", "fido").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"species": "dog"})
        None
        dog
        """
        return self._observe(
            "remote row id",
            self.add_remote_row_id_listener,
            self.get_remote_row_id,
            relationship_id,
            local_row_id,
        )

    def observe_local_row_ids(self, relationship_id: IdLike, remote_row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of the rows that refer to a row: now, then each new list.

        >>> store = Store()
        >>> relationships = create_relationships(store).set_relationship_definition(
        ...     "of_species", "pets", "species", "species")
        >>> with relationships.observe_local_row_ids("of_species", "dog").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"species": "dog"})
        []
        ['fido']
        """
        return self._observe(
            "local row ids",
            self.add_local_row_ids_listener,
            self.get_local_row_ids,
            relationship_id,
            remote_row_id,
        )

    def observe_linked_row_ids(self, relationship_id: IdLike, first_row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the chain of rows that begins with a row: now, then each new one.

        >>> store = Store()
        >>> relationships = create_relationships(store).set_relationship_definition(
        ...     "next", "pets", "pets", "next")
        >>> with relationships.observe_linked_row_ids("next", "fido").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"next": "felix"})
        ['fido']
        ['fido', 'felix']
        """
        return self._observe(
            "linked row ids",
            self.add_linked_row_ids_listener,
            self.get_linked_row_ids,
            relationship_id,
            first_row_id,
        )

    def del_listener(self, listener_id: IdLike) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's ``delListener``."""
        self._store._check_thread()
        removed = self._listeners.remove(listener_id)
        if removed is not None and removed[0] == "linked_row_ids":
            relationship_id, first_row_id = removed[1]
            relationship = self._things.get(relationship_id or "")
            if relationship is not None:
                relationship.stop_listening_to_chain(first_row_id or "")
        return self

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of each kind. Mirrors TinyBase's ``getListenerStats``."""
        kinds = ("remote_row_id", "local_row_ids", "linked_row_ids")
        return {kind: self._listeners.count(kind) for kind in kinds}

    def _undefine(self, thing_id: Id) -> Relationship | None:
        self._actions.set_rule((thing_id, ""), None)
        return super()._undefine(thing_id)

    def _first_rows_listened_to(self, relationship_id: Id) -> list[Id]:
        return [
            listener.path[1] or ""
            for listener in self._listeners.of("linked_row_ids")
            if listener.path[0] == relationship_id and listener.callback is not None
        ]


def create_relationships(store: Store) -> Relationships:
    """Return the relationships of a store. Mirrors TinyBase's ``createRelationships``.

    >>> store = Store()
    >>> create_relationships(store) is create_relationships(store)
    True
    """
    return module_of(store, "relationships", Relationships)
