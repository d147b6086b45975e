"""What the three families' runs on replicell have in common; harness.mjs has the same for TinyBase.

A script is plain JSON: ``{"ops": [...], "mended": bool}``, with ``"probes"`` and ``"valueProbes"`` where the
family looks at them. An operation is ``[method, *arguments]`` with TinyBase's method name; each family says
what else there is. A trace is a list of events in the order in which they happened.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from replicell.store import Store
from tests.conformance.values import ScriptError, encode

__all__ = ["Script", "Trace", "Twin", "camel_case", "message_of", "snake_case"]

Script = dict[str, Any]
Trace = list[list[Any]]

EVENT_LIMIT = 3000
DEPTH_LIMIT = 3


class Twin(ABC):
    """Carries out a script and keeps its trace.

    A family gives `special` operations and says how it calls methods, what a value looks like in the trace,
    and what it looks at after each outermost operation.
    """

    def __init__(self, script: Script, store: Store) -> None:
        self.script = script
        self.store = store
        self.trace: Trace = []
        self.listeners = 0
        self.depth = 0
        self.special: dict[str, Callable[..., Any]] = {}

    @abstractmethod
    def call_method(self, method: str, args: list[Any]) -> Any:
        """Carry out an operation that is a method of TinyBase's."""

    def encode(self, thing: Any) -> Any:
        return encode(thing)

    def run_and_look(self, look: Callable[[], list[Any]], last: Any) -> Trace:
        """Carry out all operations; what `look` gives after each is an event where it differs from `last`."""
        for op in self.script["ops"]:
            with suppress(Exception):  # the trace has it
                self.run_op(op)
            seen = look()
            if not same(seen, last):
                last = seen
                self.trace.append(seen)
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

    def listener(self, hear: Callable[..., None], behaviour: dict[str, Any] | None) -> Callable[..., None]:
        """Make a listener that is heard, carries out operations in its first calls, and fails in some."""
        behaviour = behaviour or {}
        label = self.listeners
        self.listeners += 1
        calls = 0

        def listener(*args: Any) -> None:
            nonlocal calls
            hear(label, *args)
            calls += 1
            in_bounds = self.depth < DEPTH_LIMIT and len(self.trace) < EVENT_LIMIT
            if calls <= behaviour.get("times", 1) and in_bounds:
                self.depth += 1
                try:
                    self.run_ops(behaviour.get("ops", []))
                finally:
                    self.depth -= 1
            if calls in behaviour.get("fails", ()):
                raise ScriptError(f"listener {label} call {calls}")

        return listener

    def visited(self, target: Any, method: str, *ids: str) -> list[Any]:
        """What one of the forEach methods goes through, at every depth."""
        visited: list[Any] = []

        def descend(id: str, child: Any) -> None:
            if callable(child):
                visited.append([id])
                child(descend)
            else:
                visited.append([id, self.encode(child)])

        getattr(target, snake_case(method))(*ids, descend)
        return visited

    def tables_in_order(self) -> list[Any]:
        store = self.store
        return [
            [
                table_id,
                [
                    [row_id, [[cell_id, encode(cell)] for cell_id, cell in row.items()]]
                    for row_id, row in store.get_table(table_id).items()
                ],
            ]
            for table_id in store.get_table_ids()
        ]


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)[A-Z]", lambda match: "_" + match[0].lower(), name).lower()


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def same(left: Any, right: Any) -> bool:
    """Equality in which True is not 1."""
    return bool(left == right) and repr(left) == repr(right)


def message_of(error: BaseException) -> str:
    """The message of the script's own error behind `error`, or the name of one that no script asked for."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ScriptError):
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__
    return str(seen) if seen is not None else type(error).__name__
