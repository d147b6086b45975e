"""Runs scripts on what is derived from a replicell Store and traces it, as runner.mjs does on TinyBase.

The method of a module is named as in ``"indexes.setIndexDefinition"``. An operation may also be

* ``["transaction", ops, rollback]``, undone at the end if `rollback`;
* ``["listen", object, kind, ids, {"ops": [...], "times": n}, mutator]``: a listener that carries out
  operations in its first n calls; those to the store also look at all results;
* ``["guard", kind, function]``: a callback of middleware; ``["create", kind]``: another ``createX(store)``;
* ``["iterate", object, method, *ids]``: one of the forEach methods.

Functions are named, see functions.py. The events of a trace: ``["=", result]`` and ``["!", error]`` end
an operation, ``["call", listener, kind, object, arguments, results]`` is a listener's call, ``["guard", kind,
arguments]`` one of a callback, and ``["state", tables, values, results]`` follows an outermost operation that
changed any of these.
"""

from __future__ import annotations

from collections.abc import Callable
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
from tests.conformance.twin import Script, Trace, Twin, camel_case, snake_case
from tests.conformance.values import decode

__all__ = ["run_script"]

TAGS: dict[str, Callable[[dict[str, Any]], Any]] = {"function": lambda thing: FUNCTIONS[thing["by"]]}
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
    return DerivedTwin(script).run()


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


class DerivedTwin(Twin):
    def __init__(self, script: Script) -> None:
        super().__init__(script, Store())
        store = self.store
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
        self.special = {
            "transaction": self.transaction,
            "listen": self.listen,
            "guard": self.guard,
            "create": lambda kind: CREATORS[kind](self.store),
            "iterate": lambda name, *rest: self.visited(self.objects[name], *rest),
        }

    def run(self) -> Trace:
        return self.run_and_look(self.state, None)

    def state(self) -> list[Any]:
        return ["state", self.tables_in_order(), self.encode(self.store.get_values()), self.results()]

    def call_method(self, method: str, args: list[Any]) -> Any:
        name, _, own = method.rpartition(".")
        name = name or "store"
        function = getattr(self.objects[name], snake_case(own))
        arguments = [decode(arg, TAGS) for arg in args]
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

    def encode(self, thing: Any) -> Any:
        for name, known in self.objects.items():
            if thing is known:
                return {"$": name}
        return super().encode(thing)

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
        def hear(label: int, thing: Any, *args: Any) -> None:
            ids = [arg for arg in args if not callable(arg)]
            found = self.results() if name == "store" else self.detail(name, kind, ids)
            self.trace.append(
                ["call", label, kind, self.encode(thing), [self.encode(id) for id in ids], found]
            )

        listener = self.listener(hear, behaviour)
        add = getattr(self.objects[name], f"add_{snake_case(kind)}_listener")
        arguments = [decode(id, TAGS) for id in ids]
        if name == "store" and not kind.endswith("Transaction"):
            return add(*arguments, listener, bool(mutator))
        return add(*arguments, listener)

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
        callback = decode(by, TAGS)

        def guard(*args: Any) -> Any:
            self.trace.append(["guard", kind, self.encode(list(args))])
            return callback(*args)

        getattr(self.objects["middleware"], f"add_{snake_case(kind)}_callback")(guard)
        return MISSING

    def checkpoint_ids(self) -> list[Any]:
        backward, current, forward = self.checkpoints.get_checkpoint_ids()
        return [backward, MISSING if current is None else current, forward]

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
