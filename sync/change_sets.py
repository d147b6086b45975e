"""Changes as a ``validate`` hook sees them, and the asking of that hook."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

import msgspec

from replicell.persisters.crsqlite.cells import UnreadableValueError, decode_cell
from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.keys import InvalidKeyError, SqlValue, unpack_key
from replicell.persisters.crsqlite.rules import Refusal
from replicell.sync.access.identity import Identity
from replicell.sync.errors import SyncError
from replicell.sync.jobs import Batch

__all__ = ["CellChange", "ChangeKind", "ChangeSet", "HookError", "Validate", "judge"]

ChangeKind: TypeAlias = Literal["set", "clear", "create", "delete"]

_RICH: Final = "\ufffd"
_JUDGED_AT_ONCE: Final = 100
_transaction = attrgetter("db_version")


@dataclass(frozen=True, slots=True, eq=False)
class CellChange:
    """One changed cell, or one row that was created or deleted as a whole.

    Args:
        kind: ``set`` or ``clear`` for a cell, ``create`` or ``delete`` for a row. A new row mostly comes as
            its cells alone.
        table: The table's name.
        key: The values of its key columns; with replicell's persisters one, the row id.
        column: The column's name, None for a row as a whole.
        value: The cell as it was in the store (True, None, a dict ...); bytes and infinite numbers, which no
            store holds, as they are.
        author: The site id of the client that sends it.
    """

    kind: ChangeKind
    table: str
    key: tuple[SqlValue, ...]
    column: str | None
    value: Any
    author: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ChangeSet:
    """What a client has committed in one transaction.

    Args:
        room: The room's name.
        changes: The changes, in the order they were made.
        complete: Whether these are all; a transaction of more than 64 MiB comes in pieces.
        author: The site id of the client that sends it.
    """

    room: str
    changes: tuple[CellChange, ...]
    complete: bool
    author: bytes

    def cells(self, table: str) -> dict[tuple[SqlValue, ...], dict[str, Any]]:
        """Return the cells of a table that are set, by key and column."""
        found: dict[tuple[SqlValue, ...], dict[str, Any]] = {}
        for change in self.changes:
            if change.table == table and change.kind == "set" and change.column is not None:
                found.setdefault(change.key, {})[change.column] = change.value
        return found


_Opinion: TypeAlias = str | Mapping[CellChange, str] | None

Validate: TypeAlias = Callable[[ChangeSet, Identity], _Opinion | Awaitable[_Opinion]]
"""Judges a change set: None takes it, a text refuses all of it for this reason, a mapping refuses some of its
changes, each for a reason."""


class HookError(SyncError):
    """A hook has failed, or took too long."""


async def judge(
    validate: Validate, batches: Iterable[Batch], room: str, author: bytes, identity: Identity, seconds: float
) -> list[Refusal]:
    """Ask a hook about changes, transaction by transaction.

    Args:
        validate: The hook.
        batches: The changes as they came.
        room: The room's name.
        author: The client's site id.
        identity: Who that is.
        seconds: How long the hook may take for a transaction.

    Returns:
        What is refused: by the hook, or because it cannot be shown to it.

    Raises:
        HookError: The hook has failed or took too long.
    """
    refused: list[Refusal] = []
    judged = 0
    for batch in batches:
        for _, changes in groupby(batch.rows, _transaction):
            shown: dict[CellChange, Change] = {}
            for change in changes:
                try:
                    shown[_decoded(change, author)] = change
                except (InvalidKeyError, TypeError) as error:
                    refused.append(Refusal(change, "invalid", f"it cannot be read: {error}"))
            judged += len(shown)
            if judged >= _JUDGED_AT_ONCE:
                # A plain function never lets the other connections have their turn.
                await asyncio.sleep(0)
                judged = 0
            if shown:
                change_set = ChangeSet(room, tuple(shown), batch.whole, author)
                refused.extend(await _refused(validate, change_set, shown, identity, seconds))
    return refused


async def _refused(
    validate: Validate,
    change_set: ChangeSet,
    shown: Mapping[CellChange, Change],
    identity: Identity,
    seconds: float,
) -> list[Refusal]:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            found = validate(change_set, identity)
            opinion = await found if inspect.isawaitable(found) else found
        if opinion is None:
            return []
        if isinstance(opinion, str):
            opinion = dict.fromkeys(shown, opinion)
        if not isinstance(opinion, Mapping):
            raise TypeError(f"it returns None, a text or a mapping, not {opinion!r}")
        return [Refusal(shown[change], "forbidden", str(reason)) for change, reason in opinion.items()]
    except Exception as error:
        if isinstance(error, TimeoutError) and limit.expired():
            raise HookError(f"the validate hook took longer than {seconds} seconds") from error
        raise HookError(f"the validate hook failed: {error!r}") from error


def _decoded(change: Change, author: bytes) -> CellChange:
    key = unpack_key(change.pk)
    if change.cid == ROW:
        return CellChange("create" if change.cl & 1 else "delete", change.table, key, None, None, author)
    if change.val is None:
        return CellChange("clear", change.table, key, change.cid, None, author)
    return CellChange("set", change.table, key, change.cid, _value(change.val), author)


def _value(val: SqlValue) -> Any:
    if not isinstance(val, (bytes, int, float, str)):
        raise TypeError(f"a value of type {type(val).__name__}")
    try:
        cell = decode_cell(val)
    except UnreadableValueError:
        return val
    if isinstance(cell, str) and cell.startswith(_RICH):
        return msgspec.json.decode(cell[len(_RICH) :])
    return cell
