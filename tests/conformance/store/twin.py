"""Runs scripts on a replicell Store and traces what it sees, as runner.mjs does on TinyBase.

Scripts have ``{"probes": [[t, r, c], ...], "valueProbes": [v, ...]}``. An operation may be

* ``["transaction", ops, rollback]`` and ``["finishTransaction", rollback]``, where rollback is null or
  ``{"ops": [...], "result": bool, "fails": message}``, the ``doRollback`` callback;
* ``["throw", message]`` and ``["try", ops]``, which goes on after an error in its operations;
* ``["listen", kind, ids, {"ops": [...], "times": n, "fails": [call, ...]}, mutator]``: a listener that
  carries out operations in its first n calls and fails in the calls named;
* ``["iterate", method, *ids]``: one of the forEach methods.

The events of a trace: ``["=", result]`` and ``["!", error]`` end an
operation, ``["call", listener, kind, *arguments]`` is a listener's call (functions among the arguments are
called, change functions on every probe), ``["update", current]`` an updater's, ``["rollback?", store]`` a
doRollback's, and ``["content", tables, values]`` follows an outermost operation that changed the content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from replicell.store import MISSING, Store
from tests.conformance.store.functions import functions_telling
from tests.conformance.twin import Script, Trace, Twin, camel_case, message_of, snake_case
from tests.conformance.values import UNDEFINED, ScriptError, decode, encode, json_in_javascript_order

__all__ = ["run_script"]

# Where a SortedRowIds listener is told the cell id and the limit, which are None where they were not given.
ABSENT_OPTIONS = {2, 5}
# TinyBase's callListener leaves out arguments, which replicell gives since Python functions count them.
ARGUMENTS_OF_DIRECT_CALLS = {
    "Tables": 1,
    "TableIds": 1,
    "Table": 2,
    "TableCellIds": 2,
    "RowCount": 2,
    "RowIds": 2,
    "Row": 3,
    "CellIds": 3,
    "Cell": 6,
    "InvalidCell": 4,
    "Values": 1,
    "ValueIds": 1,
    "Value": 4,
    "InvalidValue": 2,
}
READS_WITH_DEFAULT = {"getCell", "getValue"}


def run_script(script: Script, create_store: Callable[[], Store] = Store) -> Trace:
    """Carry out a script on a new store and return its trace."""
    return StoreTwin(script, create_store()).run()


class StoreTwin(Twin):
    def __init__(self, script: Script, store: Store) -> None:
        super().__init__(script, store)
        self.tags = functions_telling(self.trace.append)
        self.is_called_directly = False
        self.special = {
            "transaction": self.transaction,
            "finishTransaction": self.finish_transaction,
            "throw": self.throw,
            "try": self.try_ops,
            "listen": self.listen,
            "iterate": partial(self.visited, store),
            "callListener": self.call_listener,
        }

    def run(self) -> Trace:
        return self.run_and_look(self.content, ["content", [], []])

    def content(self) -> list[Any]:
        values = [[value_id, encode(value)] for value_id, value in self.store.get_values().items()]
        return ["content", self.tables_in_order(), values]

    def run_ops(self, ops: Sequence[list[Any]]) -> None:
        was_called_directly, self.is_called_directly = self.is_called_directly, False
        try:
            super().run_ops(ops)
        finally:
            self.is_called_directly = was_called_directly

    def call_method(self, method: str, args: list[Any]) -> Any:
        function = getattr(self.store, snake_case(method))
        arguments = [self.argument(arg) for arg in args]
        if method in READS_WITH_DEFAULT:
            return function(*arguments, default=MISSING)
        result = function(*arguments)
        if method == "getListenerStats":
            return {camel_case(kind): count for kind, count in result.items()}
        return (
            json_in_javascript_order(result)
            if method.endswith("Json") and isinstance(result, str)
            else result
        )

    def argument(self, arg: Any) -> Any:
        return decode(arg, self.tags)

    def transaction(self, ops: list[Any], rollback: dict[str, Any] | None = None) -> Any:
        def actions() -> str:
            self.run_ops(ops)
            return "done"

        return self.store.transaction(actions, self.rollback(rollback))

    def finish_transaction(self, rollback: dict[str, Any] | None = None) -> Any:
        return self.store.finish_transaction(self.rollback(rollback))

    def rollback(self, spec: dict[str, Any] | None) -> Callable[..., bool] | None:
        if spec is None:
            return None

        def do_rollback(*args: Any) -> bool:
            self.trace.append(["rollback?", *map(encode, args)])
            self.run_ops(spec.get("ops", []))
            if spec.get("fails"):
                raise ScriptError(spec["fails"])
            return bool(spec.get("result"))

        return do_rollback

    def throw(self, message: str) -> None:
        raise ScriptError(message)

    def try_ops(self, ops: list[Any]) -> Any:
        try:
            self.run_ops(ops)
        except Exception as error:
            return message_of(error)
        return MISSING

    def listen(
        self, kind: str, ids: list[Any], behaviour: dict[str, Any] | None = None, mutator: bool | None = None
    ) -> str:
        def hear(label: int, *args: Any) -> None:
            self.trace.append(["call", label, kind, *self.observe(kind, args)])

        listener = self.listener(hear, behaviour)
        add = getattr(self.store, f"add_{snake_case(kind)}_listener")
        if kind.endswith("Transaction"):
            return str(add(listener))
        return str(add(*map(self.argument, ids), listener, bool(mutator)))

    def call_listener(self, listener_id: str) -> Any:
        self.is_called_directly = True
        try:
            return self.store.call_listener(listener_id)
        finally:
            self.is_called_directly = False

    def observe(self, kind: str, args: tuple[Any, ...]) -> list[Any]:
        if self.is_called_directly:
            args = args[: ARGUMENTS_OF_DIRECT_CALLS.get(kind, len(args))]
        seen: list[Any] = []
        for index, arg in enumerate(args):
            if kind == "SortedRowIds" and index in ABSENT_OPTIONS and arg is None:
                seen.append(UNDEFINED)
            elif not callable(arg):
                seen.append(encode(arg))
            elif kind.endswith("Ids"):
                seen.append(encode(arg()))
            else:
                seen.append(self.probe_changes(kind, args, arg))
        return seen

    def probe_changes(self, kind: str, args: tuple[Any, ...], get_change: Callable[..., Any]) -> list[Any]:
        is_value_kind = kind.startswith("Value")
        paths = (
            [[value_id] for value_id in self.script.get("valueProbes", [])]
            if is_value_kind
            else list(self.script.get("probes", []))
        )
        if kind in {"Cell", "Value"}:
            paths.append(list(args[1:2] if is_value_kind else args[1:4]))
        return [encode(get_change(*path)) for path in paths]
