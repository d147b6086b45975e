"""How few changes are searched for new rows when they are merged, decided by the seed of a history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import Final
from unittest.mock import patch

import apsw

from replicell.persisters.crsqlite import changes
from replicell.persisters.crsqlite.catalog import CatalogTable
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.new_rows import insert_new_rows

__all__ = ["FEW", "inserting_batches", "seeded_merging"]

FEW: Final = changes._FEW
"""In so few changes, as programs in a history mostly write, replicell itself looks for none."""


def seeded_merging(seed: int) -> AbstractContextManager[object]:
    """Have a seed decide, for a block, in how many changes new rows are looked for.

    A random number of its own decides, so that all else in the history is what it would be anyway.
    """
    most = Random(f"merging {seed}").choice((0, 0, 3, 12, FEW))
    return patch.object(changes, "_FEW", most)


@contextmanager
def inserting_batches() -> Iterator[list[int]]:
    """Note the sizes of the batches with new rows."""
    sizes: list[int] = []

    def insert(
        conn: apsw.Connection, tables: Mapping[str, CatalogTable], batch: Sequence[Change], site_id: bytes
    ) -> list[Change]:
        rest = insert_new_rows(conn, tables, batch, site_id)
        if len(rest) < len(batch):
            sizes.append(len(batch))
        return rest

    with patch.object(changes, "insert_new_rows", insert):
        yield sizes
