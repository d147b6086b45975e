"""Fetching a room as a file: the client's side, without I/O beyond jobs in the database's thread.

The file grows beside the database, under the snapshot's id, so that what an ended connection has left is gone
on with. Whether it has come right says its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.copies import is_blank
from replicell.persisters.crsqlite.epochs import EPOCH_BYTES
from replicell.sync import ledger
from replicell.sync.errors import ProtocolError
from replicell.sync.messages import AskPart, AskSnapshot, Message, Part, Snapshot, TableAnnouncement

__all__ = [
    "DIGEST_BYTES",
    "SNAPSHOT_ID_BYTES",
    "SNAPSHOT_PATIENCE",
    "Download",
    "digest_of",
    "discard_snapshots",
]

SNAPSHOT_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32
SNAPSHOT_PATIENCE: Final = 60.0
"""Seconds that either side waits for the other while a snapshot is made and fetched."""
_PARTS_UNDER_WAY: Final = 4
_MOST_PART_BYTES: Final = 512 * 1024
"""So that a part fits into any frame that a client may be told to take."""
_CHUNK: Final = 1024 * 1024


class _Found(NamedTuple):
    """What a database can begin with.

    Args:
        path: What the names of snapshots' files begin with; empty if the database cannot take one.
        id: The snapshot that was begun earlier, empty for none.
        size: How much of that is there.
    """

    path: str
    id: bytes
    size: int


class _RunJob(Protocol):
    def __call__(
        self,
        mode: Literal["read", "write", "run"],
        function: Callable[[apsw.Connection], Any],
        done: Callable[[Any], None],
    ) -> None: ...


class Download:
    """Fetches one snapshot.

    Args:
        send: Takes messages to the server.
        job: Runs database work.
        catalog: The database's catalogue.
        tables: The server's tables: all of them must be there.
        server_id: The server's site id.
        part_bytes: About how much to ask for at once.
        finished: Called with the file and what the server said of it.
        gave_up: Called without arguments if the changes are to be fetched instead.
    """

    def __init__(
        self,
        *,
        send: Callable[[Message], None],
        job: _RunJob,
        catalog: Catalog,
        tables: list[TableAnnouncement],
        server_id: bytes,
        part_bytes: int,
        finished: Callable[[str, Snapshot], None],
        gave_up: Callable[[], None],
    ) -> None:
        self._send = send
        self._job = job
        self._catalog = catalog
        self._tables = tables
        self._server_id = server_id
        self._part_bytes = min(part_bytes, _MOST_PART_BYTES)
        self._finished = finished
        self._gave_up = gave_up
        self._found = _Found("", b"", 0)
        self._snapshot: Snapshot | None = None
        self._path = ""
        self._asked = 0
        self._received = 0
        self._is_written = 0

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        if self._snapshot is None:
            return "the server prepares a snapshot of the room"
        done = 100 * self._is_written // self._snapshot.size
        return f"{done} % of a snapshot of the room are here ({self._snapshot.size:,} bytes)"

    def begin(self) -> None:
        """See whether the database has use for a snapshot, and ask for one."""
        look = partial(_look, catalog=self._catalog, tables=self._tables)
        self._job("run", look, self._looked)

    def receive(self, message: Snapshot | Part) -> None:
        """The server has answered.

        Raises:
            ProtocolError: It was not asked for that.
        """
        if isinstance(message, Snapshot):
            self._describe(message)
        else:
            self._receive_part(message)

    def _describe(self, snapshot: Snapshot) -> None:
        if self._snapshot is not None or not self._found.path:
            raise ProtocolError("a snapshot that was not asked for")
        if not snapshot.id:
            self._gave_up()
            return
        cursor = snapshot.cursor
        if not (
            len(snapshot.id) == SNAPSHOT_ID_BYTES
            and len(snapshot.digest) == DIGEST_BYTES
            and cursor.site_id == self._server_id != b""
            and len(cursor.epoch) == EPOCH_BYTES
            and min(snapshot.size, cursor.version) > 0
        ):
            raise ProtocolError("the ids or sizes of the snapshot are out of range")
        self._snapshot = snapshot
        self._path = self._found.path + snapshot.id.hex()
        if snapshot.id == self._found.id and self._found.size <= snapshot.size:
            self._asked = self._received = self._is_written = self._found.size
            self._go_on()
        else:
            self._job("run", partial(_begin_file, path=self._path), self._begun)

    def _receive_part(self, part: Part) -> None:
        snapshot = self._snapshot
        if snapshot is None or part.id != snapshot.id or part.offset != self._received:
            raise ProtocolError("a part of a snapshot that was not asked for")
        if not part.data:
            # The next connection is told of a newer one.
            raise ProtocolError("the server does not have the snapshot any more")
        if len(part.data) != min(self._part_bytes, snapshot.size - part.offset):
            raise ProtocolError("a part of a snapshot that is longer or shorter than was asked for")
        self._received += len(part.data)
        write = partial(_write_part, path=self._path, offset=part.offset, data=part.data)
        self._job("run", write, self._written)

    def _looked(self, found: _Found) -> None:
        self._found = found
        if found.path:
            self._send(AskSnapshot(found.id))
        else:
            self._gave_up()

    def _begun(self, _: None) -> None:
        self._go_on()

    def _written(self, size: int) -> None:
        self._is_written += size
        self._go_on()

    def _go_on(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        if self._is_written == snapshot.size:
            self._job("run", partial(_has_digest, path=self._path, digest=snapshot.digest), self._checked)
        while (
            self._asked < snapshot.size
            and self._asked - self._is_written < _PARTS_UNDER_WAY * self._part_bytes
        ):
            self._send(AskPart(snapshot.id, self._asked, self._part_bytes))
            self._asked = min(self._asked + self._part_bytes, snapshot.size)

    def _checked(self, is_right: bool) -> None:
        if self._snapshot is not None and is_right:
            self._finished(self._path, self._snapshot)
        else:
            self._gave_up()


def digest_of(path: str | Path) -> bytes:
    """Return the digest of a file's content."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def discard_snapshots(conn: apsw.Connection) -> None:
    """Remove what has been fetched for a database, whole or not; called in its thread."""
    database = conn.db_filename("main")
    for path in _leftovers(_prefix(database)) if database else ():
        path.unlink(missing_ok=True)


def _prefix(database: str | Path) -> str:
    return f"{database}-snapshot-"


def _leftovers(prefix: str) -> list[Path]:
    start = Path(prefix)
    return sorted(path for path in start.parent.iterdir() if path.name.startswith(start.name))


def _look(conn: apsw.Connection, catalog: Catalog, tables: list[TableAnnouncement]) -> _Found:
    database = conn.db_filename("main")
    if not database:
        return _Found("", b"", 0)
    own = catalog.tables(conn)
    fits = all(
        table.name in own
        and table.key == list(own[table.name].key)
        and set(table.columns) <= set(own[table.name].columns)
        for table in tables
    )
    if not fits or ledger.count_parked(conn) or not is_blank(conn, catalog):
        discard_snapshots(conn)
        return _Found("", b"", 0)
    prefix = _prefix(database)
    left = _leftovers(prefix)
    if len(left) == 1:
        name = left[0].name.removeprefix(Path(prefix).name)
        if len(name) == 2 * SNAPSHOT_ID_BYTES and all(letter in "0123456789abcdef" for letter in name):
            return _Found(prefix, bytes.fromhex(name), left[0].stat().st_size)
    discard_snapshots(conn)
    return _Found(prefix, b"", 0)


def _begin_file(_: apsw.Connection, path: str) -> None:
    for left in _leftovers(path[: -2 * SNAPSHOT_ID_BYTES]):
        left.unlink(missing_ok=True)
    Path(path).touch()


def _write_part(_: apsw.Connection, path: str, offset: int, data: bytes) -> int:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)
    return len(data)


def _has_digest(_: apsw.Connection, path: str, digest: bytes) -> bool:
    is_right = digest_of(path) == digest
    if not is_right:
        Path(path).unlink(missing_ok=True)
    return is_right
