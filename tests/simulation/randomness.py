"""Random bytes from a seed, in place of the system's: for Python, and for SQLite and what is built on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from random import Random
from unittest.mock import patch

import apsw

from replicell.persisters.crsqlite.connection import close_connection, open_connection

__all__ = ["seeded_bytes"]


@contextmanager
def seeded_bytes(rng: Random) -> Iterator[None]:
    """Have every site id, epoch and other random byte that is made in a block come from a generator.

    Args:
        rng: The generator.
    """
    _warm_up()
    with patch.object(os, "urandom", rng.randbytes):
        _seed_sqlite(rng)
        try:
            yield
        finally:
            # Then it asks the system again.
            apsw.randomness(0)


class _SeedingVfs(apsw.VFS):
    """A file system for the sake of its randomness."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        super().__init__("replicell-seeding", "", makedefault=True)

    def xRandomness(self, numbytes: int) -> bytes:
        return self._rng.randbytes(numbytes)


def _seed_sqlite(rng: Random) -> None:
    """SQLite makes all its random numbers, site ids too, from what the default file system gives once."""
    default = apsw.vfs_names()[0]
    vfs = _SeedingVfs(rng)
    try:
        apsw.randomness(0)
        apsw.randomness(1)
    finally:
        apsw.set_default_vfs(default)
        vfs.unregister()


@cache
def _warm_up() -> None:
    """The first connection of a process takes more random numbers than any other."""
    close_connection(open_connection(":memory:"))
