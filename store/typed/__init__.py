"""Typed rows: tables whose rows are dataclasses, TypedDicts, pydantic models or msgspec Structs.

`Store.table` gives one.
"""

from replicell.store.typed.table import TypedTable

__all__ = ["TypedTable"]
