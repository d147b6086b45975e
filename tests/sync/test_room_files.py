"""Looking after the files of rooms, while a server has them open or not."""

from __future__ import annotations

import argparse
import socket
import threading
from pathlib import Path

import pytest

from replicell.commands import server as command
from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.sync.errors import RoomNameError
from replicell.sync.room_files import RoomFileError, back_up, describe_room, list_rooms, restore
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words))


def site_id(path: Path) -> bytes:
    conn = open_connection(path)
    try:
        found: bytes = conn.execute("SELECT crsql_site_id()").get
        return found
    finally:
        close_connection(conn)


async def test_rooms_are_listed_and_backed_up_while_a_server_has_them_open(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = await open_server()
    db = await open_database("first")
    await put(db, "1", "milk")
    client = await open_client(db, f"{server.url}/Team/plans")
    await client.wait_until_synced(PATIENCE)
    folder = tmp_path / "rooms"

    assert list_rooms(folder) == ["Team/plans"]
    room = describe_room(folder, "Team/plans")
    assert (room.tables, room.rows, room.clients, room.parked) == (1, 1, 1, 0)
    assert room.size > 10_000
    backup = back_up(folder, "Team/plans", tmp_path / "backups")
    with pytest.raises(RoomFileError, match="is open: stop the server"):
        restore(folder, "Team/plans", backup, replace=True)
    assert run("rooms", "--data-dir", str(folder)) == 0
    assert "Team/plans" in capsys.readouterr().out
    assert run("stats", "--data-dir", str(folder)) == 0
    assert "rows" in capsys.readouterr().out

    await put(db, "2", "bread")
    await client.wait_until_synced(PATIENCE)
    assert describe_room(folder, "Team/plans").rows == 2
    assert describe_room(tmp_path / "backups", "Team/plans").rows == 1


async def test_what_a_restored_room_has_lost_its_clients_bring_back(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    folder = tmp_path / "rooms"
    server = await open_server()
    first, second = await open_database("first"), await open_database("second")
    client = await open_client(first, f"{server.url}/room")
    await put(first, "1", "before the backup")
    await client.wait_until_synced(PATIENCE)
    backup = back_up(folder, "room", tmp_path / "backups")
    await put(first, "2", "after the backup")
    await client.wait_until_synced(PATIENCE)
    await client.close()
    await server.close()
    original = site_id(folder / "room.db")

    restore(folder, "room", backup, replace=True)

    assert describe_room(folder, "room").rows == 1
    assert site_id(folder / "room.db") == original
    again = await open_server()
    await (await open_client(first, f"{again.url}/room")).wait_until_synced(PATIENCE)
    await open_client(second, f"{again.url}/room")
    await eventually(second, lambda: has_rows(second, 2))
    assert await rows(second) == {"1": "before the backup", "2": "after the backup"}


async def test_a_copy_is_a_room_of_its_own(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    folder = tmp_path / "rooms"
    server = await open_server()
    db = await open_database("first")
    await put(db, "1", "milk")
    client = await open_client(db, f"{server.url}/room")
    await client.wait_until_synced(PATIENCE)
    backup = back_up(folder, "room", tmp_path / "backups")

    copy = restore(folder, "twin", backup, as_copy=True)

    assert list_rooms(folder) == ["room", "twin"]
    await client.close()
    await server.close()
    assert site_id(copy) != site_id(folder / "room.db")
    assert describe_room(folder, "twin").rows == 1


def test_what_cannot_be_restored_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "rooms"
    with pytest.raises(RoomFileError, match="there is no backup"):
        restore(folder, "room", tmp_path / "missing.db")
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with pytest.raises(RoomFileError, match=r"text\.db cannot be read"):
        restore(folder, "room", tmp_path / "text.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(RoomFileError, match="is no room's database"):
        restore(folder, "room", tmp_path / "empty.db")
    with pytest.raises(RoomNameError, match="not allowed"):
        restore(folder, "../room", tmp_path / "empty.db")
    assert list(folder.iterdir()) == []


def make_room(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    close_connection(open_connection(path))


def test_a_room_is_overwritten_only_if_asked_for_and_even_if_it_is_damaged(tmp_path: Path) -> None:
    backup, room = tmp_path / "backups" / "room.db", tmp_path / "rooms" / "room.db"
    make_room(backup)
    make_room(room)
    with pytest.raises(RoomFileError, match="--replace"):
        restore(room.parent, "room", backup)

    room.write_bytes(b"damaged by a disk" * 1000)
    restore(room.parent, "room", backup, replace=True)

    assert site_id(room) == site_id(backup)
    assert [path.name for path in room.parent.iterdir() if "restored" in path.name] == []


def test_a_room_that_cannot_be_read_does_not_keep_the_others_from_their_backups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_room(tmp_path / "rooms" / "good.db")
    (tmp_path / "rooms" / "bad.db").write_text("no database at all" * 100)

    assert run("backup", "--data-dir", str(tmp_path / "rooms"), "--to", str(tmp_path / "backups")) == 1

    assert "bad.db cannot be read" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["good.db"]
    assert (
        run("restore", "again", str(tmp_path / "backups" / "good.db"), "--data-dir", str(tmp_path / "rooms"))
        == 0
    )
    assert list_rooms(tmp_path / "rooms") == ["again", "bad", "good"]


def test_a_folder_or_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoomFileError, match="cannot be listed"):
        run("rooms", "--data-dir", str(tmp_path / "missing"))
    with pytest.raises(RoomFileError, match="begins with http"):
        run("stats", "--url", "localhost:1")
    with pytest.raises(RoomFileError, match="cannot be had: connection refused, no server listens there"):
        run("stats", "--url", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n<p>Welcome</p>\n",
        b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
    ],
    ids=["no HTTP", "a page", "no text"],
)
def test_who_has_no_figures_is_named(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def be_somebody_else() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=be_somebody_else)
        thread.start()
        try:
            with pytest.raises(
                RoomFileError, match="cannot be had: what answers there is no replicell server"
            ):
                run("stats", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            thread.join()


def test_an_empty_folder_has_no_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rooms", "--data-dir", str(tmp_path)) == 0
    assert f"there are no rooms in {tmp_path}" in capsys.readouterr().err
