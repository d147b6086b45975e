"""A disk that is really full: nothing is lost, the error says so, and all is saved once there is room."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, logging, sys
from pathlib import Path
from contextlib import suppress
from replicell.persisters import (CrSqliteDatabase, DatabaseFullError, FileAccessError, SqliteDatabase,
    create_crsqlite_persister, create_json_file_persister, create_sqlite_persister)
from replicell.store import create_store

CONFIG = {"mode": "tabular", "tables": {"load": {"t": "t"}, "save": {"t": "t"}}}
file, medium = Path(sys.argv[1]), sys.argv[2]
ballast = file.with_name("ballast")

async def persisting(store, play):
    if medium == "json file":
        async with create_json_file_persister(store, file) as persister:
            return await play(persister)
    kind, create = {"cr-sqlite": (CrSqliteDatabase, create_crsqlite_persister),
                    "sqlite": (SqliteDatabase, create_sqlite_persister)}[medium]
    async with kind(file) as database:
        return await play(create(store, database, CONFIG))

def fill():
    with suppress(OSError), ballast.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))

async def main():
    logging.disable(logging.CRITICAL)
    store = create_store().set_row("t", "1", {"text": "before"})

    async def play(persister):
        await persister.start_auto_persisting()
        fill()
        store.set_row("t", "2", {"text": "x" * 100_000})
        try:
            await persister.flush()
        except (DatabaseFullError, FileAccessError) as error:
            print("full:", type(error).__name__, "make room" in str(error) or "disk" in str(error))
        store.set_cell("t", "1", "text", "meanwhile")
        ballast.unlink()
        await persister.flush()

    await persisting(store, play)
    again = create_store()
    await persisting(again, lambda persister: persister.load())
    print("same:", again.get_content() == store.get_content(),
          sorted(name.name for name in file.parent.iterdir()))

asyncio.run(main())
"""


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("medium", "error"),
    [("cr-sqlite", "DatabaseFullError"), ("sqlite", "DatabaseFullError"), ("json file", "FileAccessError")],
)
def test_what_does_not_fit_is_kept_until_there_is_room(medium: str, error: str, tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("a small disk can only be mounted where user namespaces are allowed")
    program = tmp_path.parent / f"{tmp_path.name}.py"
    program.write_text(PROGRAM)
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -W error "$3" "$1/disk" "$4"'
    result = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, str(program), medium],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == [f"full: {error} True", "same: True ['disk']"]
