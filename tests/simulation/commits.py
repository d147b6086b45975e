"""Commits that do not come about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

__all__ = ["failing_commit"]


@contextmanager
def failing_commit(conn: apsw.Connection, end: BaseException | None) -> Iterator[None]:
    """Have a block end at its first commit, or, if it makes none, when all is done.

    Args:
        conn: The connection that the block uses.
        end: What is raised; None if the block is to go on.
    """
    if end is None:
        yield
        return

    def refuse(_: apsw.Cursor, sql: str, __: object) -> bool:
        if sql == "COMMIT":
            raise end
        return True

    conn.exec_trace = refuse
    try:
        yield
        raise end
    finally:
        conn.exec_trace = None
