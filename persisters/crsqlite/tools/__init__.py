"""Looking into database files, copying them and comparing them, for people and their scripts."""

from __future__ import annotations

from replicell.persisters.crsqlite.tools.backup import back_up
from replicell.persisters.crsqlite.tools.difference import Difference, differences
from replicell.persisters.crsqlite.tools.exchange import (
    TableRows,
    dump_csv,
    dump_json,
    load_rows,
    read_csv,
    read_json,
)
from replicell.persisters.crsqlite.tools.info import DatabaseInfo, Epoch, TableInfo, database_info

__all__ = [
    "DatabaseInfo",
    "Difference",
    "Epoch",
    "TableInfo",
    "TableRows",
    "back_up",
    "database_info",
    "differences",
    "dump_csv",
    "dump_json",
    "load_rows",
    "read_csv",
    "read_json",
]
