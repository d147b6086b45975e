"""Random histories of journals, decided by a seed: whatever nodes write, publish, apply together, park, trim
and tell each other, nobody who comes from another node is thought to have what it lacks."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch, current_epoch
from replicell.persisters.crsqlite.renewing import renew_changes
from replicell.persisters.crsqlite.schema import TableSchema, add_columns
from replicell.sync.backplane import journal, snapshots
from replicell.sync.backplane.entries import Part, Publication, cut
from replicell.sync.jobs import Batch, drain_parked, take_in
from tests.sync.backplane.node_sites import NodeSite
from tests.sync.support import Site

NODES = 3
CLIENTS = 2
STEPS = 250
SEEDS = 24
WITHOUT_N = TableSchema("todo", ("id",), ("text",))


class Node:
    """A node's database, and what its publisher and its link would remember."""

    def __init__(self, rng: random.Random, site: NodeSite) -> None:
        self.rng = rng
        self.site = site
        self.position = self.published = self.batch = 0
        self.begin()

    def begin(self) -> None:
        """Start a new life; what is under way is given up."""
        self.run = self.rng.randbytes(8)
        with transaction(self.site.conn):
            begin_epoch(self.site.conn)
            state = journal.begin(self.site.conn, self.site.catalog, "the log")
        self.position, self.published = state.position, state.pushed
        self.returned, self.returned_at = self.batch, state.pushed
        self.outbox: deque[Part] = deque()

    @property
    def pushed(self) -> int:
        return self.published if self.returned == self.batch else self.returned_at

    def publish(self) -> None:
        """Put what is new into the outbox."""
        if not self.outbox:
            publication = self.site.unpublished(self.published)
            if publication.rows:
                self._put_out(publication, self.published)
            self.published = max(self.published, publication.version)

    def repeat(self) -> None:
        """Renew some of what there is, as for a node that lacks something."""
        conn, catalog = self.site.conn, self.site.catalog
        with transaction(conn):
            rows = read_page(conn, catalog, 0).changes
            some = [row for row in rows if self.rng.random() < 0.5]
            renew_changes(conn, catalog, some, journal.UNLOGGED_SITE_ID, until=self.site.version)

    def _put_out(self, publication: Publication, since: int) -> None:
        self.batch += 1
        size = self.rng.choice((800, 10**6))
        parts = cut(
            publication,
            run=self.run,
            site_id=self.site.site_id,
            batch=self.batch,
            since=since,
            max_payload=size,
        )
        self.outbox.extend(part for part, _ in parts)

    def apply(self, entries: list[tuple[int, Part]]) -> None:
        """Apply entries together."""
        for _, part in entries:
            if part.run == self.run and part.last:
                self.returned = part.batch
                self.returned_at = part.until
        taken = self.site.apply(*entries, pushed=self.pushed, run=self.run)
        self.position = entries[-1][0]
        if self.published == taken.before:
            self.published = taken.after

    def load(self, snapshot: snapshots.Snapshot) -> None:
        """Merge a snapshot."""
        conn, catalog = self.site.conn, self.site.catalog
        with transaction(conn):
            journal.merge_unlogged(conn, catalog, snapshot.unlogged, batch=1)
        with transaction(conn):
            journal.merge_snapshot(
                conn, catalog, snapshot.rows, position=snapshot.position, parts=snapshot.parts, batch=2
            )
        self.position = snapshot.position


class Client:
    """A client's database, and how far it has which node."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.site_id = bytes(site.conn.execute("SELECT crsql_site_id()").get)
        self.cursors: dict[bytes, Cursor] = {}

    def merge(self, rows: list[Change], author: bytes) -> bool:
        """Merge changes; tells whether anything of them was new."""
        batch = Batch(b"", 0, True, rows, 0)
        with transaction(self.site.conn):
            taken = take_in(self.site.conn, self.site.catalog, [batch], author, lambda *_: None, trusted=True)
        return taken.after > taken.before


class History:
    """One history.

    Args:
        seed: Decides what happens.
        folder: For snapshots.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.nodes = [Node(self.rng, NodeSite()) for _ in range(NODES - 1)]
        # The last one takes no column that it does not know, for a while.
        self.nodes.append(Node(self.rng, NodeSite(tables=(WITHOUT_N,))))
        self.clients = [Client(Site()) for _ in range(CLIENTS)]
        self.log: list[tuple[int, Part]] = []
        self.sequence = 0
        self.snapshot: tuple[Path, int] | None = None
        self.keys = 0
        self.helped = 0

    def live(self) -> None:
        writing = [self.write, self.push, self.publish, self.append, self.append]
        often = [*writing, self.apply, self.apply, self.through, self.tell, self.tell, self.pull, self.pull]
        rare = [self.restart, self.repeat, self.trim, self.learn_column]
        for _ in range(STEPS):
            self.rng.choice(often if self.rng.random() < 0.95 else rare)()
        self.rest()

    def node(self) -> Node:
        return self.rng.choice(self.nodes)

    def write(self) -> None:
        """Somebody who does not matter otherwise writes at a node."""
        self._write_into(self.node().site)

    def _write_into(self, site: Site) -> None:
        key = self.rng.choice((f"shared{self.rng.randrange(3)}", f"new{self.keys}"))
        self.keys += 1
        site.put(key, f"{self.keys}" * self.rng.choice((1, 100)))

    def push(self) -> None:
        """A client writes, and sends all that it has to a node, or to two."""
        client = self.rng.choice(self.clients)
        self._write_into(client.site)
        if self.rng.random() < 0.3:
            with transaction(client.site.conn):
                client.site.conn.execute("UPDATE todo SET n = ?", (self.keys,))
        with transaction(client.site.conn, immediate=False):
            rows = read_page(client.site.conn, client.site.catalog, 0).changes
        for node in self.rng.sample(self.nodes, self.rng.choice((1, 1, 2))):
            with transaction(node.site.conn):
                batch = Batch(b"", 0, True, rows, 0)
                take_in(
                    node.site.conn,
                    node.site.catalog,
                    [batch],
                    client.site_id,
                    lambda *_: None,
                    trusted=True,
                )

    def publish(self) -> None:
        self.node().publish()

    def repeat(self) -> None:
        self.node().repeat()

    def append(self) -> None:
        node = self.node()
        if node.outbox:
            self._append(node)

    def _append(self, node: Node) -> None:
        self.sequence += self.rng.randint(1, 3)
        self.log.append((self.sequence, node.outbox.popleft()))

    def apply(self) -> None:
        self._apply_at(self.node(), self.rng.choice((1, 3, 20)))

    def _apply_at(self, node: Node, count: int) -> None:
        if self.snapshot is not None and node.position < self.snapshot[1]:
            node.load(snapshots._read(*self.snapshot, node.position))
        entries = [entry for entry in self.log if entry[0] > node.position][:count]
        if entries:
            node.apply(entries)

    def through(self) -> None:
        """All that a node has goes into the log, and another one reads it."""
        node = self.node()
        node.publish()
        while node.outbox:
            self._append(node)
        for each in self.nodes:
            if self.rng.random() < 0.7:
                self._apply_at(each, self.rng.choice((1, 5, 10**6)))

    def tell(self) -> None:
        one, other = self.rng.sample(self.nodes, 2)
        other.site.hear(one.site)

    def restart(self) -> None:
        self.node().begin()

    def trim(self) -> None:
        """Put a snapshot in place of the entries."""
        node = self.node()
        if self.rng.random() < 0.3 and node.position:
            path = self.folder / f"{self.rng.random()}.db"
            node.site.conn.execute("VACUUM INTO ?", (str(path),))
            self.snapshot = path, node.position
            self.log = [entry for entry in self.log if entry[0] > node.position]

    def learn_column(self) -> None:
        site = self.nodes[-1].site
        if self.rng.random() < 0.2 and "n" not in site.catalog.tables(site.conn)["todo"].columns:
            add_columns(site.conn, "todo", ("n",))
            with transaction(site.conn):
                drain_parked(site.conn, site.catalog, trusted=True)

    def pull(self) -> None:
        self._pull(self.rng.choice(self.clients), self.node())

    def _pull(self, client: Client, node: Node) -> None:
        """A client comes to a node: it has all up to where the node begins, and then the rest too."""
        conn, catalog = node.site.conn, node.site.catalog
        elsewhere = [cursor for site_id, cursor in client.cursors.items() if site_id != node.site.site_id]
        translated = node.site.translate(*elsewhere)
        with transaction(conn, immediate=False):
            page = read_page(conn, catalog, 0, max_changes=10**6, max_bytes=10**9)
            epoch = current_epoch(conn)
        assert page.resume is None
        not_sent = [change for change in page.changes if change.db_version <= translated]
        if not_sent:
            assert not client.merge(not_sent, node.site.site_id)
            self.helped += 1
        client.merge(page.changes, node.site.site_id)
        client.cursors[node.site.site_id] = Cursor(node.site.site_id, epoch, node.site.version)

    def rest(self) -> None:
        """Let everything through; then all are equal."""
        site = self.nodes[-1].site
        while "n" not in site.catalog.tables(site.conn)["todo"].columns:
            self.learn_column()
        for _ in range(3):
            for node in self.nodes:
                while node.outbox or node.site.version > node.published:
                    node.publish()
                    while node.outbox:
                        self._append(node)
                    self._apply_at(node, 10**6)
                self._apply_at(node, 10**6)
        for client in self.clients:
            self._pull(client, self.node())
        contents = [site.rows() for site in (*self.sites(),)]
        assert all(content == contents[0] for content in contents)

    def sites(self) -> list[Site]:
        return [*(node.site for node in self.nodes), *(client.site for client in self.clients)]

    def close(self) -> None:
        for site in self.sites():
            site.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_who_comes_from_another_node_has_all_that_is_not_sent_to_it(seed: int, tmp_path: Path) -> None:
    history = History(seed, tmp_path)
    try:
        history.live()
    finally:
        history.close()
    assert history.helped
