"""Random scripts from a seed, in which definitions, redefinitions, writes and deletions interleave.

Half of them are compared with TinyBase as published and keep clear of what patches.py mends; the other half
with the mended copy.
"""

from __future__ import annotations

import random
from typing import Any

from tests.conformance.derived.functions import function
from tests.conformance.twin import Script
from tests.conformance.values import UNDEFINED

__all__ = ["random_script"]

TABLES = ("t1", "t1", "t2")
ROWS = ("r0", "r1", "r2", "r3")
STRINGS = ("x", "y", "", "r1", "5")
NUMBERS = (0, 1, 2, 3, 2.5, -1, 10)
LISTENERS: dict[str, tuple[tuple[str, str], ...]] = {
    "indexes": (
        ("IndexIds", ""),
        ("HasIndex", "i"),
        ("SliceIds", "i"),
        ("HasSlice", "is"),
        ("SliceRowIds", "is"),
        ("SliceRowIds", "is"),
    ),
    "metrics": (("MetricIds", ""), ("Metric", "m"), ("Metric", "m")),
    "relationships": (
        ("RelationshipIds", ""),
        ("RemoteRowId", "qr"),
        ("LocalRowIds", "qr"),
        ("LinkedRowIds", "QR"),
        ("LinkedRowIds", "QR"),
    ),
    "checkpoints": (("CheckpointIds", ""), ("Checkpoint", "c")),
    "store": (
        ("Cell", "tro"),
        ("Row", "tr"),
        ("Table", "t"),
        ("Tables", ""),
        ("DidFinishTransaction", ""),
        ("WillFinishTransaction", ""),
        ("Value", "v"),
    ),
}
IDS = {
    "i": ("i1", "i2"),
    "s": ("x", "y", "", "1", "r1"),
    "m": ("m1", "m2"),
    "q": ("q1", "q2"),
    "r": ROWS,
    "c": ("0", "1", "2"),
    "t": ("t1", "t2"),
    "o": ("a", "n", "next"),
    "v": ("v1", "v2"),
}
READS: tuple[tuple[str, str], ...] = (
    ("indexes.hasIndex", "i"),
    ("indexes.hasSlice", "is"),
    ("indexes.getSliceRowIds", "is"),
    ("indexes.getTableId", "i"),
    ("indexes.getListenerStats", ""),
    ("metrics.hasMetric", "m"),
    ("metrics.getMetric", "m"),
    ("metrics.getMetricIds", ""),
    ("metrics.getListenerStats", ""),
    ("relationships.hasRelationship", "q"),
    ("relationships.getRemoteRowId", "qr"),
    ("relationships.getLocalRowIds", "qr"),
    ("relationships.getLinkedRowIds", "qr"),
    ("relationships.getListenerStats", ""),
    ("checkpoints.getCheckpointIds", ""),
    ("checkpoints.hasCheckpoint", "c"),
    ("checkpoints.getCheckpoint", "c"),
    ("checkpoints.getListenerStats", ""),
    ("getListenerStats", ""),
)
ITERATIONS = (
    ("indexes", "forEachIndex", ""),
    ("indexes", "forEachSlice", "i"),
    ("metrics", "forEachMetric", ""),
    ("relationships", "forEachRelationship", ""),
    ("checkpoints", "forEachCheckpoint", ""),
)
ITERATIONS_AS_PUBLISHED = tuple([iteration for iteration in ITERATIONS if iteration[0] != "metrics"])
SETTING_GUARDS = ("vetoX", "vetoNumbers", "double", "invalid", "veto", "same")
GUARDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("WillSetCell", SETTING_GUARDS),
    ("WillSetCell", SETTING_GUARDS),
    ("WillSetRow", ("withB", "withoutA", "veto", "same")),
    ("WillSetTable", ("withoutR1", "veto", "same")),
    ("WillSetTables", ("same", "veto")),
    ("WillSetContent", ("onlyTables", "same", "veto")),
    ("WillSetValue", SETTING_GUARDS),
    ("WillSetValues", ("withB", "same", "veto")),
    ("WillDelCell", ("protectA", "allow", "forbid")),
    ("WillDelRow", ("protectR1", "allow", "forbid")),
    ("WillDelTable", ("protectT1", "allow", "forbid")),
    ("WillDelTables", ("allow", "forbid")),
    ("WillDelValue", ("protectA", "allow", "forbid")),
    ("WillDelValues", ("allow", "forbid")),
    ("WillApplyChanges", ("onlyChangedValues", "same", "veto")),
)
HARMLESS_GUARDS = {"same", "allow", "double"}
WRITES = (
    *("setCell",) * 8,
    *("setRow",) * 3,
    *("delRow",) * 3,
    *("delCell",) * 2,
    *("setPartialRow", "setTable", "delTable", "setTables", "delTables", "addRow", "setValue", "setValues"),
    *("delValue", "delValues", "applyChanges", "setContent"),
)


def random_script(seed: int, length: int = 40) -> Script:
    """Write the script of a seed: some definitions and listeners, then `length` operations."""
    return DerivedWriter(random.Random(seed), mended=seed % 2 == 1).write(length)


class DerivedWriter:
    def __init__(self, rng: random.Random, *, mended: bool) -> None:
        self.rng = rng
        self.mended = mended
        self.rolls_back = mended or rng.random() < 0.5
        self.rich = mended or not self.rolls_back
        self.sorts = rng.random() < 0.6
        self.guards = rng.random() < 0.25
        self.has_defaults = False
        self.travels = True
        self.listeners = 0
        self.nesting = 0

    def write(self, length: int) -> Script:
        ops: list[Any] = []
        if self.guards and self.chance(0.5):
            ops.append(["setTablesSchema", self.schema()])
            # Undo asks no middleware, so a default that was vetoed comes with a row that comes back.
            self.has_defaults = self.mended
            self.travels = not self.has_defaults or self.chance(0.5)
        ops += [self.define() for _ in range(self.rng.randint(1, 4))]
        ops += [self.listen() for _ in range(self.rng.randint(3, 8))]
        ops += [self.guard() for _ in range(self.rng.randint(1, 3) if self.guards else 0)]
        ops += [self.op() for _ in range(length)]
        return {"mended": self.mended, "ops": ops}

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, things: Any) -> Any:
        return self.rng.choice(things)

    def ids(self, letters: str) -> list[Any]:
        return [self.pick(IDS[letter.lower()]) for letter in letters]

    def ids_or_wildcards(self, letters: str) -> list[Any]:
        return [
            None if letter.islower() and self.chance(0.4) else self.pick(IDS[letter.lower()])
            for letter in letters
        ]

    # Content

    def cell(self, cell_id: str) -> Any:
        if cell_id == "n":
            return self.pick(NUMBERS)
        if cell_id == "next":
            return self.pick(ROWS)
        if cell_id == "tags":
            return [self.pick("xyz") for _ in range(self.rng.randint(0, 3))]
        if self.rich and self.chance(0.05):
            return self.pick(([5], [], {"k": 1}, ["x", 1]))
        return self.pick((*STRINGS, 1, True, False, None))

    def cell_ids(self) -> tuple[str, ...]:
        return ("a", "b", "n", "next", "tags") if self.rich else ("a", "b", "n", "next")

    def row(self) -> dict[str, Any]:
        cell_ids = self.rng.sample(self.cell_ids(), self.rng.randint(1, 3))
        return {cell_id: self.cell(cell_id) for cell_id in cell_ids}

    def table(self) -> dict[str, Any]:
        return {row_id: self.row() for row_id in self.rng.sample(ROWS, self.rng.randint(1, 4))}

    def tables(self) -> dict[str, Any]:
        return {table_id: self.table() for table_id in self.rng.sample(("t1", "t2"), self.rng.randint(1, 2))}

    def values(self) -> dict[str, Any]:
        return {value_id: self.cell("a") for value_id in self.rng.sample(("v1", "v2", "a"), 2)}

    def changes(self) -> list[Any]:
        tables = {
            self.pick(TABLES): {
                row_id: UNDEFINED
                if self.chance(0.2)
                else {c: UNDEFINED if self.chance(0.2) else cell for c, cell in self.row().items()}
                for row_id in self.rng.sample(ROWS, 2)
            }
        }
        return [tables, {"v1": self.cell("a")} if self.chance(0.5) else {}, 1]

    def schema(self) -> dict[str, Any]:
        anything = ["string", "number", "boolean", "array", "object"]
        cells: dict[str, Any] = {
            "n": {"type": "number"},
            "next": {"type": "string"},
            "tags": {"type": "array"},
        }
        cells["a"] = {"type": anything, "allowNull": True}
        cells["b"] = {"type": "string", "default": "b"} if self.mended else {"type": "string"}
        number: dict[str, Any] = {"type": "number", "default": 1} if self.mended else {"type": "number"}
        return {"t1": cells, "t2": {"a": cells["a"], "n": number}}

    # Operations

    def op(self) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.52:
            return self.write_op()
        if roll < 0.64 and self.nesting < 2:
            return self.transaction()
        # What is defined inside a transaction may stay as it was then in TinyBase, whatever follows.
        if roll < 0.76 and not self.nesting:
            return self.define() if self.chance(0.75) else self.undefine()
        if roll < 0.86 and not self.nesting:
            return self.travel()
        if roll < 0.90:
            return self.listen()
        if roll < 0.92:
            name = self.pick(("indexes", "metrics", "relationships", "checkpoints"))
            return [f"{name}.delListener", str(self.rng.randint(0, 3))]
        if roll < 0.93:
            return [f"{self.pick(('indexes', 'metrics', 'relationships'))}.destroy"]
        if roll < 0.95:
            name, method, letters = self.pick(ITERATIONS if self.mended else ITERATIONS_AS_PUBLISHED)
            return ["iterate", name, method, *self.ids(letters)]
        method, letters = self.pick(READS)
        return [method, *self.ids(letters)]

    def write_op(self) -> list[Any]:
        name = self.pick(WRITES)
        table_id, row_id = self.pick(TABLES), self.pick(ROWS)
        cell_id = self.pick(self.cell_ids())
        arguments: dict[str, list[Any]] = {
            "setCell": [table_id, row_id, cell_id, self.cell(cell_id)],
            "setRow": [table_id, row_id, self.row()],
            "setPartialRow": [table_id, row_id, self.row()],
            "addRow": [table_id, self.row()],
            "delRow": [table_id, row_id],
            "delCell": [table_id, row_id, cell_id],
            "setTable": [table_id, self.table()],
            "delTable": [table_id],
            "setTables": [self.tables()],
            "setValue": [self.pick(("v1", "v2", "a")), self.cell("a")],
            "setValues": [self.values()],
            "delValue": [self.pick(("v1", "v2", "a"))],
            "applyChanges": [self.changes()],
            "setContent": [[self.tables(), self.values()]],
        }
        return [name, *arguments.get(name, [])]

    def transaction(self) -> list[Any]:
        self.nesting += 1
        ops = [self.write_op() if self.chance(0.8) else self.op() for _ in range(self.rng.randint(1, 6))]
        self.nesting -= 1
        return ["transaction", ops, self.rolls_back and self.chance(0.25)]

    def define(self) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.4:
            return ["indexes.setIndexDefinition", *self.index_definition()]
        if roll < 0.7:
            return ["metrics.setMetricDefinition", *self.metric_definition()]
        extractor = self.pick(
            ("next", "next", "n", function("firstOfN"), function("rowId"), function("nothing"))
        )
        tables = [self.pick(TABLES), self.pick(TABLES)]
        return ["relationships.setRelationshipDefinition", *self.ids("q"), *tables, extractor]

    def index_definition(self) -> list[Any]:
        slices = ["a", "a", "n", "b", UNDEFINED, function("nPlus1"), function("aAndB"), function("rowId")]
        slices += [function("tags"), "tags"] if self.rich else []
        definition = [*self.ids("i"), self.pick(TABLES), self.pick(slices)]
        slice_sorter = self.pick((UNDEFINED, UNDEFINED, function("descendingIds"), function("neverEqualIds")))
        if not self.sorts:
            return [*definition, UNDEFINED, slice_sorter]
        if not self.mended:
            return [*definition, function("rowId"), slice_sorter]
        key = self.pick(("n", "n", function("nPlus1"), function("rowId"), UNDEFINED))
        sorter: Any = self.pick((UNDEFINED, UNDEFINED, function("descendingNumbers"), function("bySlice")))
        return [*definition, key, slice_sorter, UNDEFINED if key == function("rowId") else sorter]

    def metric_definition(self) -> list[Any]:
        number = self.pick(("n", "n", "a", UNDEFINED, function("nPlus1"), function("nothing")))
        aggregate: Any = self.pick(("sum", "min", "max", UNDEFINED, "no such aggregate"))
        steps: list[Any] = []
        if self.mended and self.chance(0.25):
            aggregate = "avg"
        elif self.chance(0.3):
            aggregate, *steps = map(
                function,
                self.pick(
                    (
                        ("sumOfSquares", "addSquare", "removeSquare", "replaceSquare"),
                        ("sumOfSquares", "addSquare", "giveUp"),
                        ("lengthOnly", "addOne", "removeOne", "keepLength"),
                        ("range",),
                        ("infinite",),
                    )
                ),
            )
        return [*self.ids("m"), self.pick(TABLES), aggregate, number, *steps]

    def undefine(self) -> list[Any]:
        method, letter = self.pick(
            (
                ("indexes.delIndexDefinition", "i"),
                ("metrics.delMetricDefinition", "m"),
                ("relationships.delRelationshipDefinition", "q"),
            )
        )
        return [method, *self.ids(letter)]

    def travel(self) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.4 or not self.travels:
            return [
                "checkpoints.addCheckpoint",
                *([self.pick(("one", "two", ""))] if self.chance(0.5) else []),
            ]
        if roll < 0.65:
            return ["checkpoints.goBackward"]
        if roll < 0.8:
            return ["checkpoints.goForward"]
        if roll < 0.87:
            return ["checkpoints.goTo", str(self.rng.randint(0, 5))]
        if roll < 0.92:
            return ["checkpoints.setCheckpoint", str(self.rng.randint(0, 5)), self.pick(("one", "three", ""))]
        if roll < 0.95:
            return ["checkpoints.setSize", self.rng.randint(0, 4)]
        return self.pick((["checkpoints.clear"], ["checkpoints.clearForward"], ["create", "Checkpoints"]))  # type: ignore[no-any-return]  # every choice is an operation

    def guard(self) -> list[Any]:
        kind, names = self.pick(GUARDS)
        if not self.mended or (self.has_defaults and self.travels):
            names = [name for name in names if name in HARMLESS_GUARDS] or ["same"]
        return ["guard", kind, function(self.pick(names))]

    def listen(self) -> list[Any]:
        name = self.pick(("indexes", "indexes", "metrics", "relationships", "checkpoints", "store"))
        kind, letters = self.pick(LISTENERS[name])
        if kind == "MetricIds" and not self.mended:
            kind, letters = "Metric", "m"
        ids = self.ids_or_wildcards(letters)
        mutator = name == "store" and not kind.endswith("Transaction") and self.chance(0.25)
        # In TinyBase a definition misses what its own listeners write while it is being made.
        behaviour = self.behaviour(mutator) if name == "store" else {}
        return ["listen", name, kind, ids, behaviour, mutator]

    def behaviour(self, mutator: bool) -> dict[str, Any]:
        if self.nesting or not self.chance(0.8 if mutator else 0.15):
            return {}
        self.nesting += 1
        ops = [self.write_op() for _ in range(self.rng.randint(1, 2))]
        self.nesting -= 1
        return {"ops": ops, "times": self.rng.randint(1, 3)}
