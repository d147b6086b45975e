"""Copied files: a new site id, and the old rows keep their author."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.identity import NotAReplicaError, reidentify
from replicell.persisters.crsqlite.schema import TableSchema, create_table


def site_id(conn: apsw.Connection) -> bytes:
    found = conn.execute("SELECT crsql_site_id()").get
    assert isinstance(found, bytes)
    return found


def authors(conn: apsw.Connection) -> dict[str, bytes]:
    return {
        bytes(pk)[3:].decode(): bytes(author)
        for pk, author in conn.execute("SELECT pk, site_id FROM crsql_changes WHERE cid = 'text'")
    }


def test_a_copy_gets_a_new_site_id_and_its_old_rows_keep_their_author(tmp_path: Path) -> None:
    original = open_connection(tmp_path / "a.db")
    create_table(original, TableSchema("todo", ("id",), ("text",)))
    with transaction(original):
        original.execute("INSERT INTO todo VALUES ('old', 'x')")
    old_id = site_id(original)
    close_connection(original)
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")

    new_id = reidentify(tmp_path / "b.db")

    copy = open_connection(tmp_path / "b.db")
    with transaction(copy):
        copy.execute("INSERT INTO todo VALUES ('new', 'y')")
    assert site_id(copy) == new_id != old_id
    assert authors(copy) == {"old": old_id, "new": new_id}
    close_connection(copy)


def test_a_copy_may_be_copied_again(tmp_path: Path) -> None:
    close_connection(open_connection(tmp_path / "a.db"))

    ids = {reidentify(tmp_path / "a.db") for _ in range(3)}

    conn = open_connection(tmp_path / "a.db")
    assert len(ids) == 3
    assert site_id(conn) in ids
    assert conn.execute("SELECT count(*) FROM crsql_site_id").get == 4
    close_connection(conn)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(NotAReplicaError, match="no database file"):
        reidentify(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_an_ordinary_database_is_refused(tmp_path: Path) -> None:
    conn = apsw.Connection(str(tmp_path / "plain.db"))
    conn.execute("CREATE TABLE t(x)")
    conn.close()

    with pytest.raises(NotAReplicaError, match="not a cr-sqlite database"):
        reidentify(tmp_path / "plain.db")
