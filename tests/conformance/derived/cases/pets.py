"""What the cases are about, and how they listen."""

from __future__ import annotations

from typing import Any

__all__ = ["PETS", "listen", "listen_to_all"]

KINDS: dict[str, tuple[tuple[str, int], ...]] = {
    "indexes": (("IndexIds", 0), ("HasIndex", 1), ("SliceIds", 1), ("HasSlice", 2), ("SliceRowIds", 2)),
    "metrics": (("MetricIds", 0), ("Metric", 1)),
    "relationships": (("RelationshipIds", 0), ("RemoteRowId", 2), ("LocalRowIds", 2)),
    "checkpoints": (("CheckpointIds", 0), ("Checkpoint", 1)),
}

PETS: list[Any] = [
    "setTable",
    "t1",
    {
        "r0": {"a": "x", "n": 3, "next": "r1"},
        "r1": {"a": "y", "n": 1, "next": "r2"},
        "r2": {"a": "x", "n": 2},
        "r3": {"n": 5, "next": "r0"},
    },
]
"""A table to begin with."""


def listen(name: str, kind: str, *ids: Any, mutator: bool = False, **behaviour: Any) -> list[Any]:
    """The operation that adds a listener to an object."""
    return ["listen", name, kind, list(ids), behaviour, mutator]


def listen_to_all(name: str) -> list[list[Any]]:
    """The operations that add a wildcard listener of each kind to an object."""
    return [listen(name, kind, *[None] * ids) for kind, ids in KINDS[name]]
