"""Runs scripts on a replicell Store and traces what it sees, as runner.mjs does on TinyBase.

A script is plain JSON: ``{"ops": [...], "probes": [[t, r, c], ...], "valueProbes": [v, ...], "mended":
bool}``. An operation is ``[method, *arguments]`` with TinyBase's method name, or one of

* ``["transaction", ops, rollback]`` and ``["finishTransaction", rollback]``, where rollback is null or
  ``{"ops": [...], "result": bool, "fails": message}``, the ``doRollback`` callback;
* ``["throw", message]`` and ``["try", ops]``, which goes on after an error in its operations;
* ``["listen", kind, ids, {"ops": [...], "times": n, "fails": [call, ...]}, mutator]``: a listener that
  carries out operations in its first n calls and fails in the calls named;
* ``["iterate", method, *ids]``: one of the forEach methods.

A trace is a list of events in the order they happened: ``["=", result]`` and ``["!", error]`` end an
operation, ``["call", listener, kind, *arguments]`` is a listener's call (functions among the arguments are
called, change functions on every probe), ``["update", current]`` an updater's, ``["rollback?", store]`` a
doRollback's, and ``["content", tables, values]`` follows an outermost operation that changed the content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from replicell.store import MISSING, Store
from tests.conformance.values import (
    EMPTY_CONTENT,
    UNDEFINED,
    ScriptError,
    decode,
    encode,
    json_in_javascript_order,
)

__all__ = ["Script", "Trace", "run_script"]

Script = dict[str, Any]
Trace = list[list[Any]]

EVENT_LIMIT = 3000
DEPTH_LIMIT = 3
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
    return Twin(script, create_store()).run()


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)[A-Z]", lambda match: "_" + match[0].lower(), name).lower()


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


class Twin:
    def __init__(self, script: Script, store: Store) -> None:
        self.script = script
        self.store = store
        self.trace: Trace = []
        self.listeners = 0
        self.depth = 0
        self.is_called_directly = False
        self.special: dict[str, Callable[..., Any]] = {
            "transaction": self.transaction,
            "finishTransaction": self.finish_transaction,
            "throw": self.throw,
            "try": self.try_ops,
            "listen": self.listen,
            "iterate": self.iterate,
            "callListener": self.call_listener,
        }

    def run(self) -> Trace:
        last_content = EMPTY_CONTENT
        for op in self.script["ops"]:
            with suppress(Exception):  # the trace has it
                self.run_op(op)
            content = self.ordered_content()
            if not same(content, last_content):
                last_content = content
                self.log(["content", *content])
        return self.trace

    def log(self, event: list[Any]) -> None:
        self.trace.append(event)

    def run_ops(self, ops: Sequence[list[Any]]) -> None:
        for op in ops:
            self.run_op(op)

    def run_op(self, op: list[Any]) -> None:
        method, *args = op
        try:
            special = self.special.get(method)
            result = special(*args) if special else self.call_method(method, args)
            self.log(["=", encode(result)])
        except Exception as error:
            self.log(["!", message_of(error)])
            raise

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
        return decode(arg, self.log)

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
            self.log(["rollback?", *map(encode, args)])
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
        listener = self.listener(kind, behaviour or {})
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

    def listener(self, kind: str, behaviour: dict[str, Any]) -> Callable[..., None]:
        label = self.listeners
        self.listeners += 1
        calls = 0

        def listener(*args: Any) -> None:
            nonlocal calls
            self.log(["call", label, kind, *self.observe(kind, args)])
            calls += 1
            in_bounds = self.depth < DEPTH_LIMIT and len(self.trace) < EVENT_LIMIT
            if calls <= behaviour.get("times", 1) and in_bounds:
                was_called_directly, self.is_called_directly = self.is_called_directly, False
                self.depth += 1
                try:
                    self.run_ops(behaviour.get("ops", []))
                finally:
                    self.depth -= 1
                    self.is_called_directly = was_called_directly
            if calls in behaviour.get("fails", ()):
                raise ScriptError(f"listener {label} call {calls}")

        return listener

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

    def iterate(self, method: str, *ids: str) -> list[Any]:
        seen: list[Any] = []

        def descend(id: str, child: Any) -> None:
            if not callable(child):
                seen.append([id, encode(child)])
                return
            seen.append([id])
            child(descend)

        getattr(self.store, snake_case(method))(*ids, descend)
        return seen

    def ordered_content(self) -> list[list[Any]]:
        store = self.store
        tables = [
            [
                table_id,
                [
                    [
                        row_id,
                        [
                            [cell_id, encode(cell)]
                            for cell_id, cell in store.get_row(table_id, row_id).items()
                        ],
                    ]
                    for row_id in store.get_row_ids(table_id)
                ],
            ]
            for table_id in store.get_table_ids()
        ]
        return [tables, [[value_id, encode(value)] for value_id, value in store.get_values().items()]]


def same(left: Any, right: Any) -> bool:
    """Equality in which True is not 1."""
    return bool(left == right) and repr(left) == repr(right)


def message_of(error: BaseException) -> str:
    """The message of the script's own error behind `error`, or the name of one that no script asked for."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ScriptError):
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__
    return str(seen) if seen is not None else type(error).__name__
