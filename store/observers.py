"""Following single cells, rows and tables from one transaction to the next.

Observers differ from listeners in when they are told: after the transaction, when the store may be written
to again, with the content as the transaction left it. Observables (`replicell.store.observables`) are built
on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from replicell.store.cells import is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable, TransactionRecord
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["Observation", "Observers"]

Path: TypeAlias = tuple[Id, ...]
"""The ids of a table, a row or a cell."""

_NO_CELLS: EncodedRow = {}


class Observation:
    """One observer of one thing."""

    __slots__ = ("active", "path", "read", "tell")

    def __init__(self, path: Path, read: Callable[[], Any], tell: Callable[[Any], object]) -> None:
        self.path = path
        self.read = read
        """Reads what is observed, decoded."""
        self.tell = tell
        self.active = True


class Observers:
    """All observers of a store."""

    __slots__ = ("_by_path", "_tables", "_telling", "_waiting")

    def __init__(self, tables: Mapping[Id, EncodedTable]) -> None:
        self._tables = tables
        self._by_path: dict[Path, list[Observation]] = {}
        self._waiting: deque[tuple[Observation, Any]] = deque()
        self._telling = False

    def __bool__(self) -> bool:
        return bool(self._by_path) or bool(self._waiting)

    def add(self, observation: Observation) -> None:
        """Begin to tell an observer."""
        self._by_path.setdefault(observation.path, []).append(observation)

    def remove(self, observation: Observation) -> None:
        """Stop telling an observer, also of what it was about to be told."""
        observation.active = False
        observations = self._by_path.get(observation.path, [])
        if observation in observations:
            observations.remove(observation)
            if not observations:
                del self._by_path[observation.path]

    def collect(self, record: TransactionRecord) -> None:
        """Read what a finished transaction has changed of the things observed."""
        for observations in self._changed(record):
            for observation in observations:
                self._waiting.append((observation, observation.read()))

    def emit(self) -> None:
        """Tell observers, in order, what was collected; what they write themselves is told after it.

        Raises:
            Exception: What an observer raised, or an ExceptionGroup if several did, when all have been told.
        """
        if self._telling:
            return
        self._telling = True
        errors: list[Exception] = []
        try:
            while self._waiting:
                observation, content = self._waiting.popleft()
                if observation.active:
                    try:
                        observation.tell(content)
                    except Exception as error:
                        error.add_note(f"in an observer of {'/'.join(observation.path)}")
                        errors.append(error)
        finally:
            self._telling = False
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several observers failed", errors)

    def _changed(self, record: TransactionRecord) -> list[list[Observation]]:
        changed: dict[Path, list[Observation]] = {}
        for table_id, rows in record.cells.items():
            table = self._tables.get(table_id, {})
            for row_id, olds in rows.items():
                row = table.get(row_id, _NO_CELLS)
                for cell_id, old in olds.items():
                    if not is_same_cell(old, row.get(cell_id, MISSING)):
                        path = (table_id, row_id, cell_id)
                        for part in (path, path[:2], path[:1]):
                            observations = self._by_path.get(part)
                            if observations is not None:
                                changed[part] = observations
        return list(changed.values())
