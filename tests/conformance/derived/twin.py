"""Runs scripts on what is derived from a replicell Store and traces it, as runner.mjs does on TinyBase.

A script is plain JSON: ``{"ops": [...], "mended": bool}``. An operation is ``[method, *arguments]`` with
TinyBase's method name, that of a module as ``"indexes.setIndexDefinition"``, or one of

* ``["transaction", ops, rollback]``, undone at the end if `rollback`;
* ``["listen", object, kind, ids, {"ops": [...], "times": n}, mutator]``: a listener that carries out
  operations in its first n calls; those to the store also look at all results;
* ``["guard", kind, function]``: a callback of middleware; ``["create", kind]``: another ``createX(store)``;
* ``["iterate", object, method, *ids]``: one of the forEach methods.

Functions are named, see functions.py. A trace is a list of events: ``["=", result]`` and ``["!", error]`` end
an operation, ``["call", listener, kind, object, arguments, results]`` is a listener's call, ``["guard", kind,
arguments]`` one of a callback, and ``["state", tables, values, results]`` follows an outermost operation that
changed any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from replicell.store import (
    MISSING,
    Checkpoints,
    Indexes,
    Metrics,
    Relationships,
    Schematizer,
    Store,
    create_checkpoints,
    create_custom_schematizer,
    create_indexes,
    create_metrics,
    create_middleware,
    create_relationships,
)
from tests.conformance.derived.functions import FUNCTIONS
from tests.conformance.twin import Script, Trace, camel_case, message_of, same, snake_case
from tests.conformance.values import decode as decode_plain
from tests.conformance.values import encode as encode_plain

__all__ = ["run_script"]

DEPTH_LIMIT = 3
ROWS = ("r0", "r1", "r2", "r3", "r4", "0", "1", "2", "x", "y", "null", "true")
CREATORS: dict[str, Callable[[Store], Any]] = {
    "Indexes": create_indexes,
    "Metrics": create_metrics,
    "Relationships": create_relationships,
    "Checkpoints": create_checkpoints,
    "Middleware": create_middleware,
}
READS_WITH_DEFAULT = {
    "store.getCell",
    "store.getValue",
    "metrics.getMetric",
    "relationships.getRemoteRowId",
    "checkpoints.getCheckpoint",
}
READS_THAT_MAY_FIND_NOTHING = {
    "indexes.getTableId",
    "metrics.getTableId",
    "relationships.getLocalTableId",
    "relationships.getRemoteTableId",
}
DETAILED_KINDS = {
    "SliceIds",
    "SliceRowIds",
    "LocalRowIds",
    "LinkedRowIds",
    "IndexIds",
    "MetricIds",
    "RelationshipIds",
}


def run_script(script: Script) -> Trace:
    """Carry out a script on a new store and return its trace."""
    return Twin(script).run()


def unwrap(
    schema: dict[str, Any], default: Any = MISSING, allow_null: Any = MISSING, required: Any = MISSING
) -> tuple[Any, ...]:
    default = schema.get("fallback", default)
    allow_null = schema.get("nullable", allow_null)
    required = False if schema.get("optional") else required
    if "inner" in schema:
        return unwrap(schema["inner"], default, allow_null, required)
    unwrapped = {"enum": schema["values"]} if "values" in schema else {"type": schema.get("type", MISSING)}
    return unwrapped, default, allow_null, required


def schematizer() -> Schematizer:
    return create_custom_schematizer(
        unwrap,
        lambda schema: schema.get("properties"),
        lambda schema, id, property: not property.get("optional"),
    )


class Twin:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.trace: Trace = []
        self.store = store = Store()
        self.indexes: Indexes = create_indexes(store)
        self.metrics: Metrics = create_metrics(store)
        self.relationships: Relationships = create_relationships(store)
        self.checkpoints: Checkpoints = create_checkpoints(store)
        self.objects: dict[str, Any] = {
            "store": store,
            "indexes": self.indexes,
            "metrics": self.metrics,
            "relationships": self.relationships,
            "checkpoints": self.checkpoints,
            "schematizer": schematizer(),
        }
        self.listeners = 0
        self.depth = 0
        self.special: dict[str, Callable[..., Any]] = {
            "transaction": self.transaction,
            "listen": self.listen,
            "guard": self.guard,
            "create": lambda kind: CREATORS[kind](self.store),
            "iterate": self.iterate,
        }

    def run(self) -> Trace:
        last: Any = None
        for op in self.script["ops"]:
            with suppress(Exception):  # the trace has it
                self.run_op(op)
            state = [self.content(), self.encode(self.store.get_values()), self.results()]
            if not same(state, last):
                last = state
                self.trace.append(["state", *state])
        return self.trace

    def run_ops(self, ops: Sequence[list[Any]]) -> None:
        for op in ops:
            self.run_op(op)

    def run_op(self, op: list[Any]) -> None:
        method, *args = op
        try:
            special = self.special.get(method)
            result = special(*args) if special else self.call_method(method, args)
            self.trace.append(["=", self.encode(result)])
        except Exception as error:
            self.trace.append(["!", message_of(error)])
            raise

    def call_method(self, method: str, args: list[Any]) -> Any:
        name, _, own = method.rpartition(".")
        name = name or "store"
        function = getattr(self.objects[name], snake_case(own))
        arguments = [self.decode(arg) for arg in args]
        full_name = f"{name}.{own}"
        if own.endswith("Definition"):
            arguments = [None if argument is MISSING else argument for argument in arguments]
        if full_name in READS_WITH_DEFAULT:
            return function(*arguments, default=MISSING)
        if own == "getCheckpointIds":
            return self.checkpoint_ids()
        result = function(*arguments)
        if own == "getListenerStats":
            return {camel_case(kind): count for kind, count in result.items()}
        if result is None and (own == "destroy" or full_name in READS_THAT_MAY_FIND_NOTHING):
            return MISSING
        return result

    def decode(self, arg: Any) -> Any:
        if isinstance(arg, list):
            return [self.decode(child) for child in arg]
        if isinstance(arg, dict):
            if arg.get("$") == "function":
                return FUNCTIONS[arg["by"]]
            if "$" not in arg:
                return {key: self.decode(child) for key, child in arg.items()}
        return decode_plain(arg, self.trace.append)

    def encode(self, thing: Any) -> Any:
        for name, known in self.objects.items():
            if thing is known:
                return {"$": name}
        return encode_plain(thing)

    def transaction(self, ops: list[Any], rollback: bool = False) -> Any:
        self.store.transaction(lambda: self.run_ops(ops), (lambda store: True) if rollback else None)
        return MISSING

    def listen(
        self,
        name: str,
        kind: str,
        ids: list[Any],
        behaviour: dict[str, Any] | None = None,
        mutator: bool | None = None,
    ) -> Any:
        listener = self.listener(name, kind, behaviour or {})
        add = getattr(self.objects[name], f"add_{snake_case(kind)}_listener")
        arguments = [self.decode(id) for id in ids]
        if name == "store" and not kind.endswith("Transaction"):
            return add(*arguments, listener, bool(mutator))
        return add(*arguments, listener)

    def listener(self, name: str, kind: str, behaviour: dict[str, Any]) -> Callable[..., None]:
        label = self.listeners
        self.listeners += 1
        calls = 0

        def listener(thing: Any, *args: Any) -> None:
            nonlocal calls
            ids = [arg for arg in args if not callable(arg)]
            found = self.results() if name == "store" else self.detail(name, kind, ids)
            self.trace.append(
                ["call", label, kind, self.encode(thing), [self.encode(id) for id in ids], found]
            )
            calls += 1
            if calls <= behaviour.get("times", 1) and self.depth < DEPTH_LIMIT:
                self.depth += 1
                try:
                    self.run_ops(behaviour.get("ops", []))
                finally:
                    self.depth -= 1

        return listener

    def detail(self, name: str, kind: str, ids: list[Any]) -> Any:
        if kind in DETAILED_KINDS:
            return self.encode(getattr(self.objects[name], f"get_{snake_case(kind)}")(*ids))
        if kind == "RemoteRowId":
            return self.encode(self.relationships.get_remote_row_id(ids[0], ids[1], MISSING))
        if kind == "CheckpointIds":
            return self.encode(self.checkpoint_ids())
        if kind == "Checkpoint":
            label = self.checkpoints.get_checkpoint(*ids)
            return self.encode(MISSING if label is None else label)
        return None

    def guard(self, kind: str, by: dict[str, str]) -> Any:
        self.objects["middleware"] = create_middleware(self.store)
        callback = self.decode(by)

        def guard(*args: Any) -> Any:
            self.trace.append(["guard", kind, self.encode(list(args))])
            return callback(*args)

        getattr(self.objects["middleware"], f"add_{snake_case(kind)}_callback")(guard)
        return MISSING

    def iterate(self, name: str, method: str, *ids: str) -> list[Any]:
        visited: list[Any] = []

        def descend(id: str, child: Any) -> None:
            if callable(child):
                visited.append([id])
                child(descend)
            else:
                visited.append([id, self.encode(child)])

        getattr(self.objects[name], snake_case(method))(*ids, descend)
        return visited

    def checkpoint_ids(self) -> list[Any]:
        backward, current, forward = self.checkpoints.get_checkpoint_ids()
        return [backward, MISSING if current is None else current, forward]

    def content(self) -> list[Any]:
        store = self.store
        return [
            [
                table_id,
                [
                    [row_id, [[cell_id, encode_plain(cell)] for cell_id, cell in row.items()]]
                    for row_id, row in store.get_table(table_id).items()
                ],
            ]
            for table_id in store.get_table_ids()
        ]

    def results(self) -> Any:
        indexes, metrics, relationships = self.indexes, self.metrics, self.relationships
        labels: list[Any] = []
        self.checkpoints.for_each_checkpoint(lambda id, label: labels.append([id, label]))
        return self.encode(
            [
                [
                    [
                        id,
                        indexes.get_table_id(id),
                        [[s, indexes.get_slice_row_ids(id, s)] for s in indexes.get_slice_ids(id)],
                    ]
                    for id in indexes.get_index_ids()
                ],
                [
                    [id, metrics.get_table_id(id), metrics.get_metric(id, MISSING)]
                    for id in metrics.get_metric_ids()
                ],
                [
                    [
                        id,
                        relationships.get_local_table_id(id),
                        relationships.get_remote_table_id(id),
                        [relationships.get_remote_row_id(id, row_id, MISSING) for row_id in ROWS],
                        [relationships.get_local_row_ids(id, row_id) for row_id in ROWS],
                        [relationships.get_linked_row_ids(id, row_id) for row_id in ROWS],
                    ]
                    for id in relationships.get_relationship_ids()
                ],
                [self.checkpoint_ids(), labels],
            ]
        )
