"""Random scripts over queries, each from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

from tests.conformance.twin import Script
from tests.conformance.values import UNDEFINED

__all__ = ["random_script"]

TABLES = ("t1", "t2", "t3")
ROWS = ("r1", "r2", "r3", "r4")
CELLS = ("a", "b", "n", "link")
QUERIES = ("q1", "q2", "q3")
AGGREGATES = ("count", "sum", "avg", "min", "max", "no such aggregate")
NUMBERS = (0, 1, 2, 3, 2.5, -1, 0.5)
RESULT_LISTENERS = (
    ("ResultTable", 0),
    ("ResultTableCellIds", 0),
    ("ResultRowCount", 0),
    ("ResultRowIds", 0),
    ("ResultRow", 1),
    ("ResultCellIds", 1),
    ("ResultCell", 2),
    ("ResultCell", 2),
)
READS = (
    ("getResultTable", 0),
    ("getResultTableCellIds", 0),
    ("getResultRowCount", 0),
    ("getResultRowIds", 0),
    ("hasResultTable", 0),
    ("getResultRow", 1),
    ("getResultCellIds", 1),
    ("hasResultRow", 1),
    ("getResultCell", 2),
    ("hasResultCell", 2),
    ("getParamValues", 0),
    ("hasQuery", 0),
    ("getTableId", 0),
)

_T = TypeVar("_T")


def random_script(seed: int) -> Script:
    """Return the script of a seed."""
    return Generator(random.Random(seed)).script()


class Generator:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.mended = self.chance(0.5)
        self.one_query = self.chance(0.4)
        self.defined: list[str] = []
        self.read_by_join: set[str] = set()
        self.groups_whole_rows: set[str] = set()
        self.listeners = 0

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, things: Sequence[_T]) -> _T:
        return self.rng.choice(things)

    def script(self) -> Script:
        ops: list[Any] = [self.table(table_id) for table_id in TABLES if self.chance(0.7)]
        ops.append(self.define())
        ops += [self.listen() for _ in range(self.rng.randint(0, 3))]
        ops += [self.op() for _ in range(self.rng.randint(6, 24))]
        return {"ops": ops, "mended": self.mended}

    def op(self) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.62:
            return self.write()
        if roll < 0.76:
            return ["transaction", [self.write() for _ in range(self.rng.randint(2, 6))]]
        if roll < 0.84:
            return self.define()
        if roll < 0.87:
            return self.param()
        if roll < 0.89:
            return ["delQueryDefinition", self.pick(QUERIES)]
        if roll < 0.95:
            return self.listen()
        if roll < 0.97:
            return ["unlisten", self.rng.randint(0, self.listeners)]
        if roll < 0.98:
            return ["stats"]
        method, depth = self.pick(READS)
        return ["read", method, self.pick(QUERIES), *self.path(depth, wildcards=False)]

    # Writes

    def write(self) -> list[Any]:
        table_id, row_id, cell_id = self.pick(TABLES), self.pick(ROWS), self.pick(CELLS)
        roll = self.rng.random()
        if roll < 0.62:
            return ["setCell", table_id, row_id, cell_id, self.cell(cell_id)]
        if roll < 0.76:
            return ["setRow", table_id, row_id, self.row()]
        if roll < 0.86:
            return ["delCell", table_id, row_id, cell_id]
        if roll < 0.95:
            return ["delRow", table_id, row_id]
        return ["delTable", table_id] if roll < 0.97 else self.table(table_id)

    def table(self, table_id: str) -> list[Any]:
        row_ids = sorted(self.rng.sample(ROWS, self.rng.randint(1, 4)))
        return ["setTable", table_id, {row_id: self.row() for row_id in row_ids}]

    def row(self) -> dict[str, Any]:
        cell_ids = self.rng.sample(CELLS, self.rng.randint(1, 4))
        return {cell_id: self.cell(cell_id) for cell_id in cell_ids}

    def cell(self, cell_id: str) -> Any:
        if cell_id == "n":
            # No None: TinyBase counts it as 0 in a minimum, but does not notice when it goes.
            return self.pick(NUMBERS)
        if cell_id == "link":
            return self.pick((*ROWS, "nowhere"))
        return self.pick((True, False, None)) if cell_id == "b" else self.pick(("x", "y", ""))

    # Definitions

    def define(self) -> list[Any]:
        # What is joined is published before, if it was defined before: where TinyBase publishes it after, it
        # tells of each row on its own.
        free = [query_id for query_id in QUERIES if query_id not in self.read_by_join]
        if not free:
            return self.write()
        query_id = "q1" if self.one_query else self.pick(free)
        earlier = [other for other in self.defined if other < query_id]
        source = {"table": "t1" if self.chance(0.8) else self.pick(TABLES)}
        if earlier and self.chance(0.4):
            source = {"query": self.pick(earlier)}
        if query_id not in self.defined:
            self.defined.append(query_id)
        clauses = self.clauses(source, earlier)
        params = {"p": self.pick(("x", "y", 1, True))}
        return ["define", query_id, source, clauses, *([params] if self.chance(0.5) else [])]

    def clauses(self, source: dict[str, str], earlier: list[str]) -> list[Any]:
        groups = self.chance(0.45)
        whole = self.chance(0.2) and (not groups or self.one_query)
        aliases = self.joins(source, earlier)
        clauses: list[Any] = [clause for _, clause in aliases]
        names = [alias for alias, _ in aliases]
        if not self.chance(0.03):
            clauses += self.selects(names, groups or whole)
        if whole:
            given: list[Any] = [] if self.chance(0.6) or not names else [self.pick(names)]
            if given and self.chance(0.7):
                given.append("j_")
            clauses.append(["selectAll", {"args": given}])
        clauses += [self.where(names) for _ in range(self.rng.choice((0, 0, 1, 1, 2)))]
        if groups:
            clauses += self.groups()
        self.rng.shuffle(clauses)
        return clauses

    def joins(self, source: dict[str, str], earlier: list[str]) -> list[tuple[str, Any]]:
        joins: list[tuple[str, Any]] = []
        for number in range(self.rng.choice((0, 0, 1, 1, 2))):
            target: list[Any] = ["t2" if number == 0 else self.pick(TABLES)]
            if earlier and "table" in source and self.chance(0.2):
                target = [True, self.pick(earlier)]
                self.read_by_join.add(str(target[1]))
                self.read_by_join.update(self.defined)
            alias = f"j{number}" if number or self.chance(0.3) else None
            start: list[Any] = []
            if number and self.mended and self.chance(0.6):
                start = [joins[0][0]]
            clause: dict[str, Any] = {"args": [*target, *start], "as": alias}
            if self.chance(0.2):
                clause["fn"] = "link"
            else:
                clause["args"].append("link")
            joins.append((alias or str(target[-1]), ["join", clause]))
        return joins

    def selects(self, aliases: list[str], named: bool) -> list[Any]:
        selects: list[Any] = []
        for number in range(self.rng.randint(1, 4)):
            roll = self.rng.random()
            name = f"s{number}" if named or self.chance(0.5) else None
            if roll < 0.55:
                selects.append(
                    ["select", {"args": [self.pick(CELLS)], "as": name if self.chance(0.4) else None}]
                )
            elif roll < 0.75 and aliases:
                selects.append(["select", {"args": [self.pick(aliases), self.pick(CELLS)], "as": name}])
            elif roll < 0.9:
                selects.append(
                    ["select", {"fn": self.pick(("double", "rowId", "both", "joined")), "as": name}]
                )
            else:
                selects.append(["select", {"args": ["n"]}])
        return selects

    def where(self, aliases: list[str]) -> list[Any]:
        if self.chance(0.3):
            return ["where", {"fn": self.pick(("big", "joinedBig", "big"))}]
        cell_id = self.pick(CELLS)
        if aliases and self.chance(0.4):
            # With undefined as its last argument, TinyBase takes the alias for the cell.
            return ["where", {"args": [self.pick(aliases), cell_id, self.cell(cell_id)]}]
        wanted = self.pick((self.cell(cell_id), self.cell(cell_id), UNDEFINED, {"$": "param", "value": "p"}))
        return ["where", {"args": [cell_id, wanted]}]

    def groups(self) -> list[Any]:
        clauses: list[Any] = []
        for number in range(self.rng.choice((1, 1, 2, 3))):
            name = self.pick(("sum", "many", f"g{number}", None))
            if self.chance(0.7):
                clauses.append(["group", {"args": ["n", self.pick(AGGREGATES)], "as": name}])
            elif self.chance(0.5):
                clauses.append(["group", {"args": ["n"], "fn": "spread", "as": name}])
            else:
                short_cuts = ["totalAdd", "totalRemove", "totalReplace"]
                clauses.append(["group", {"args": ["n"], "fn": "total", "fns": short_cuts, "as": name}])
        if self.chance(0.4):
            clauses.append(["group", {"args": ["s0", "count"], "as": "many"}])
        if self.mended and self.chance(0.5):
            having: dict[str, Any] = {"fn": "manyOrBig"}
            if self.chance(0.4):
                having = {"args": [self.pick(("many", "sum", "a")), self.pick((1, 2, "x", UNDEFINED))]}
            clauses.append(["having", having])
        return clauses

    # Parameters and listeners

    def param(self) -> list[Any]:
        # As for definitions: a new parameter puts a query behind those that join it.
        free = [query_id for query_id in QUERIES if query_id not in self.read_by_join]
        if not free:
            return self.write()
        if self.chance(0.7):
            return ["setParamValue", self.pick(free), "p", self.pick(("x", "y", 1, True, None))]
        return ["setParamValues", self.pick(free), self.pick(({}, {"p": "x"}, {"p": 2, "other": "y"}))]

    def listen(self) -> list[Any]:
        self.listeners += 1
        roll = self.rng.random()
        query_id = self.pick((*QUERIES, None))
        if roll < 0.06:
            return ["listen", "QueryIds", []]
        if roll < 0.12:
            return ["listen", "ParamValues", [query_id]]
        if roll < 0.18:
            return ["listen", "ParamValue", [query_id, self.pick(("p", None))]]
        if roll < 0.26:
            window = [self.chance(0.5), self.pick((0, 0, 1)), self.pick((UNDEFINED, 1, 2))]
            return ["listen", "ResultSortedRowIds", [query_id or "q1", self.pick((UNDEFINED, "n")), *window]]
        kind, depth = self.pick(RESULT_LISTENERS)
        return ["listen", kind, [query_id, *self.path(depth, wildcards=True)]]

    def path(self, depth: int, *, wildcards: bool) -> list[Any]:
        others: tuple[Any, ...] = (None, None) if wildcards else ()
        return [self.pick((*ROWS, "0", "1", *others)), self.pick((*CELLS, "s0", "sum", *others))][:depth]
