"""One relationship: from each row of a table to a row of another, kept up to date both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from replicell.store.cells import encode_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.definitions import Definition, Event
from replicell.store.extractors import RowExtractor, compile_extractor
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = ["Relationship", "TakeRowId", "compile_row_id"]

TakeRowId: TypeAlias = Callable[[Id, EncodedRow], "Id | MissingType"]
"""Returns the id of the row that a row refers to, or MISSING."""


class Relationship(Definition):
    """One relationship.

    Chains of linked rows are kept only for the rows that somebody listens to.
    """

    __slots__ = (
        "_chains",
        "_in_chains",
        "_listened",
        "_local_rows",
        "_places",
        "_remote_rows",
        "_take",
        "remote_table_id",
    )

    def __init__(
        self, relationship_id: Id, local_table_id: Id, remote_table_id: Id, tables: Mapping[Id, EncodedTable]
    ) -> None:
        super().__init__(relationship_id, local_table_id, tables)
        self.remote_table_id = remote_table_id
        self._take: TakeRowId = lambda row_id, row: MISSING
        self._local_rows: dict[Id, Id] = {}
        self._remote_rows: dict[Id, dict[Id, None]] = {}
        self._listened: dict[Id, int] = {}
        """How many listen to the chain from each first row."""
        self._places: dict[Id, int] = {}
        """In which order they began."""
        self._chains: dict[Id, dict[Id, None]] = {}
        """The chains from those first rows, as far as they are known."""
        self._in_chains: dict[Id, dict[Id, None]] = {}
        """The first rows of the known chains that each row is in."""

    def define(self, local_table_id: Id, remote_table_id: Id, take: TakeRowId) -> list[Event]:
        """Give this relationship a definition, the first or another."""
        before = (self.table_id, self.remote_table_id, self._take)
        self._complete_chains()
        self.table_id, self.remote_table_id, self._take = local_table_id, remote_table_id, take
        try:
            taken = self.take_all()
        except BaseException:
            self.table_id, self.remote_table_id, self._take = before
            raise
        return self.change(taken, True)

    def forget(self) -> None:
        """Begin with nothing."""
        self._local_rows, self._remote_rows, self._chains, self._in_chains = {}, {}, {}, {}

    def known_rows(self) -> Iterable[Id]:
        """The rows that refer to another."""
        return self._local_rows

    def take(self, row_id: Id, row: EncodedRow | None) -> Id | MissingType:
        """Take out of a row the id of the row that it refers to."""
        return MISSING if row is None else self._take(row_id, row)

    @property
    def links(self) -> Mapping[Id, Id]:
        """For each row that refers to another the row that it refers to."""
        return self._local_rows

    def remote_row_id(self, local_row_id: Id) -> Id | MissingType:
        """The row that a row refers to."""
        return self._local_rows.get(local_row_id, MISSING)

    def local_row_ids(self, remote_row_id: Id) -> list[Id]:
        """The rows that refer to a row, in the order in which they came to do so."""
        return list(self._remote_rows.get(remote_row_id, ()))

    def linked_row_ids(self, first_row_id: Id) -> list[Id]:
        """The chain of rows that begins with one."""
        chain = self._chains.get(first_row_id)
        return list(self._chain_from(first_row_id) if chain is None else chain)

    def expect_listener(self, first_row_id: Id) -> None:
        """Note that somebody listens to the chain from a row."""
        if first_row_id not in self._listened:
            self._places[first_row_id] = next(reversed(self._places.values()), 0) + 1
        self._listened[first_row_id] = self._listened.get(first_row_id, 0) + 1

    def listen_to_chain(self, first_row_id: Id) -> None:
        """Begin to keep the chain from a row."""
        self.expect_listener(first_row_id)
        self._keep_chain(first_row_id)

    def stop_listening_to_chain(self, first_row_id: Id) -> None:
        """Undo `listen_to_chain` once."""
        if self._listened.get(first_row_id, 0) > 1:
            self._listened[first_row_id] -= 1
        else:
            self._listened.pop(first_row_id, None)
            self._places.pop(first_row_id, None)
            self._drop_chain(first_row_id)

    def apply(self, taken: dict[Id, Id | MissingType], anew: bool) -> list[Event]:
        """Change links, and give what there is to tell."""
        changed: dict[Id, None] = {}
        remotes: dict[Id, None] = {}
        firsts: dict[Id, None] = {}
        for row_id, new in taken.items():
            old = self._local_rows.get(row_id, MISSING)
            if old == new:
                continue
            changed[row_id] = None
            self._link(row_id, old, new, remotes)
            if self._listened:
                self._complete_chains()
                concerned = self._in_chains.get(row_id, ())
                firsts.update(dict.fromkeys(sorted(concerned, key=self._places.__getitem__)))
        if anew:
            for first in self._listened:
                chain = self._chains.get(first)
                self._drop_chain(first)
                if chain is not None and list(chain) != self.linked_row_ids(first):
                    firsts[first] = None
        for first in firsts:
            self._drop_chain(first)
        return [
            *(("remote_row_id", (self.id, row_id), ()) for row_id in changed),
            *(("local_row_ids", (self.id, row_id), ()) for row_id in remotes),
            *(("linked_row_ids", (self.id, row_id), ()) for row_id in firsts),
        ]

    def _link(
        self, row_id: Id, old: Id | MissingType, new: Id | MissingType, remotes: dict[Id, None]
    ) -> None:
        if old is not MISSING:
            remotes[old] = None
            rows = self._remote_rows[old]
            del rows[row_id]
            if not rows:
                del self._remote_rows[old]
        if new is not MISSING:
            remotes[new] = None
            self._remote_rows.setdefault(new, {})[row_id] = None
            self._local_rows[row_id] = new
        else:
            del self._local_rows[row_id]

    def _complete_chains(self) -> None:
        if len(self._chains) != len(self._listened):
            for first in self._listened:
                self._keep_chain(first)

    def _keep_chain(self, first: Id) -> None:
        if first not in self._chains:
            chain = self._chains[first] = self._chain_from(first)
            for row_id in chain:
                self._in_chains.setdefault(row_id, {})[first] = None

    def _drop_chain(self, first: Id) -> None:
        for row_id in self._chains.pop(first, ()):
            firsts = self._in_chains[row_id]
            del firsts[first]
            if not firsts:
                del self._in_chains[row_id]

    def _chain_from(self, first: Id) -> dict[Id, None]:
        chain: dict[Id, None] = {first: None}
        if self.table_id == self.remote_table_id:
            row_id = self._local_rows.get(first, MISSING)
            while row_id is not MISSING and row_id not in chain:
                chain[row_id] = None
                row_id = self._local_rows.get(row_id, MISSING)
        return chain


def compile_row_id(extractor: RowExtractor) -> TakeRowId:
    """Compile the extractor of a row id; anything but MISSING becomes a string."""
    extract = compile_extractor(extractor, encoded=True)

    def take_row_id(row_id: Id, row: EncodedRow) -> Id | MissingType:
        found: object = extract(row_id, row)
        if found is MISSING:
            return MISSING
        text: Id = to_id(encode_cell(found) if isinstance(found, (dict, list)) else found)
        return text

    return take_row_id
