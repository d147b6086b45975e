"""The program that loads an extension and tries it out, in a process of its own.

A broken library may end the process that loads it, so it is never loaded where it could do harm. The
program imports nothing of replicell and prints one line of JSON: what it found, or what went wrong.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Iterator, Sequence

import apsw

__all__ = ["main"]

_CHANGE_COLUMNS = '"table", pk, cid, val, col_version, db_version, site_id, cl, seq'

# Where the byte count or the highest bit of a packed key's integers changes. A library built with the
# crate bytes 1.7.2 or later gives back other keys here, because it extends the sign.
_DENSE = range(127, 257)
_SPARSE = (32767, 32768, 32769, 40000, 49152, 65534, 65535, 65536)
_POWERS = tuple(2**bits + step for bits in (23, 24, 31, 32, 39, 40, 47, 48, 55, 56) for step in (-1, 0))
_EXTREMES = (0, 1, -1, -128, -32768, 2**63 - 1, -(2**63))

_Change = tuple[object, ...]


def _open(path: str, entry_point: str) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(path, entry_point)
    connection.execute("CREATE TABLE item (id PRIMARY KEY NOT NULL, text, done)")
    connection.execute("SELECT crsql_as_crr('item')")
    return connection


def _close(connection: apsw.Connection) -> None:
    connection.execute("SELECT crsql_finalize()")
    connection.close()


def _boundary_keys() -> Iterator[int | str]:
    yield from (*_DENSE, *range(32767, 65537, 256), *_SPARSE, *_POWERS, *_EXTREMES)
    yield from ("k" * length for length in (0, 1, *_DENSE, *_SPARSE))


def _merge(source: apsw.Connection, target: apsw.Connection) -> None:
    changes: Sequence[_Change] = source.execute(
        f"SELECT {_CHANGE_COLUMNS} FROM crsql_changes WHERE site_id = crsql_site_id()"
    ).fetchall()
    with target:
        target.executemany(
            f"INSERT INTO crsql_changes ({_CHANGE_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", changes
        )


def _rows(connection: apsw.Connection) -> Sequence[_Change]:
    return connection.execute("SELECT id, text, done FROM item ORDER BY id").fetchall()


def _check_merge(first: apsw.Connection, second: apsw.Connection) -> str | None:
    first.execute("INSERT INTO item VALUES ('milk', 'Buy milk', 0)")
    _merge(first, second)
    first.execute("UPDATE item SET text = 'Buy oat milk' WHERE id = 'milk'")
    second.execute("UPDATE item SET done = 1 WHERE id = 'milk'")
    _merge(first, second)
    _merge(second, first)
    merged = [("milk", "Buy oat milk", 1)]
    if _rows(first) != merged or _rows(second) != merged:
        return f"two edits of one row did not merge: {_rows(first)!r} and {_rows(second)!r}"
    second.execute("DELETE FROM item WHERE id = 'milk'")
    _merge(second, first)
    if _rows(first) or _rows(second):
        return f"a deletion did not merge: {_rows(first)!r} is left"
    return None


def _check_boundary_keys(first: apsw.Connection, second: apsw.Connection) -> str | None:
    keys = dict.fromkeys(_boundary_keys())
    with first:
        first.executemany("INSERT INTO item VALUES (?, 'boundary', 0)", ((key,) for key in keys))
    _merge(first, second)
    arrived = {row[0] for row in _rows(second)}
    if lost := [key for key in keys if key not in arrived]:
        shown = lost[0] if isinstance(lost[0], int) else f"a text of {len(lost[0])} characters"
        return (
            f"{len(lost)} of {len(keys)} primary keys at byte boundaries were not the same after a merge, "
            f"the first is {shown} (a build with the crate bytes 1.7.2 or later does this)"
        )
    return None


def _reason(path: str, error: apsw.Error) -> str:
    # SQLite tries the name with ".so" appended too, and tells only how that failed.
    try:
        ctypes.CDLL(path)
    except OSError as cause:
        return str(cause)
    return str(error)


def main(path: str, entry_point: str) -> dict[str, object]:
    """Try the extension out and return what was found.

    Args:
        path: the library.
        entry_point: the name of its initialisation function.

    Returns:
        ``{"error": message}``, or the cr-sqlite version as a number (``version``), SQLite's version as
        text (``sqlite``) and how many boundary keys were merged (``keys``).
    """
    try:
        first, second = _open(path, entry_point), _open(path, entry_point)
    except apsw.Error as error:
        return {"error": f"it could not be loaded: {_reason(path, error)}"}
    try:
        version = first.execute("SELECT value FROM crsql_master WHERE key = 'crsqlite_version'").get
        if problem := _check_merge(first, second) or _check_boundary_keys(first, second):
            return {"error": problem}
    except apsw.Error as error:
        return {"error": f"it was loaded and then failed: {error}"}
    _close(first)
    _close(second)
    return {
        "version": version,
        "sqlite": apsw.sqlite_lib_version(),
        "keys": len(dict.fromkeys(_boundary_keys())),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])))
