"""A server that validates: it refuses what breaks the rules, and says why.

``python -m examples.server_side.rules``; what is refused goes no further than the client that wrote it, which
finds it in `SyncClient.refused_changes` and may take it back with `SyncClient.revert`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from examples.server_side.counts import Counts
from examples.server_side.serving import main
from replicell.sync import CellChange, ChangeSet, Identity, SyncServer

__all__ = ["judge", "make_server"]

LONGEST = 200


def judge(changes: ChangeSet, identity: Identity) -> Mapping[CellChange, str]:
    """Say which changes are refused, and why.

    Args:
        changes: What a client has committed in one transaction.
        identity: Who sends it.
    """
    return {change: reason for change in changes.changes if (reason := why_not(change))}


def why_not(change: CellChange) -> str | None:
    """Say why a change is refused, None if it is not."""
    if change.table == "lists":
        return "the server counts"
    if change.table != "todo" or change.kind != "set":
        return None
    if change.column == "text":
        if not isinstance(change.value, str) or not change.value.strip():
            return "a todo has a text"
        if len(change.value) > LONGEST:
            return f"a todo has {LONGEST} characters at most"
    if change.column == "completed" and not isinstance(change.value, bool):
        return "a todo is completed or not"
    return None


def make_server(data_dir: str, port: int) -> SyncServer:
    """Return a server that keeps the rules in all its rooms, and that alone counts."""
    server = SyncServer(data_dir, port=port, validate=judge, row_id_column="id")
    server.on_room(Counts)
    return server


if __name__ == "__main__":
    sys.exit(main(make_server))
