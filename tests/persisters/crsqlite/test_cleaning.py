"""Empty columns and tables are dropped if the configuration says so, and never what somebody has filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.persisters.crsqlite.schema import read_schema
from replicell.persisters.crsqlite.versions import latest_version
from replicell.store import Store, create_store


def config(**save: Any) -> dict[str, Any]:
    return {
        "mode": "tabular",
        "tables": {"load": {"pets": "pets"}, "save": {"pets": {"tableName": "pets", **save}}},
    }


def pets() -> Store:
    return create_store().set_table("pets", {"fido": {"age": 3, "owner": "Ada"}, "felix": {"age": 2}})


async def columns(db: CrSqliteDatabase) -> tuple[str, ...] | None:
    schemas = await db.read(read_schema)
    return schemas["pets"].columns if "pets" in schemas else None


async def test_a_column_that_no_row_fills_any_more_is_dropped_by_a_save(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        store = pets()
        persister = create_crsqlite_persister(store, db, config(deleteEmptyColumns=True))
        await persister.start_auto_persisting()
        store.del_cell("pets", "fido", "owner")
        await persister.flush()
        assert await columns(db) == ("age", "owner")
        await persister.save()
        assert await columns(db) == ("age",)
        store.set_cell("pets", "felix", "owner", "Bob")
        await persister.flush()
        assert await db.execute("SELECT _id, age, owner FROM pets ORDER BY 1") == [
            ("felix", 2, "Bob"),
            ("fido", 3, None),
        ]


async def test_by_default_nothing_is_dropped(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        store = pets()
        persister = await create_crsqlite_persister(store, db, config()).start_auto_persisting()
        store.del_table("pets")
        await persister.save()
        assert await columns(db) == ("age", "owner")


async def test_a_column_that_others_have_filled_stays(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await create_crsqlite_persister(pets(), db, config()).save()
        store = create_store().set_row("pets", "rex", {"age": 1})
        await create_crsqlite_persister(store, db, config(deleteEmptyColumns=True)).save()
        assert await columns(db) == ("age", "owner")


async def test_an_empty_table_is_dropped_by_a_save_and_versions_go_on(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        store = pets()
        persister = create_crsqlite_persister(store, db, config(deleteEmptyTable=True))
        await persister.start_auto_persisting()
        store.del_table("pets")
        await persister.flush()
        version = await db.read(latest_version)
        await persister.save()
        assert await columns(db) is None
        assert await db.read(latest_version) == version
        store.set_row("pets", "rex", {"age": 1})
        await persister.flush()
        assert await db.execute("SELECT * FROM pets") == [("rex", 1)]
        assert await db.read(latest_version) > version


async def test_a_table_in_which_others_have_rows_stays(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await create_crsqlite_persister(pets(), db, config()).save()
        await create_crsqlite_persister(create_store(), db, config(deleteEmptyTable=True)).save()
        assert len(await db.execute("SELECT * FROM pets")) == 2


async def test_a_condition_survives_its_column(file: Path) -> None:
    chosen = config(deleteEmptyColumns=True)
    chosen["tables"]["load"]["pets"] = {"tableId": "pets", "condition": "owner IS NULL"}
    async with CrSqliteDatabase(file) as db:
        store = pets()
        persister = await create_crsqlite_persister(store, db, chosen).start_auto_persisting()
        await db.execute("UPDATE pets SET owner = NULL")
        await persister.load()
        await persister.save()
        assert await columns(db) == ("age",)
        store.set_cell("pets", "felix", "age", 4)
        await persister.flush()
        assert store.get_row_ids("pets") == ["felix", "fido"] or store.get_row_ids("pets") == [
            "fido",
            "felix",
        ]


# ------------------------------------------------------------------------------- tables that others have made


def make_typed(connection: apsw.Connection) -> None:
    connection.execute(
        "CREATE TABLE pets (_id TEXT PRIMARY KEY NOT NULL, age INTEGER, name TEXT, weight REAL, "
        "shout AS (upper(name)))"
    )
    connection.execute("SELECT crsql_as_crr('pets')").fetchall()


async def test_a_cell_that_a_typed_column_would_change_is_reported_and_the_others_are_saved(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    row = {"age": "12", "name": 5, "weight": " 1.5e3 ", "extra": "5"}
    store = create_store().set_row("pets", "fido", row)
    async with CrSqliteDatabase(file) as db:
        await db.run(make_typed)
        persister = create_crsqlite_persister(store, db, config(), on_error=errors.append)
        await persister.start_auto_persisting()
        assert await db.execute("SELECT age, name, weight, extra FROM pets") == [(None, None, None, "5")]
        assert len(errors) == 3
        assert "cell 'age' stays unsaved: the column is typed" in str(errors[0])
        store.set_row("pets", "fido", {"age": 12, "name": "5", "weight": 2, "extra": True})
        await persister.flush()
        assert await db.execute("SELECT age, name, weight FROM pets") == [(12, "5", 2.0)]
    assert store.get_row("pets", "fido") == {"age": 12, "name": "5", "weight": 2, "extra": True}
    assert len(caplog.records) == 3


async def test_a_cell_named_like_a_generated_column_is_reported_and_blocks_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    store = create_store().set_row("pets", "fido", {"name": "Fido", "Shout": "FIDO!"})
    async with CrSqliteDatabase(file) as db:
        await db.run(make_typed)
        await create_crsqlite_persister(store, db, config(), on_error=errors.append).save()
        assert await db.execute("SELECT name, shout FROM pets") == [("Fido", "FIDO")]
    assert ["SQLite computes the column 'shout' by itself" in str(error) for error in errors] == [True]
    assert len(caplog.records) == 1
