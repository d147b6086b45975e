"""Runs scripts over queries on replicell and traces what is seen, as runner.mjs does on TinyBase.

A method is one of the queries if its name speaks of queries or parameters, else of the store. An operation
may also be

* ``["define", query, {"table": id} or {"query": id}, clauses, params]``, where a clause is ``[kind, {"args":
  [...], "fn": name, "fns": [...], "as": id}]``: plain arguments, a function after them, more of them, a name;
* ``["transaction", ops]``;
* ``["listen", kind, ids]`` and ``["unlisten", label]``, labels being counted from 0;
* ``["stats"]`` and ``["read", method, *arguments]``.

``{"$": "undefined"}`` is MISSING and ``{"$": "param", "value": id}`` a parameter. A trace has ``["call",
label, kind, *arguments]`` for each call of a listener, ``["!", message]`` for an error, and after each
outermost operation ``["results", ...]``: each query with its source, its parameters and its rows in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from replicell.store import MISSING, QueryBuilder, create_queries, create_store
from replicell.store.queries.plan import Slot
from tests.conformance.twin import Script, Trace, Twin, camel_case, snake_case
from tests.conformance.values import UNDEFINED, decode, encode, is_number

__all__ = ["run_script", "run_script_looking_at_all_rows"]


def number_or(thing: Any, other: float) -> Any:
    return thing if is_number(thing) else other


def first_of(*things: Any) -> Any:
    return next((thing for thing in things if thing is not MISSING and thing is not None), things[-1])


def double(get_cell: Any, row_id: str) -> Any:
    return get_cell("n") * 2 if is_number(get_cell("n")) else MISSING


def both(get_cell: Any, row_id: str) -> Any:
    if get_cell("a") is MISSING:
        return MISSING
    return [get_cell("a"), None if get_cell("b") is MISSING else get_cell("b")]


def fail(*_: Any) -> Any:
    raise ValueError("fail")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "double": double,
    "rowId": lambda get_cell, row_id: "of " + row_id,
    "both": both,
    "joined": lambda get_cell, row_id: first_of(get_cell("t2", "n"), get_cell("n")),
    "big": lambda get_cell: number_or(get_cell("n"), 0) > 1,
    "joinedBig": lambda get_cell: number_or(get_cell("t2", "n"), 0) >= 1,
    "link": lambda get_cell, row_id: first_of(get_cell("link"), row_id),
    "upper": str.upper,
    "manyOrBig": lambda get_cell: number_or(get_cell("many"), 0) > 1 or number_or(get_cell("sum"), 0) > 3,
    "spread": lambda cells, length: max(number_or(c, 0) for c in cells) - min(number_or(c, 0) for c in cells),
    "total": lambda cells, length: sum(number_or(cell, 0) for cell in cells),
    "totalAdd": lambda total, cell, length: total + number_or(cell, 0),
    "totalRemove": lambda total, cell, length: total - number_or(cell, 0),
    "totalReplace": lambda total, cell, old, length: total - number_or(old, 0) + number_or(cell, 0),
    "fail": fail,
}


def run_script(script: Script) -> Trace:
    """Carry out a script on a new store with queries and return its trace."""
    return QueriesTwin(script).run()


def run_script_looking_at_all_rows(script: Script) -> Trace:
    """Do the same as TinyBase does it.

    TinyBase also looks at rows in which nothing that matters has changed, so that what comes into a result in
    one transaction may come in another order.
    """
    with patch.object(Slot, "needs_any", return_value=True):
        return run_script(script)


def build_of(clauses: list[Any]) -> Callable[[QueryBuilder], None]:
    def build(q: QueryBuilder) -> None:
        for kind, clause in clauses:
            given = decode(clause.get("args", []), {"param": lambda arg: q.param(arg["value"])})
            given += [FUNCTIONS[name] for name in (clause.get("fn"), *clause.get("fns", [])) if name]
            said = getattr(q, snake_case(kind))(*given)
            if clause.get("as") is not None:
                said.as_(clause["as"])

    return build


class QueriesTwin(Twin):
    def __init__(self, script: Script) -> None:
        super().__init__(script, create_store())
        self.queries = create_queries(self.store)
        self.listener_ids: list[str] = []
        self.special = {
            "define": self.define,
            "transaction": self.transaction,
            "listen": self.listen,
            "unlisten": self.unlisten,
            "stats": self.stats,
            "read": self.read,
        }

    def run(self) -> Trace:
        for op in self.script["ops"]:
            self.run_op(op)
            self.trace.append(["results", self.results()])
        return self.trace

    def run_op(self, op: list[Any]) -> None:
        method, *args = op
        special = self.special.get(method)
        try:
            if special:
                special(*args)
            else:
                self.call_method(method, args)
        except Exception as error:
            self.trace.append(["!", str(error)])

    def call_method(self, method: str, args: list[Any]) -> Any:
        target = self.queries if "Query" in method or "Param" in method else self.store
        return getattr(target, snake_case(method))(*decode(args, {}))

    def define(
        self, query_id: str, source: dict[str, str], clauses: list[Any], params: dict[str, Any] | None = None
    ) -> None:
        build = build_of(clauses)
        if "query" in source:
            self.queries.set_query_definition(query_id, True, source["query"], build, params)
        else:
            self.queries.set_query_definition(query_id, source["table"], build, params)

    def transaction(self, ops: list[Any]) -> None:
        with self.store.transaction():
            self.run_ops(ops)

    def listen(self, kind: str, ids: list[Any]) -> None:
        label = len(self.listener_ids)

        def hear(_: Any, *args: Any) -> None:
            told = [("*" if not kind.endswith("Ids") else arg()) if callable(arg) else arg for arg in args]
            if kind == "ResultSortedRowIds":
                told = [MISSING if index in (1, 4) and arg is None else arg for index, arg in enumerate(told)]
            self.trace.append(["call", label, kind, *map(encode, told)])

        given = [None if kind == "ResultSortedRowIds" and thing == UNDEFINED else thing for thing in ids]
        add = getattr(self.queries, f"add_{snake_case(kind)}_listener")
        self.listener_ids.append(add(*given, hear))

    def unlisten(self, label: int) -> None:
        self.queries.del_listener(self.listener_ids[label] if label < len(self.listener_ids) else "none")

    def stats(self) -> None:
        stats = self.queries.get_listener_stats()
        self.trace.append(["stats", {camel_case(kind): count for kind, count in stats.items()}])

    def read(self, method: str, *args: Any) -> None:
        given = [None if arg == UNDEFINED else arg for arg in args]
        if method in {"getResultCell", "getParamValue"}:
            given.append(MISSING)
        result = getattr(self.queries, snake_case(method))(*given)
        absent = method == "getTableId" and result is None
        self.trace.append(["read", method, encode(MISSING if absent else result)])

    def results(self) -> list[Any]:
        queries = self.queries
        return [
            [
                query_id,
                queries.get_table_id(query_id),
                encode(queries.get_param_values(query_id)),
                [
                    [row_id, sorted([cell_id, encode(cell)] for cell_id, cell in row.items())]
                    for row_id, row in queries.get_result_table(query_id).items()
                ],
            ]
            for query_id in queries.get_query_ids()
        ]
