"""What a persister keeps where: TinyBase's configuration object, checked and frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar

from replicell.persisters.errors import ConfigError

__all__ = [
    "EVERY_ROW",
    "TableLoad",
    "TableSave",
    "TablesConfig",
    "TabularConfig",
    "ValuesConfig",
    "hint_for",
    "parse_config",
]

DEFAULT_ROW_ID_COLUMN_NAME: Final = "_id"
DEFAULT_VALUES_TABLE_NAME: Final = "tinybase_values"
EVERY_ROW: Final = "true"

_INSTEAD: Final[Mapping[object, str]] = dict.fromkeys(
    ("autoLoadIntervalSeconds", "auto_load_interval_seconds"),
    " Leave it out: the database tells of changes by itself (see poll_interval of the database).",
)

ValueIds: TypeAlias = bool | tuple[str, ...]
"""True for all values, False for none, or the ids of some."""


@dataclass(frozen=True, slots=True)
class TableLoad:
    """Into which table of the store a database table is loaded, and what of it.

    Args:
        table_id: The store's table.
        row_id_column_name: The column that holds the row ids: the only column of the primary key.
        condition: SQL that is true for the rows to load, in which ``$tableName`` stands for the table's
            quoted name. Rows enter and leave the store as they change.
        columns: The columns to load; None for all.
    """

    table_id: str
    row_id_column_name: str = DEFAULT_ROW_ID_COLUMN_NAME
    condition: str = EVERY_ROW
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TableSave:
    """Into which database table a table of the store is saved, and what of it.

    Args:
        table_name: The database's table.
        row_id_column_name: The column that holds the row ids: the only column of the primary key.
        delete_empty_columns: Whether `Persister.save` drops columns that are empty in store and database.
        delete_empty_table: Whether `Persister.save` drops a table that is empty in store and database.
        condition: SQL that is true for the rows that may be deleted; None for the condition under which the
            table is loaded.
        columns: The cells to save; None for all.
    """

    table_name: str
    row_id_column_name: str = DEFAULT_ROW_ID_COLUMN_NAME
    delete_empty_columns: bool = False
    delete_empty_table: bool = False
    condition: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TablesConfig:
    """Which tables are loaded and saved; others are not touched, on either side.

    Args:
        load: By the name of the database's table.
        save: By the id of the store's table.
    """

    load: Mapping[str, TableLoad] = field(default_factory=dict)
    save: Mapping[str, TableSave] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValuesConfig:
    """Which of the store's values are loaded and saved, as columns of the one row ``_`` of a table.

    Args:
        load: True for all, False for none, or the ids of some.
        save: Likewise.
        table_name: The database's table; its key column is ``_id``.
    """

    load: ValueIds = False
    save: ValueIds = False
    table_name: str = DEFAULT_VALUES_TABLE_NAME


@dataclass(frozen=True, slots=True)
class TabularConfig:
    """Rows of the store's tables as rows of the database's tables, cells as columns.

    >>> config = TabularConfig(TablesConfig(save={"todo": TableSave("todo", "id")}))
    >>> config.tables.save["todo"].row_id_column_name
    'id'
    """

    tables: TablesConfig = TablesConfig()
    values: ValuesConfig = ValuesConfig()


def parse_config(config: object) -> TabularConfig:
    """Check a configuration, in TinyBase's spelling, in snake_case or made of the dataclasses here.

    Mirrors TinyBase's `DatabasePersisterConfig`.

    Args:
        config: A mapping such as ``{"mode": "tabular", "tables": {"load": {"todo": "todo"}}}``, in which a
            table may be named by a string, or a `TabularConfig`.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type, or two tables meet in one. The message
            names the key and what is allowed there.

    >>> parse_config({"mode": "tabular", "tables": {"load": {"todo": "todo"}}}).tables.load["todo"].table_id
    'todo'
    >>> parse_config({"mode": "tabular", "tabels": {}})
    Traceback (most recent call last):
    ...
    replicell.persisters.errors.ConfigError: config: unknown key 'tabels'; allowed: mode, tables, values.
    """
    parsed = config if isinstance(config, TabularConfig) else _parse_tabular(config)
    tables = _parse_tables(parsed.tables, "tables")
    values = _parse_values(parsed.values, "values")
    _refuse_meetings(tables, values)
    return TabularConfig(tables, values)


def hint_for(key: object) -> str:
    """Return what there is instead of a key of TinyBase's configuration; nothing if it is none."""
    return _INSTEAD.get(key, "")


def _parse_tabular(config: object) -> TabularConfig:
    if config is None or isinstance(config, str):
        raise ConfigError('config must be a mapping with "mode": "tabular"; allowed modes: tabular.')
    keys = _Keys(config, "config", ("mode", "tables", "values"))
    mode = keys.get("mode", "json")
    if mode != "tabular":
        hint = " For one text with everything use create_crsqlite_json_persister." if mode == "json" else ""
        raise ConfigError(f"config: mode is {mode!r}; allowed modes: tabular.{hint}")
    return TabularConfig(
        _parse_tables(keys.get("tables", {}), "tables"), _parse_values(keys.get("values", {}), "values")
    )


def _parse_tables(config: object, path: str) -> TablesConfig:
    if isinstance(config, TablesConfig):
        load: object = config.load
        save: object = config.save
    else:
        keys = _Keys(config, path, ("load", "save"))
        load, save = keys.get("load", {}), keys.get("save", {})
    return TablesConfig(
        _parse_each(load, f"{path}.load", _parse_table_load),
        _parse_each(save, f"{path}.save", _parse_table_save),
    )


_Parsed = TypeVar("_Parsed")


def _parse_each(
    config: object, path: str, parse: Callable[[object, str], _Parsed | None]
) -> dict[str, _Parsed]:
    if not isinstance(config, Mapping):
        raise ConfigError(f"{path} must map table names to tables, not {_kind(config)}.")
    parsed = {}
    for name, entry in config.items():
        if not isinstance(name, str):
            raise ConfigError(f"{path}: its keys must be strings, not {_kind(name)}: {name!r}.")
        table = parse(entry, f"{path}.{name}")
        if table is not None:
            parsed[name] = table
    return parsed


def _parse_table_load(config: object, path: str) -> TableLoad | None:
    if config is False:
        return None
    if isinstance(config, str):
        config = TableLoad(config)
    if not isinstance(config, TableLoad):
        keys = _Keys(config, path, ("table_id", "row_id_column_name", "condition", "columns"))
        config = TableLoad(
            keys.get("table_id", None),
            keys.get("row_id_column_name", DEFAULT_ROW_ID_COLUMN_NAME),
            keys.get("condition", EVERY_ROW),
            keys.get("columns", None),
        )
    _require_text(config.table_id, f"{path}.table_id")
    _require_text(config.row_id_column_name, f"{path}.row_id_column_name")
    _require_text(config.condition, f"{path}.condition")
    return replace(config, columns=_parse_columns(config.columns, f"{path}.columns"))


def _parse_table_save(config: object, path: str) -> TableSave | None:
    if config is False:
        return None
    if isinstance(config, str):
        config = TableSave(config)
    if not isinstance(config, TableSave):
        keys = _Keys(
            config,
            path,
            (
                "table_name",
                "row_id_column_name",
                "delete_empty_columns",
                "delete_empty_table",
                "condition",
                "columns",
            ),
        )
        config = TableSave(
            keys.get("table_name", None),
            keys.get("row_id_column_name", DEFAULT_ROW_ID_COLUMN_NAME),
            keys.get("delete_empty_columns", False),
            keys.get("delete_empty_table", False),
            keys.get("condition", None),
            keys.get("columns", None),
        )
    _require_text(config.table_name, f"{path}.table_name")
    _require_text(config.row_id_column_name, f"{path}.row_id_column_name")
    for name in ("delete_empty_columns", "delete_empty_table"):
        if not isinstance(getattr(config, name), bool):
            raise ConfigError(f"{path}.{name} must be True or False, not {getattr(config, name)!r}.")
    if config.condition is not None:
        _require_text(config.condition, f"{path}.condition")
    return replace(config, columns=_parse_columns(config.columns, f"{path}.columns"))


def _parse_columns(config: object, path: str) -> tuple[str, ...] | None:
    if config is None:
        return None
    columns = _parse_value_ids(config, path)
    if isinstance(columns, bool):
        raise ConfigError(f"{path} must be a list of columns or left out, not {config!r}.")
    return columns


def _parse_values(config: object, path: str) -> ValuesConfig:
    if not isinstance(config, ValuesConfig):
        keys = _Keys(config, path, ("load", "save", "table_name"))
        config = ValuesConfig(
            keys.get("load", False),
            keys.get("save", False),
            keys.get("table_name", DEFAULT_VALUES_TABLE_NAME),
        )
    _require_text(config.table_name, f"{path}.table_name")
    return ValuesConfig(
        _parse_value_ids(config.load, f"{path}.load"),
        _parse_value_ids(config.save, f"{path}.save"),
        config.table_name,
    )


def _parse_value_ids(config: object, path: str) -> ValueIds:
    if isinstance(config, bool):
        return config
    if isinstance(config, Iterable) and not isinstance(config, str | bytes | Mapping):
        ids = tuple(config)
        if all(isinstance(value_id, str) for value_id in ids):
            return ids
    raise ConfigError(f"{path} must be True, False or a list of value ids, not {config!r}.")


def _refuse_meetings(tables: TablesConfig, values: ValuesConfig) -> None:
    _refuse_sharing([load.table_id for load in tables.load.values()], "tables.load", "loads into table")
    _refuse_sharing([save.table_name for save in tables.save.values()], "tables.save", "saves into table")
    for path, name in [
        *(("tables.load", name) for name in tables.load),
        *(("tables.save", save.table_name) for save in tables.save.values()),
    ]:
        if name == values.table_name and (values.load or values.save):
            raise ConfigError(
                f"{path} uses {name!r}, the table of the values; choose another values.table_name."
            )
    for table_id, save in tables.save.items():
        load = tables.load.get(save.table_name)
        if load is not None and load.row_id_column_name != save.row_id_column_name:
            raise ConfigError(
                f"tables.load.{save.table_name}.row_id_column_name is {load.row_id_column_name!r} and "
                f"tables.save.{table_id}.row_id_column_name is {save.row_id_column_name!r}; "
                "one table has one key column."
            )


def _refuse_sharing(targets: list[str], path: str, verb: str) -> None:
    for target in targets:
        if targets.count(target) > 1:
            raise ConfigError(f"{path} {verb} {target!r} more than once; allowed: each table once.")


class _Keys:
    """The keys of one level of a configuration, in camelCase or snake_case."""

    def __init__(self, config: object, path: str, allowed: tuple[str, ...]) -> None:
        if not isinstance(config, Mapping):
            raise ConfigError(
                f"{path} must be a mapping with the keys {', '.join(allowed)}, not {_kind(config)}."
            )
        spellings = {spelling: key for key in allowed for spelling in (key, _camel_case(key))}
        self._path = path
        self._entries: dict[str, Any] = {}
        for name, entry in config.items():
            key = spellings.get(name)
            if key is None:
                raise ConfigError(
                    f"{path}: unknown key {name!r}; allowed: {', '.join(allowed)}.{hint_for(name)}"
                )
            if key in self._entries:
                raise ConfigError(f"{path} has {key} in two spellings; give it once.")
            self._entries[key] = entry

    def get(self, key: str, default: object) -> Any:
        return self._entries.get(key, default)


def _camel_case(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(map(str.capitalize, others))


def _require_text(entry: object, path: str) -> None:
    if not isinstance(entry, str):
        raise ConfigError(f"{path} must be a string, not {_kind(entry)}.")


def _kind(entry: object) -> str:
    return "nothing" if entry is None else type(entry).__name__
