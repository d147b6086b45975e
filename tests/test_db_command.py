"""``replicell db``: real files in, clear answers out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell import cli
from replicell.commands import progress
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.tools.info import database_info
from replicell.persisters.crsqlite.tools.text_forms import field_of, value_of_field
from replicell.store import Store, create_store

CONFIG = {
    "mode": "tabular",
    "tables": {
        "load": {"todo": {"tableId": "todo", "rowIdColumnName": "id"}, "pets": "pets"},
        "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}, "pets": "pets"},
    },
}
TODO = {
    "1": {"text": "Milk", "done": True, "note": None, "tags": ["a", {"b": 1}]},
    "2": {"text": "12", "price": 1.0, "n": -5, "empty": ""},
    'ü, "3"': {"text": "two\nlines", "done": False, "true": "true"},
}
ODD_VALUES = [
    *("Milk", "", "12", " 12", "true", "null", "[1]", '"', "a,b", "two\nlines", "\ufffdtrue", "\ufffd[1]"),
    *(0, -1, 2**63 - 1, 1.0, 1e300, -0.5, float("inf"), b"", b"\x00\xff", "\ufffdnot json", "a\0b", None),
]


def save(file: Path, store: Store) -> None:
    async def main() -> None:
        async with CrSqliteDatabase(file) as db, create_crsqlite_persister(store, db, CONFIG) as persister:
            await persister.save()

    asyncio.run(main())


def load(file: Path) -> Store:
    async def main() -> Store:
        store = create_store()
        async with CrSqliteDatabase(file) as db, create_crsqlite_persister(store, db, CONFIG) as persister:
            await persister.load()
        return store

    return asyncio.run(main())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "todo.db"
    save(path, create_store().set_tables({"todo": TODO, "pets": {"fido": {"species": "dog"}}}))
    return path


@pytest.fixture
def user(file: Path) -> Iterator[apsw.Connection]:
    """Another program that uses the file."""
    connection = open_connection(file)
    yield connection
    close_connection(connection)


def run(*words: object) -> int:
    return cli.main(["db", *map(str, words)])


# ----------------------------------------------------------------------------------- info


def test_info_tells_identity_versions_epochs_and_tables(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = apsw.Connection(str(file))
    site_id = connection.execute("SELECT hex(site_id) FROM crsql_site_id").get.lower()
    epoch = connection.execute("SELECT hex(id) FROM replicell_epochs").get.lower()
    connection.close()
    before = file.read_bytes()
    assert run("info", file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"site id  {site_id}"
    assert lines[2] == "version  1, written by 1 replica"
    assert lines[3] == f"epochs   {epoch} from version 0"
    words = {line.split()[0]: line.split() for line in lines[5:]}
    assert (words["todo"][1], words["todo"][2], words["todo"][-1]) == ("3", "9", "1")
    assert (words["pets"][1], words["pets"][2], words["pets"][-1]) == ("1", "2", "1")
    assert file.read_bytes() == before


def test_info_tells_what_tables_and_their_history_take_in_the_file(file: Path) -> None:
    connection = apsw.Connection(str(file))
    pages = dict(connection.execute("SELECT name, count(*) FROM dbstat GROUP BY name"))
    owners = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE rootpage"))
    page_size: Any = connection.execute("PRAGMA page_size").get
    connection.close()

    def taken(*tables: str) -> int:
        return int(page_size * sum(pages[name] for name, owner in owners.items() if owner in tables))

    for table in database_info(file).tables:
        assert table.bytes == taken(table.name) > 0
        assert table.history_bytes == taken(f"{table.name}__crsql_clock", f"{table.name}__crsql_pks") > 0


def test_info_of_an_ordinary_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.db"
    connection = apsw.Connection(str(path))
    connection.execute(
        "CREATE TABLE pets (id INTEGER PRIMARY KEY, name); INSERT INTO pets VALUES (1, 'fido')"
    )
    connection.close()
    assert run("info", path) == 0
    out = capsys.readouterr().out
    assert "replica  no" in out
    assert "pets" in out


@pytest.mark.parametrize("action", ["info", "dump", "diff", "backup"])
def test_a_file_that_is_missing_or_no_database_is_one_clear_message(
    action: str, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"diff": [file], "backup": [tmp_path / "copy.db"]}.get(action, [])
    assert run(action, tmp_path / "nothing.db", *more) == 1
    assert "There is no file" in capsys.readouterr().err
    assert run(action, tmp_path, *more) == 1
    assert "is a folder: name a file in it" in capsys.readouterr().err
    text = tmp_path / "text.db"
    text.write_text("no database at all, but long enough to be read as one" * 20)
    assert run(action, text, *more) == 1
    assert "is not an SQLite database" in capsys.readouterr().err
    assert not (tmp_path / "nothing.db").exists()
    assert not (tmp_path / "copy.db").exists()


# ----------------------------------------------------------------------------------- dump and load


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_was_dumped_is_loaded_into_a_new_replica_as_it_was(
    form: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, copy = tmp_path / f"todo.{form}", tmp_path / "copy.db"
    assert run("dump", file, "--table", "todo", "-o", out) == 0
    assert capsys.readouterr().out == f"3 rows written to {out}\n"
    assert run("load", copy, out) == 0
    assert capsys.readouterr().out == f"3 rows loaded into {copy}: todo\n"
    assert load(copy).get_table("todo") == TODO
    # Loading again is no edit.
    before = copy.read_bytes()
    connection = apsw.Connection(str(copy))
    clock = "SELECT max(db_version), max(col_version) FROM todo__crsql_clock"
    versions = connection.execute(clock).get
    connection.close()
    assert run("load", copy, out) == 0
    connection = apsw.Connection(str(copy))
    assert connection.execute(clock).get == versions
    connection.close()
    assert before


def test_json_shows_booleans_objects_and_null_as_such(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", file) == 0
    dumped = json.loads(capsys.readouterr().out)
    assert dumped["pets"] == {"key": ["_id"], "rows": [{"_id": "fido", "species": "dog"}]}
    assert {"id": "1", **TODO["1"]} in dumped["todo"]["rows"]


def test_csv_needs_a_table_and_names_those_there_are(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dump", file, "--format", "csv") == 1
    assert "pets, todo" in capsys.readouterr().err
    assert run("dump", file, "--table", "rooms") == 1
    assert "no table 'rooms'; there are: pets, todo" in capsys.readouterr().err


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
def test_every_value_that_sqlite_holds_comes_back_from_a_field_of_csv(value: object) -> None:
    back = value_of_field(field_of(value))
    assert (type(back), back) == (type(value), value)


def test_a_csv_file_from_elsewhere_is_loaded_with_the_key_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, database = tmp_path / "pets.csv", tmp_path / "pets.db"
    source.write_text("species,_id,sold,price\ndog,fido,true,12.5\ncat,7,,\n")
    assert run("load", database, source, "--key", "_id") == 0
    assert capsys.readouterr().err == ""
    assert load(database).get_table("pets") == {
        "fido": {"species": "dog", "sold": True, "price": 12.5},
        "7": {"species": "cat"},
    }


def test_rows_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"pets": {"key": ["_id"], "rows": [{"_id": "fido", "species": "dog"}]}}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(rows)))
    assert run("load", tmp_path / "pets.db", "-") == 0
    assert load(tmp_path / "pets.db").get_tables() == {"pets": {"fido": {"species": "dog"}}}


def test_rows_that_are_there_keep_the_cells_that_are_not_given(file: Path, tmp_path: Path) -> None:
    source = tmp_path / "more.json"
    source.write_text(json.dumps({"todo": {"key": ["id"], "rows": [{"id": "1", "text": "Bread", "new": 1}]}}))
    assert run("load", file, source) == 0
    assert load(file).get_row("todo", "1") == {**TODO["1"], "text": "Bread", "new": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[]", "must be an object of tables"),
        ("a.json", '{"todo": []}', "table 'todo'"),
        ("a.json", '{"todo": {"key": ["id"], "rows": [{"id": "1", "n": 1e999}]}}', "row 1"),
        ("a.json", '{"todo": {"key": ["id"], "rows": [{"text": "x"}]}}', "row 1: no 'id'"),
        ("a.json", '{"to-do": {"key": ["id"], "rows": []}}', "cannot name a table"),
        ("a.json", '{"todo": {"key": ["other"], "rows": [{"other": "1"}]}}', "has the key id"),
        ("a.csv", "", "line of column names"),
        ("a.csv", "id,id\n", "each once"),
        ("a.csv", "id,text\n1\n", "line 2: 1 fields for 2 columns"),
        ("a.csv", "id,n\n1,1e999\n", "line 2"),
    ],
)
def test_input_that_is_not_understood_says_where_and_changes_nothing(
    name: str, text: str, message: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load(file).get_content()
    (tmp_path / name).write_text(text)
    assert run("load", file, tmp_path / name, *(["--table", "todo"] if name == "a.csv" else [])) == 1
    assert message in capsys.readouterr().err
    assert load(file).get_content() == content


def test_an_ordinary_file_is_not_made_a_replica_by_accident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, source = tmp_path / "plain.db", tmp_path / "pets.csv"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE pets (_id TEXT PRIMARY KEY NOT NULL)")
    connection.close()
    source.write_text("_id\nfido\n")
    before = path.read_bytes()
    assert run("load", path, source) == 1
    assert "adopt_table" in capsys.readouterr().err
    assert path.read_bytes() == before


# ----------------------------------------------------------------------------------- diff


def test_diff_of_equal_databases_says_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.db"
    save(other, load(file))
    assert run("diff", file, other) == 0
    assert capsys.readouterr().out == ""


def test_diff_tells_tables_rows_and_cells(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = load(file).del_table("pets").del_row("todo", "2").set_row("todo", "4", {"text": "Tea"})
    store.set_cell("todo", "1", "done", False).set_cell("todo", "1", "due", "today")
    store.set_row("rooms", "1", {"name": "hall"})
    other = tmp_path / "other.db"
    save(other, store)
    assert run("diff", file, other) == 1
    assert capsys.readouterr().out.splitlines() == [
        "- table pets",
        "- todo '2'",
        "+ todo '4'",
        "~ todo '1' done: true / false",
        "~ todo '1' due: nothing / today",
    ]


# ----------------------------------------------------------------------------------- backup


def test_a_backup_made_while_somebody_writes_is_one_consistent_state(
    file: Path, user: apsw.Connection, tmp_path: Path
) -> None:
    with transaction(user):
        user.execute("UPDATE pets SET species = 'cat'")
        assert run("backup", file, tmp_path / "copy.db") == 0
    assert load(tmp_path / "copy.db").get_table("pets") == {"fido": {"species": "dog"}}
    assert load(tmp_path / "copy.db").get_table("todo") == TODO


def test_a_backup_is_a_replica_of_its_own_that_exchanges_changes_with_the_original(
    file: Path, user: apsw.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert run("backup", file, copy) == 0
    site_id = capsys.readouterr().out.split("site id  ")[1].split()[0]
    other = open_connection(copy)
    try:
        assert other.execute("SELECT hex(crsql_site_id())").get.lower() == site_id
        assert user.execute("SELECT hex(crsql_site_id())").get.lower() != site_id
        authors = "SELECT DISTINCT hex(site_id) FROM crsql_changes"
        assert other.execute(authors).get == user.execute("SELECT hex(crsql_site_id())").get
        with transaction(other):
            other.execute("UPDATE pets SET species = 'from the copy'")
        mine = "SELECT * FROM crsql_changes WHERE site_id = crsql_site_id()"
        changes = other.execute(mine).fetchall()
        assert len(changes) == 1
        with transaction(user):
            user.executemany("INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", changes)
        assert user.execute("SELECT species FROM pets").get == "from the copy"
    finally:
        close_connection(other)
    assert run("diff", file, copy) == 0


def test_a_backup_that_replaces_its_original_keeps_the_identity_on_demand(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", file, tmp_path / "copy.db", "--keep-identity") == 0
    connection = apsw.Connection(str(file))
    site_id = connection.execute("SELECT hex(site_id) FROM crsql_site_id WHERE ordinal = 0").get
    connection.close()
    assert f"site id  {site_id.lower()} (as before)" in capsys.readouterr().out


def test_a_backup_never_overwrites_and_leaves_nothing_half_done(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.db"
    taken.write_text("mine")
    assert run("backup", file, taken) == 1
    assert "exists already" in capsys.readouterr().err
    assert taken.read_text() == "mine"
    assert run("backup", file, tmp_path / "no" / "copy.db") == 1
    assert "no folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.partial")] == []


# ----------------------------------------------------------------------------------- long work


class Terminal:
    """What somebody at a terminal sees of a stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stream: str = "stderr") -> None:
        self._screen, terminal = pty.openpty()
        self._stream = os.fdopen(terminal, "w", encoding="utf-8")
        monkeypatch.setattr(sys, stream, self._stream)

    def read(self) -> str:
        self._stream.close()
        seen = b""
        while True:
            try:
                part = os.read(self._screen, 65536)
            except OSError:  # how Linux says that nobody writes any more
                part = b""
            if not part:
                os.close(self._screen)
                return seen.decode()
            seen += part


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of very many rows to be loaded."""
    source = tmp_path / "many.csv"
    source.write_text("id,text\n" + "".join(f"{number},todo {number}\n" for number in range(3_000)))
    return source


@pytest.fixture
def large(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A database of very many rows."""
    file = tmp_path / "large.db"
    assert run("load", file, many) == 0
    capsys.readouterr()
    return file


@pytest.fixture
def drawn_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)


@pytest.mark.usefixtures("drawn_always")
@pytest.mark.parametrize("action", ["load", "dump", "backup"])
def test_a_bar_is_drawn_on_a_terminal_and_gone_at_the_end(
    action: str, many: Path, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        "load": ("load", tmp_path / "new.db", many),
        "dump": ("dump", large, "-o", tmp_path / "dumped.json"),
        "backup": ("backup", large, tmp_path / "copy.db"),
    }
    terminal = Terminal(monkeypatch)
    assert run(*words[action]) == 0
    seen = terminal.read()
    if action == "backup":
        assert re.search(r"copying \[[#.]+\] +\d+%  [\d,]+ of [\d,]+ bytes", seen)
    else:
        assert "ing [#############...........................]  33%  1,000 of 3,000 rows" in seen
        assert "ing [########################################] 100%  3,000 of 3,000 rows" in seen
    assert seen.endswith("\r\x1b[K")


@pytest.mark.usefixtures("drawn_always")
def test_nothing_is_drawn_where_nobody_looks(
    many: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("load", tmp_path / "new.db", many) == 0
    assert run("dump", large) == 0
    assert run("backup", large, tmp_path / "copy.db") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("drawn_always")
def test_no_bar_disturbs_rows_that_are_printed_on_a_terminal(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, printed = Terminal(monkeypatch, "stderr"), Terminal(monkeypatch, "stdout")
    assert run("dump", file) == 0
    assert errors.read() == ""
    assert "Milk" in printed.read()
