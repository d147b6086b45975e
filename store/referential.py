"""What becomes of the rows that refer to a row when that is deleted: referential actions.

They are carried out at the end of the transaction that deletes the row, before it is committed, so that the
deletion and what follows from it are one change to listeners, to undo and to other replicas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from replicell.store.changes import EncodedRow
from replicell.store.errors import DefinitionError, RestrictedError
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.modules import add_settler, remove_settler

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["OnDelete", "ReferentialActions", "ReferentialRule", "check_on_delete"]

OnDelete: TypeAlias = Literal["cascade", "set_missing", "restrict"]
"""Delete the rows that refer to a deleted row, delete only the cells that do, or refuse the deletion."""


class ReferentialRule:
    """One way in which rows refer to others, and what becomes of them.

    Args:
        rule_id: The relationship, to be named in errors.
        action: What to do.
        local_table_id: The table of the rows that refer.
        remote_table_id: The table of the rows that are referred to.
        refers_to: Given a local row's id and content, returns the id it refers to, or MISSING.
        referring: Returns the local rows that referred to a row when the transaction began.
        cell_id: The cell that refers, needed for ``"set_missing"``.
    """

    __slots__ = (
        "action",
        "cell_id",
        "local_table_id",
        "referring",
        "refers_to",
        "remote_table_id",
        "rule_id",
    )

    def __init__(
        self,
        rule_id: Id,
        action: OnDelete,
        local_table_id: Id,
        remote_table_id: Id,
        refers_to: Callable[[Id, EncodedRow], Id | MissingType],
        referring: Callable[[Id], Iterable[Id]],
        cell_id: Id | None,
    ) -> None:
        self.rule_id = rule_id
        self.action = action
        self.local_table_id = local_table_id
        self.remote_table_id = remote_table_id
        self.refers_to = refers_to
        self.referring = referring
        self.cell_id = cell_id


class ReferentialActions:
    """Carries out the rules of one store."""

    __slots__ = ("_rules", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: dict[tuple[Id, str], ReferentialRule] = {}

    def set_rule(self, key: tuple[Id, str], rule: ReferentialRule | None) -> None:
        """Add or replace a rule, or with None remove it."""
        had = bool(self._rules)
        if rule is None:
            self._rules.pop(key, None)
        else:
            self._rules[key] = rule
        if self._rules and not had:
            add_settler(self._store, self.settle)
        elif had and not self._rules:
            remove_settler(self._store, self.settle)

    def settle(self) -> bool:
        """Act on what the open transaction has deleted, and on what goes with it.

        Raises:
            RestrictedError: If a deleted row is still referred to through a rule that forbids it.
        """
        wrote = False
        rules_of: dict[Id, list[ReferentialRule]] = {}
        for rule in self._rules.values():
            rules_of.setdefault(rule.remote_table_id, []).append(rule)
        gone = deque(
            (table_id, row_id)
            for table_id in rules_of
            for row_id, change in self._store._record.row_ids.get(table_id, {}).items()
            if change == -1
        )
        restricted: list[tuple[ReferentialRule, Id]] = []
        touched = _TouchedReferences(self._store)
        while gone:
            table_id, remote_row_id = gone.popleft()
            for rule in rules_of.get(table_id, ()):
                if rule.action == "restrict":
                    restricted.append((rule, remote_row_id))
                    continue
                for row_id in self._referring(rule, remote_row_id, touched):
                    if self._release(rule, row_id, remote_row_id):
                        wrote = True
                    if not self._store.has_row(rule.local_table_id, row_id):
                        gone.append((rule.local_table_id, row_id))
        for rule, remote_row_id in restricted:
            referring = self._referring(rule, remote_row_id, touched)
            if referring:
                raise RestrictedError(rule.rule_id, remote_row_id, referring)
        return wrote

    def _release(self, rule: ReferentialRule, row_id: Id, remote_row_id: Id) -> bool:
        if rule.action == "cascade":
            self._store.del_row(rule.local_table_id, row_id)
        elif rule.cell_id is not None:
            self._store.del_cell(rule.local_table_id, row_id, rule.cell_id)
        return self._refers_to(rule, row_id) != remote_row_id

    def _referring(self, rule: ReferentialRule, remote_row_id: Id, touched: _TouchedReferences) -> list[Id]:
        if self._store.has_row(rule.remote_table_id, remote_row_id):
            return []
        row_ids = dict.fromkeys([*rule.referring(remote_row_id), *touched.of(rule, remote_row_id)])
        return [row_id for row_id in row_ids if self._refers_to(rule, row_id) == remote_row_id]

    def _refers_to(self, rule: ReferentialRule, row_id: Id) -> Id | MissingType:
        row = self._store._tables.get(rule.local_table_id, {}).get(row_id)
        return MISSING if row is None else rule.refers_to(row_id, row)


class _TouchedReferences:
    """What the rows that the open transaction has touched refer to, worked out once for each rule."""

    __slots__ = ("_by_rule", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_rule: dict[ReferentialRule, dict[Id, list[Id]]] = {}

    def of(self, rule: ReferentialRule, remote_row_id: Id) -> list[Id]:
        """Return the touched rows that refer to a row."""
        found = self._by_rule.get(rule)
        if found is None:
            found = self._by_rule[rule] = {}
            table = self._store._tables.get(rule.local_table_id, {})
            for row_id in self._store._record.cells.get(rule.local_table_id, ()):
                refers_to = rule.refers_to(row_id, table[row_id]) if row_id in table else MISSING
                if refers_to is not MISSING:
                    found.setdefault(refers_to, []).append(row_id)
        return found.get(remote_row_id, [])


def check_on_delete(on_delete: str | None, where: str, refers_by_cell: bool) -> OnDelete | None:
    """Check what was given as `on_delete`.

    Raises:
        DefinitionError: If there is no such action, or it needs a cell id where a function was given.
    """
    for action in get_args(OnDelete):
        if on_delete == action:
            if action == "set_missing" and not refers_by_cell:
                raise DefinitionError(
                    f'{where}: on_delete="set_missing" deletes the cell that refers, so it needs a cell id '
                    "and no function. Name the cell, or choose another action."
                )
            checked: OnDelete = action
            return checked
    if on_delete is not None:
        choices = ", ".join(map(repr, get_args(OnDelete)))
        raise DefinitionError(f"{where}: there is no on_delete={on_delete!r}; choose {choices} or None")
    return None
