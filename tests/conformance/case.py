"""A named script that shows one row, or a few rows, of the feature list."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.conformance.twin import Script

__all__ = ["UNDEFINED", "Case", "listen", "listen_to_all"]

UNDEFINED: dict[str, str] = {"$": "undefined"}
KINDS_BY_IDS = {
    0: ("HasTables", "Tables", "TableIds", "HasValues", "Values", "ValueIds"),
    1: ("HasTable", "Table", "TableCellIds", "RowCount", "RowIds", "HasValue", "Value", "InvalidValue"),
    2: ("HasTableCell", "HasRow", "Row", "CellIds"),
    3: ("HasCell", "Cell", "InvalidCell"),
}


@dataclass(frozen=True)
class Case:
    """A script and the row of the feature list that it shows.

    A mended case shows what replicell does where TinyBase has a defect (see patches.py).
    """

    row: int
    name: str
    ops: list[list[Any]]
    probes: list[list[str]] = field(default_factory=list)
    value_probes: list[str] = field(default_factory=list)
    mended: bool = False

    @property
    def script(self) -> Script:
        return {
            "ops": self.ops,
            "mended": self.mended,
            "probes": self.probes,
            "valueProbes": self.value_probes,
        }


def listen(kind: str, *ids: Any, mutator: bool = False, **behaviour: Any) -> list[Any]:
    """The operation that adds a listener."""
    return ["listen", kind, list(ids), behaviour, mutator]


def listen_to_all() -> list[list[Any]]:
    """The operations that add a wildcard listener of every kind."""
    tabular = [listen(kind, *[None] * count) for count, kinds in KINDS_BY_IDS.items() for kind in kinds]
    return [*tabular, *(listen(f"{kind}Transaction") for kind in ("Start", "WillFinish", "DidFinish"))]
