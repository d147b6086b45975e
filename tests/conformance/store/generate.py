"""Random scripts from a seed.

What a script may contain depends on whether it is compared with TinyBase as published or with its mended copy
(see patches.py): as published, it either rolls back or holds objects and arrays, never both. Integer-like
row ids, which JavaScript reorders in objects, appear only where no schema change copies the tables through an
object.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tests.conformance.store.vocabulary import (
    CELLS,
    HIDING_ERRORS,
    INVALID,
    ITERATIONS,
    LISTENER_KINDS,
    MANY_ROWS,
    NUMBERS,
    NUMERIC_ROWS,
    PLAIN,
    READS,
    RICH,
    RICH_TYPES,
    ROWS,
    TABLES,
    TYPES,
    UNIVERSE,
    UNLIKE_AS_PUBLISHED,
    VALUES,
    WRITES,
)
from tests.conformance.twin import Script
from tests.conformance.values import UNDEFINED

__all__ = ["random_script"]


def random_script(seed: int, length: int = 30) -> Script:
    """Write the script of a seed: a few listeners, then `length` operations."""
    return ScriptWriter(random.Random(seed), mended=seed % 2 == 1).write(length)


class ScriptWriter:
    def __init__(self, rng: random.Random, *, mended: bool) -> None:
        self.rng = rng
        self.mended = mended
        self.rolls_back = mended or rng.random() < 0.6
        self.rich = mended or not self.rolls_back
        self.has_numeric_rows = rng.random() < 0.4
        self.has_schemas = rng.random() < 0.6 and (mended or not self.rolls_back)
        self.has_many_rows = not self.has_numeric_rows and rng.random() < 0.08
        self.rows = NUMERIC_ROWS if self.has_numeric_rows else MANY_ROWS if self.has_many_rows else ROWS
        self.reads = READS if mended else [read for read in READS if read[0] not in UNLIKE_AS_PUBLISHED]
        self.writes = (
            WRITES
            if mended or not self.rolls_back
            else [write for write in WRITES if write not in HIDING_ERRORS]
        )
        self.sorts = mended or rng.random() < 0.5
        self.nesting = 0
        self.depth_of_behaviour = 0
        self.listeners = 0

    def write(self, length: int) -> Script:
        ops: list[Any] = []
        if self.has_schemas and (self.has_numeric_rows or self.chance(0.5)):
            ops.append(["setTablesSchema", self.tables_schema()])
        ops += [self.listen() for _ in range(self.rng.randint(2, 8))]
        ops += [self.op(outermost=True) for _ in range(length)]
        ops += [[method] for method, letters in self.reads if not letters]
        ops += [["hasTablesSchema"], ["hasValuesSchema"]] if self.mended else []
        return {
            "mended": self.mended,
            "probes": []
            if self.sorts and not self.mended
            else [[self.pick(TABLES), self.row_id(), self.pick(CELLS)] for _ in range(2)],
            "valueProbes": [self.pick(VALUES)],
            "ops": ops,
        }

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, things: Any) -> Any:
        return self.rng.choice(things)

    def row_id(self) -> str:
        return str(self.pick(self.rows))

    def ids(self, letters: str) -> list[Any]:
        return [self.row_id() if letter == "r" else self.pick(UNIVERSE[letter]) for letter in letters]

    def ids_or_wildcards(self, letters: str) -> list[Any]:
        return [None if self.chance(0.5) else id for id in self.ids(letters)]

    # Content

    def value(self, invalid: float = 0.08) -> Any:
        if self.chance(invalid):
            return self.pick(INVALID)
        if self.rich and self.chance(0.25):
            return self.pick(RICH)
        return self.pick(PLAIN)

    def cell(self, cell_id: str, invalid: float = 0.08) -> Any:
        if cell_id == "n":
            return self.pick(INVALID[:4]) if self.chance(invalid) else self.pick(NUMBERS)
        return self.value(invalid)

    def row(self) -> Any:
        if self.chance(0.04):
            return self.pick((UNDEFINED, None, 5, "x", [], {})) if self.may_be_no_object() else {}
        return {cell_id: self.cell(cell_id) for cell_id in self.some(CELLS)}

    def table(self) -> Any:
        if self.chance(0.05):
            return self.pick((UNDEFINED, None, 5, {}))
        return {row_id: self.row() for row_id in self.some(self.rows)}

    def tables(self) -> Any:
        if self.chance(0.05):
            return self.pick((UNDEFINED, None, 5, {}))
        return {table_id: self.table() for table_id in self.some(TABLES)}

    def values(self) -> Any:
        if self.chance(0.05):
            return self.pick((UNDEFINED, None, 5, {})) if self.may_be_no_object() else {}
        return {value_id: self.value() for value_id in self.some(VALUES)}

    def may_be_no_object(self) -> bool:
        return self.mended or not self.has_schemas

    def some(self, ids: tuple[str, ...]) -> list[str]:
        chosen = self.rng.sample(ids, self.rng.randint(1, len(ids)))
        # JavaScript lists integer-like keys first, ascending, so objects are written that way from the start.
        return sorted(chosen, key=lambda id: (not id.isdigit(), int(id) if id.isdigit() else 0))

    def changes(self) -> list[Any]:
        tables = {
            table_id: UNDEFINED
            if self.chance(0.15)
            else {
                row_id: UNDEFINED
                if self.chance(0.2)
                else {
                    cell_id: UNDEFINED if self.chance(0.2) else self.cell(cell_id)
                    for cell_id in self.some(CELLS)
                }
                for row_id in self.some(self.rows)
            }
            for table_id in self.some(TABLES)
        }
        values = {value_id: UNDEFINED if self.chance(0.2) else self.value() for value_id in self.some(VALUES)}
        return [tables, {} if self.chance(0.5) else values, 1]

    # Schemas

    def tables_schema(self) -> Any:
        if self.chance(0.08):
            return self.pick((UNDEFINED, {}, {"t1": {}}, {"t1": {"a": {"type": "no such type"}}}))
        return {
            table_id: {cell_id: self.cell_schema(cell_id) for cell_id in self.some(CELLS)}
            for table_id in self.some(TABLES)
        }

    def values_schema(self) -> Any:
        if self.chance(0.08):
            return self.pick((UNDEFINED, {}, {"v1": {"type": 5}}))
        return {value_id: self.cell_schema(value_id) for value_id in self.some(VALUES)}

    def cell_schema(self, id: str) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        if id == "n":
            schema["type"] = "number"
        elif self.chance(0.2):
            schema["enum"] = self.pick((["x", "y"], [0, 1, True], ["x", 2.5], [None], []))
        else:
            schema["type"] = self.pick((*TYPES, ["string", "number"], ["boolean", "string", "array"], []))
            if self.rich and self.chance(0.2):
                schema["type"] = self.pick((*RICH_TYPES, list(RICH_TYPES), ["object", "number"]))
        if self.chance(0.4):
            schema["default"] = self.default_cell(id)
        if self.chance(0.4):
            schema["allowNull"] = self.pick((True, True, False, 1))
        if self.chance(0.3):
            schema["required"] = self.pick((True, True, False, 1))
        if self.chance(0.05):
            schema["note"] = "unknown"
        return schema

    def default_cell(self, id: str) -> Any:
        if id == "n":
            return self.pick(NUMBERS)
        if self.mended and self.chance(0.3):
            return self.pick(RICH)
        return self.pick((*PLAIN, *INVALID[4:]))

    # Operations

    def op(self, *, outermost: bool = False) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.50:
            return self.write_op()
        if roll < 0.58:
            return self.read_op()
        if roll < 0.72 and self.nesting < 3:
            return self.transaction()
        if roll < 0.76 and (self.mended or self.depth_of_behaviour == 0):
            return self.listen()
        if roll < 0.79:
            return ["delListener", str(self.rng.randint(0, self.listeners + 1))]
        if roll < 0.81:
            return ["callListener", str(self.rng.randint(0, self.listeners + 1))]
        if roll < 0.85 and self.has_schemas:
            return self.schema_op()
        if roll < 0.89 and outermost:
            return list(self.pick((["startTransaction"], ["finishTransaction", self.rollback()])))
        if roll < 0.90 and self.rolls_back and not outermost:
            return ["throw", f"thrown {self.rng.randint(0, 9)}"]
        return self.write_op()

    def write_op(self) -> list[Any]:
        ids = self.ids
        name = self.pick(self.writes)
        if name == "setCell":
            table_id, row_id, cell_id = ids("trc")
            return ["setCell", table_id, row_id, cell_id, self.cell_or_updater(cell_id)]
        if name == "setValue":
            return ["setValue", *ids("v"), self.cell_or_updater("v")]
        if name == "delCell":
            return ["delCell", *ids("trc"), *([True] if self.chance(0.3) else [])]
        if name == "addRow":
            return self.add_row()
        if name in {"setTablesJson", "setValuesJson", "setJson"}:
            return [name, self.json_text(name)]
        arguments: list[Any] = []
        if name == "setContent":
            arguments = [self.content()]
        elif name in {"setTables", "setValues"}:
            arguments = [self.tables() if name == "setTables" else self.values()]
        elif name == "setPartialValues":
            arguments = [self.values()]
        elif name in {"setTable", "delTable"}:
            arguments = [*ids("t"), self.table()][: 2 if name == "setTable" else 1]
        elif name in {"setRow", "setPartialRow"}:
            arguments = [*ids("tr"), self.row()]
        elif name == "delRow":
            arguments = ids("tr")
        elif name == "delValue":
            arguments = ids("v")
        elif name == "applyChanges":
            arguments = [self.changes()]
        return [name, *arguments]

    def cell_or_updater(self, cell_id: str) -> Any:
        if not self.chance(0.15):
            return self.cell(cell_id)
        if self.rolls_back and self.chance(0.15):
            return {"$": "fail", "message": "updater failed"}
        return self.pick(({"$": "increment"}, {"$": "constant", "value": self.cell(cell_id)}))

    def add_row(self) -> list[Any]:
        if not self.has_numeric_rows:
            return ["setRow", *self.ids("tr"), self.row()]
        return ["addRow", *self.ids("t"), self.row(), *([False] if self.chance(0.2) else [])]

    def content(self) -> Any:
        content: Any = [self.tables(), self.values()]
        if self.chance(0.15):
            content = self.pick((content[:1], 5, [{}, {}], [{}, content[1]]))
            if not self.may_be_no_object() and isinstance(content, list) and len(content) < 2:
                content = [content[0], {}]
        return {"$": "constant", "value": content} if self.chance(0.15) else content

    def json_text(self, name: str) -> str:
        if self.chance(0.1):
            texts = ("", "{", "{}", *(("5", "[]", "[{}]", "null") if self.may_be_no_object() else ()))
            return str(self.pick(texts))
        tables, values = self.json_tables(), self.json_values()
        if name == "setTablesJson" or (name == "setJson" and self.chance(0.2)):
            return json_text(tables)
        return json_text(values if name == "setValuesJson" else [tables, values])

    def json_tables(self) -> Any:
        return {
            table_id: {
                row_id: {cell_id: self.json_cell(cell_id) for cell_id in self.some(CELLS)}
                for row_id in self.some(self.rows)
            }
            for table_id in self.some(TABLES)
        }

    def json_values(self) -> Any:
        return {value_id: self.json_cell(value_id) for value_id in self.some(VALUES)}

    def json_cell(self, id: str) -> Any:
        if id == "n":
            return self.pick(NUMBERS)
        if self.rich and self.chance(0.3):
            return self.pick(('\ufffd{"k":1}', "\ufffd[]", {"k": 2}, "\ufffd5", "\ufffd{"))
        return self.pick((*PLAIN, "\ufffc", "\ufffdx"))

    def schema_op(self) -> list[Any]:
        may_set_tables_schema = not self.has_numeric_rows
        roll = self.rng.random()
        if roll < 0.4 and may_set_tables_schema:
            return ["setTablesSchema", self.tables_schema()]
        if roll < 0.7:
            return ["setValuesSchema", self.values_schema()]
        if roll < 0.8 and may_set_tables_schema:
            return ["setSchema", self.tables_schema(), *([self.values_schema()] if self.chance(0.6) else [])]
        return [self.pick(("delTablesSchema", "delValuesSchema", "delSchema"))]

    def read_op(self) -> list[Any]:
        roll = self.rng.random()
        if roll < 0.15:
            method, letters = self.pick(ITERATIONS)
            return ["iterate", method, *self.ids(letters)]
        if roll < 0.3:
            return ["getSortedRowIds", *self.sorting()]
        method, letters = self.pick(self.reads)
        return [method, *self.ids(letters)]

    def sorting(self) -> list[Any]:
        table_id = self.pick(TABLES)
        cell_id = self.pick((UNDEFINED, "n"))
        descending = self.chance(0.5)
        offset = self.pick((0, 0, 0, 1, -1, *((9, 20) if self.has_many_rows else ())))
        limit = self.pick((UNDEFINED, 0, 1, 2, *((5, 15) if self.has_many_rows else ())))
        if self.chance(0.5):
            return [table_id, cell_id, descending, offset, limit]
        options = {"tableId": table_id, "descending": descending, "offset": offset}
        if limit != UNDEFINED:
            options["limit"] = limit
        if cell_id == "n":
            options["cellId"] = "n"
            if self.chance(0.3):
                options["sorter"] = {"$": "sorter", "by": "reverse"}
        elif self.chance(0.3):
            options["sorter"] = {"$": "sorter", "by": "length"}
        return [options]

    def transaction(self) -> list[Any]:
        self.nesting += 1
        ops = [self.op() for _ in range(self.rng.randint(0, 5))]
        if self.rolls_back and self.chance(0.1):
            ops.append(["throw", "actions failed"])
        self.nesting -= 1
        if self.chance(0.15):
            return ["try", [["transaction", ops]]]
        return ["transaction", ops, self.rollback()]

    def rollback(self) -> dict[str, Any] | None:
        if not self.rolls_back or self.chance(0.6):
            return None
        self.nesting += 1
        ops = [self.op() for _ in range(self.rng.randint(0, 2))]
        self.nesting -= 1
        rollback: dict[str, Any] = {"ops": ops, "result": self.chance(0.6)}
        if self.chance(0.1):
            rollback["fails"] = "doRollback failed"
        return rollback

    def listen(self) -> list[Any]:
        self.listeners += 1
        if self.sorts and self.chance(0.5 if self.has_many_rows else 0.12):
            return self.listen_to_sorted_row_ids()
        kind, letters = self.pick(LISTENER_KINDS)
        mutator = not kind.endswith("Transaction") and self.chance(0.3)
        mutator = mutator and (self.mended or not kind.startswith("Invalid"))
        behaviour = self.behaviour(mutator)
        if kind == "WillFinishTransaction" and self.rolls_back and not self.mended:
            behaviour.pop("ops", None)
        return ["listen", kind, self.ids_or_wildcards(letters), behaviour, mutator]

    def listen_to_sorted_row_ids(self) -> list[Any]:
        mutator = self.chance(0.2)
        return ["listen", "SortedRowIds", self.sorting(), self.behaviour(mutator), mutator]

    def behaviour(self, mutator: bool) -> dict[str, Any]:
        behaviour: dict[str, Any] = {}
        if self.nesting < 2 and self.chance(0.8 if mutator else 0.35):
            self.nesting += 1
            self.depth_of_behaviour += 1
            behaviour["ops"] = [self.op() for _ in range(self.rng.randint(1, 3))]
            self.depth_of_behaviour -= 1
            self.nesting -= 1
            behaviour["times"] = self.rng.randint(1, 4)
        if self.rolls_back and self.chance(0.06):
            behaviour["fails"] = [self.rng.randint(1, 4)]
        return behaviour


def json_text(thing: Any) -> str:
    return json.dumps(thing, ensure_ascii=False, separators=(",", ":"))
