"""Typed rows, mapping views and frames: checkers know the type of a row."""

from __future__ import annotations

from collections.abc import ItemsView, ValuesView
from dataclasses import dataclass
from typing import TypedDict, assert_type

import msgspec
import pandas as pd
import polars as pl
import pydantic
from reactivex import Observable

from replicell.store import Cell, Frame, RowView, Store, TableView, TypedTable


@dataclass
class Todo:
    text: str
    done: bool = False


class TodoDict(TypedDict):
    text: str


class TodoModel(pydantic.BaseModel):
    text: str


class TodoStruct(msgspec.Struct):
    text: str


store = Store()
todos = store.table(Todo)
assert_type(todos, TypedTable[Todo])
assert_type(todos["1"], Todo)
assert_type(todos[1].text, str)
assert_type(todos.get("1"), Todo | None)
assert_type(todos.get("1", 5), Todo | int)
assert_type(todos.get("1", Todo("x")), Todo)
assert_type(list(todos), list[str])
assert_type(todos.values(), ValuesView[Todo])
assert_type(todos.items(), ItemsView[str, Todo])
assert_type(todos.add(Todo("x")), str)
assert_type(todos.pop("1"), Todo)
assert_type(todos.observe("1"), Observable[Todo | None])
assert_type(todos.observe(), Observable[dict[str, Todo]])
assert_type(todos.model, type[Todo])
todos["1"] = Todo("x")
todos.update("1", done=True)
todos.update({"1": Todo("x")})
todos.update([("1", Todo("x"))], two=Todo("y"))

assert_type(store.table(TodoDict, "todo")["1"], TodoDict)
assert_type(store.table(TodoModel, "todo", schema=True)["1"], TodoModel)
assert_type(store.table(TodoStruct)["1"], TodoStruct)

print(todos["1"].txt)  # expect: mypy[attr-defined], pyright[reportAttributeAccessIssue]
todos["1"] = "x"  # expect: mypy[assignment], pyright[reportArgumentType]
todos["1"] = {"text": "x"}  # expect: mypy[assignment], pyright[reportArgumentType]
todos.add(TodoModel(text="x"))  # expect: mypy[arg-type], pyright[reportArgumentType]
todos.update({"1": 5})  # expect: mypy[dict-item], pyright[reportArgumentType], pyright[reportCallIssue]
todos.update(two=5)  # expect: mypy[call-overload], pyright[reportArgumentType]
todos["1"].done = "yes"  # expect: mypy[assignment], pyright[reportAttributeAccessIssue]
store.table(Todo("x"))  # expect: mypy[arg-type], pyright[reportArgumentType]
store.table("todo")  # expect: mypy[arg-type], pyright[reportArgumentType]
store.table(TodoDict)["1"] = {"text": 5}  # expect: mypy[typeddict-item], pyright[reportArgumentType]

assert_type(store.tables["todo"], TableView)
assert_type(store.tables["todo"]["1"], RowView)
assert_type(store.tables["todo"]["1"]["text"], Cell)
assert_type(store.values["open"], Cell)
store.tables["todo"] = {"1": {"text": "x"}}
store.tables["todo"]["1"] = {"text": "x"}
store.tables["todo"]["1"]["text"] = "x"
store.values["tags"] = ["x"]
store.tables["todo"]["1"]["text"] = object()  # expect: mypy[assignment], pyright[reportArgumentType]
store.tables = {}  # expect: mypy[misc], mypy[assignment], pyright[reportAttributeAccessIssue]

assert_type(store.frame("todo"), Frame)
assert_type(store.frame("todo").to_polars(), pl.DataFrame)
assert_type(store.frame("todo").to_dicts(), list[dict[str, Cell]])
pandas: pd.DataFrame = store.frame("todo", id_column=None, objects="text").to_pandas()
assert_type(store.set_table_from("todo", pandas, id_column="id", nulls="none"), Store)
store.frame("todo", objects="json")  # expect: mypy[arg-type], pyright[reportArgumentType]
store.set_table_from("todo", pandas, nulls="null")  # expect: mypy[arg-type], pyright[reportArgumentType]
