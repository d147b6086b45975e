"""Reading data frames of any library as Arrow; imported only when one is read."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from replicell.store.cells import RESERVED, encode_cell
from replicell.store.errors import FrameError, MissingPackageError
from replicell.store.frames.incoming import cells_of, refuse
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["ArrowTable", "table_of"]

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls the column of an index without a name, as rows picked from a frame have it."""


def table_of(source: object) -> ArrowTable:
    """Read a data frame.

    Args:
        source: Something with ``__arrow_c_stream__``, as polars, pandas, pyarrow, DuckDB and `Frame` have it,
            or anything that narwhals understands, lazy frames among them.

    Raises:
        FrameError: If it is neither, or Arrow cannot have what is in it.
    """
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        try:
            return ArrowTable(pa.table(source))
        except pa.ArrowException as error:
            raise FrameError(
                f"{type(source).__name__} cannot be read as an Arrow table: {_reason(error)}. Pass a dict of "
                "its columns as lists (in pandas, frame.to_dict('list')), or convert the column first. "
                "Nothing was changed."
            ) from error
    try:
        import narwhals as nw
    except ModuleNotFoundError as error:
        raise MissingPackageError("Data frames without __arrow_c_stream__", "narwhals", "frames") from error

    try:
        frame: Any = nw.from_native(cast("Any", source))
    except TypeError as error:
        raise FrameError(
            f"{type(source).__name__} is no data frame: rows as a list of dicts, columns as a dict of lists, "
            "something with __arrow_c_stream__ or a frame that narwhals understands is needed. Nothing was "
            "changed."
        ) from error
    if isinstance(frame, nw.LazyFrame):
        return ArrowTable(frame.collect("pyarrow").to_native())
    return ArrowTable(frame.to_arrow())


class ArrowTable:
    """A pyarrow Table that is to become a table of a store."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.row_count: int = table.num_rows

    def columns(self, id_column: str | None, convert: bool) -> dict[Id, list[Any]]:
        """Return its columns, cells as a store holds them, the row ids as they are.

        Raises:
            FrameError: If something in it can be no cell.
        """
        columns: dict[Id, list[Any]] = {}
        for name, array in zip(self._table.column_names, self._table.columns, strict=True):
            if name != id_column and _UNNAMED_INDEX.fullmatch(name):
                continue
            if name in columns:
                raise FrameError(f"there are two columns called {name!r}. Rename one. Nothing was changed.")
            plain = _plain(array)
            columns[name] = plain.to_pylist() if name == id_column else _cells(name, plain, convert)
        return columns


def _plain(array: Any) -> Any:
    """Look through what says only how data lie in memory: dictionaries, runs and views."""
    kind = array.type
    while True:
        if isinstance(kind, pa.BaseExtensionType) and kind.extension_name != "arrow.json":
            array = _storage(array)
        elif pa.types.is_dictionary(kind):
            array = _looked_up(array)
        elif pa.types.is_run_end_encoded(kind):
            array = pc.call_function("run_end_decode", [array])
        elif pa.types.is_string_view(kind):
            array = array.cast(pa.large_string())
        else:
            return array
        kind = array.type


def _looked_up(array: Any) -> Any:
    kind = array.type.value_type
    # Arrow cannot take single strings out of views, as those of an Enum of polars are.
    kind = pa.large_string() if pa.types.is_string_view(kind) else kind
    chunks = [chunk.dictionary.cast(kind).take(chunk.indices) for chunk in array.chunks]
    return pa.chunked_array(chunks, kind)


def _storage(array: Any) -> Any:
    chunks = [chunk.storage for chunk in array.chunks]
    return pa.chunked_array(chunks, array.type.storage_type)


def _cells(name: str, array: Any, convert: bool) -> list[Any]:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _parsed(name, _storage(array))
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return list(array.to_pylist())
    if pa.types.is_floating(kind):
        return _finite(name, array.cast(pa.float64()), convert)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _strings(name, array)
    if pa.types.is_temporal(kind):
        return _times(name, array, convert)
    if pa.types.is_decimal(kind):
        return cells_of(name, array.to_pylist(), convert)
    _check_nested(name, kind, top=True)
    return _nested(name, array)


def _finite(name: str, array: Any, convert: bool) -> list[Any]:
    values: list[Any] = array.to_pylist()
    finite = pc.call_function("is_finite", [array])
    return (
        values if pc.call_function("all", [finite]).as_py() is not False else cells_of(name, values, convert)
    )


def _strings(name: str, array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    greatest = pc.call_function("min_max", [array])["max"].as_py()
    return values if greatest is None or greatest < RESERVED else cells_of(name, values, False)


def _times(name: str, array: Any, convert: bool) -> list[Any]:
    kind = array.type
    if array.null_count == len(array):
        return [None] * len(array)
    is_interval = pa.types.is_interval(kind)
    if is_interval or not convert:
        index = next(i for i, valid in enumerate(array.is_valid().to_pylist()) if valid)
        seconds = pa.types.is_duration(kind)
        makes = "" if is_interval else "seconds instead" if seconds else "ISO 8601 text instead"
        scalar = array[index]
        shown = scalar if is_interval or seconds else scalar.cast(pa.string()).as_py()
        refuse(name, index, shown, f"it is of type {kind}", makes)
    if pa.types.is_duration(kind):
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return [None if value is None else value / units for value in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_date64(kind):
        array = array.cast(pa.date32())
    options = pc.ReplaceSubstringOptions(" ", "T")
    texts = pc.call_function("replace_substring", [array.cast(pa.string())], options)
    return list(texts.to_pylist())


def _check_nested(name: str, kind: Any, top: bool = False) -> None:
    """See that everything in a type can be in an object or array."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        _check_nested(name, kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            _check_nested(name, field.type)
    elif pa.types.is_map(kind) and (
        pa.types.is_string(kind.key_type) or pa.types.is_large_string(kind.key_type)
    ):
        _check_nested(name, kind.item_type)
    elif pa.types.is_dictionary(kind):
        _check_nested(name, kind.value_type)
    elif top or not (
        pa.types.is_null(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or _is_text(kind)
    ):
        raise FrameError(
            f"column {name!r} is of type {kind}, or has such data in it, which no cell can hold. Please "
            "convert the column first, for example to text. Nothing was changed."
        )


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _nested(name: str, array: Any) -> list[Any]:
    as_dicts = {"maps_as_pydicts": "strict"} if "map<" in str(array.type) else {}
    cells: list[Any] = []
    for index, value in enumerate(array.to_pylist(**as_dicts)):
        encoded = None if value is None else encode_cell(value)
        if encoded is MISSING:
            refuse(name, index, value, "it is nested too deeply")
        cells.append(encoded)
    return cells


def _reason(error: Exception) -> str:
    return ", ".join(str(part).rstrip(".") for part in error.args)


def _parsed(name: str, array: Any) -> list[Any]:
    """Read a column of Arrow's JSON type."""
    cells: list[Any] = []
    for index, text in enumerate(array.to_pylist()):
        try:
            encoded = None if text is None else encode_cell(json.loads(text))
        except ValueError:
            encoded = MISSING
        if encoded is MISSING:
            refuse(name, index, text, "it is not the JSON of a cell")
        cells.append(encoded)
    return cells
