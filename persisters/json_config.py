"""Where a database persister keeps a whole store as one JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from replicell.persisters.config import TabularConfig, hint_for, parse_config
from replicell.persisters.errors import ConfigError

__all__ = ["JsonConfig", "parse_database_config"]

_SPELLINGS = {
    "storeTableName": "table_name",
    "store_table_name": "table_name",
    "storeIdColumnName": "id_column_name",
    "store_id_column_name": "id_column_name",
    "storeColumnName": "column_name",
    "store_column_name": "column_name",
}


@dataclass(frozen=True, slots=True)
class JsonConfig:
    """A whole store as one JSON text, in the row ``_`` of a table.

    Args:
        table_name: The table (TinyBase's `storeTableName`).
        id_column_name: Its key column (`storeIdColumnName`).
        column_name: The column of the text (`storeColumnName`).
    """

    table_name: str = "tinybase"
    id_column_name: str = "_id"
    column_name: str = "store"


def parse_database_config(config: object) -> JsonConfig | TabularConfig:
    """Check a configuration of either mode. Mirrors TinyBase's `DatabasePersisterConfig`.

    Args:
        config: None for JSON mode with the default names, the name of the table for JSON mode, a mapping with
            ``"mode": "json"`` (the default) or ``"mode": "tabular"``, a `JsonConfig` or a `TabularConfig`.

    Raises:
        ConfigError: a key is unknown, or something has the wrong type. The message names the key and what is
            allowed there.

    >>> parse_database_config("todos")
    JsonConfig(table_name='todos', id_column_name='_id', column_name='store')
    >>> parse_database_config({"mode": "json", "storeColumnName": "content"}).column_name
    'content'
    """
    if config is None:
        return JsonConfig()
    if isinstance(config, str):
        return _checked(JsonConfig(config))
    if isinstance(config, JsonConfig):
        return _checked(config)
    if isinstance(config, Mapping) and config.get("mode", "json") == "json":
        return _checked(_parse(config))
    if isinstance(config, Mapping) and config["mode"] != "tabular":
        raise ConfigError(f"config: mode is {config['mode']!r}; allowed modes: json, tabular.")
    return parse_config(config)


def _parse(config: Mapping[object, object]) -> JsonConfig:
    names: dict[str, str] = {}
    for spelling, name in config.items():
        if spelling == "mode":
            continue
        key = _SPELLINGS.get(str(spelling))
        if key is None:
            allowed = ", ".join(name for name in _SPELLINGS if "_" in name)
            hint = hint_for(spelling)
            raise ConfigError(
                f"config: unknown key {spelling!r}; allowed in mode json: mode, {allowed}.{hint}"
            )
        if key in names:
            raise ConfigError(f"config has {spelling} in two spellings; give it once.")
        names[key] = name  # type: ignore[assignment]  # _checked looks at the types
    return JsonConfig(**names)


def _checked(config: JsonConfig) -> JsonConfig:
    for field in fields(config):
        name = getattr(config, field.name)
        if not isinstance(name, str) or not name or "\0" in name:
            raise ConfigError(f"config: store_{field.name} must be a name, not {name!r}.")
    if config.id_column_name.lower() == config.column_name.lower():
        raise ConfigError(f"config: the id and the store cannot share the column {config.column_name!r}.")
    return config
