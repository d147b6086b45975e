"""Only names that cr-sqlite can take pass."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from replicell.persisters import IdentifierError
from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.identifiers import (
    check_column_name,
    check_column_names,
    check_table_name,
    folded,
    quote,
)
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table


@pytest.mark.parametrize("name", ["todo", "_x", "T1", "Äpfel", "key", "action", "row"])
def test_plain_identifiers_can_name_tables(name: str) -> None:
    check_table_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a-b",
        "a.b",
        "a'b",
        'a"b',
        "1a",
        "order",
        "Group",
        "sqlite_x",
        "crsql_x",
        "replicell_x",
        "a__crsql_b",
        "x" * 256,
    ],
)
def test_other_names_cannot(name: str) -> None:
    with pytest.raises(IdentifierError, match="Choose another table name"):
        check_table_name(name)


def test_every_keyword_that_passes_works_with_cr_sqlite(file: Path) -> None:
    connection = open_connection(file)
    usable = []
    for word in sorted(map(str.lower, apsw.keywords)):
        try:
            check_table_name(word)
        except IdentifierError:
            with pytest.raises(apsw.SQLError):
                connection.execute(f"SELECT 1 FROM {word}")
        else:
            usable.append(word)
    for word in usable:
        create_table(connection, TableSchema(word, ("id",), ("a",)))
        add_columns(connection, word, ["b"])
        connection.execute(f"INSERT INTO {word} VALUES ('1', 2, 3)")
        connection.execute(f"DELETE FROM {word}")
    close_connection(connection)
    assert "key" in usable
    assert "order" not in usable


@pytest.mark.parametrize("name", ["text", "due date", "it's", "a.b", "", "😀", "rowid", "key"])
def test_nearly_anything_can_name_a_column(name: str, file: Path) -> None:
    check_column_name(name)
    connection = open_connection(file)
    create_table(connection, TableSchema("t", ("id",), ("other", name)))
    connection.execute(f"INSERT INTO t (id, {quote(name)}) VALUES ('1', 2)")
    assert connection.execute("SELECT cid, val FROM crsql_changes WHERE val = 2").get == (name, 2)
    close_connection(connection)


@pytest.mark.parametrize("name", ["-1", 'a"b', "a\0b", "__crsql_key", "half \ud800", "x" * 256])
def test_other_names_cannot_name_a_column(name: str) -> None:
    with pytest.raises(IdentifierError, match="Choose another name"):
        check_column_name(name)


def test_columns_must_differ_in_more_than_the_case_of_ascii_letters() -> None:
    check_column_names(("é", "É", "a"))
    with pytest.raises(IdentifierError, match="'Text' cannot be a column beside 'text'"):
        check_column_names(("text", "Text"))
    assert folded("ÉA") == "Éa"


def test_quoting_doubles_quotes() -> None:
    assert quote('a"b') == '"a""b"'
