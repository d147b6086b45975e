"""``replicell server rooms|backup|restore|stats``: a server's rooms, looked after while it runs or not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.error import URLError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from replicell.sync.room_files import RoomFile

__all__ = ["add_commands"]

_Command: TypeAlias = Callable[[argparse.Namespace, argparse.Namespace], int]

_TIMEOUT_SECONDS: Final = 10.0


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to the server's parser; each sets ``on_rooms`` to what it runs."""
    commands = parser.add_subparsers(
        metavar="COMMAND", title="commands, instead of serving", prog=parser.prog
    )
    parser.usage = "%(prog)s [OPTION ...] [COMMAND ...]"

    def add(name: str, command: _Command, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        added.set_defaults(on_rooms=command)
        added.add_argument(
            "--data-dir",
            default=argparse.SUPPRESS,
            metavar="FOLDER",
            help="folder of the rooms' files, as for the server",
        )
        added.add_argument("--config", default=argparse.SUPPRESS, metavar="FILE", help="as for the server")
        return added

    add("rooms", _rooms, "list the rooms")
    backup = add("backup", _backup, "write one state of rooms to a folder, while a server runs or not")
    backup.add_argument("rooms", nargs="*", metavar="ROOM", help="which rooms; all if none is named")
    backup.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the backups go")
    restore = add("restore", _restore, "make a room what it was when it was backed up")
    restore.add_argument("room", metavar="ROOM", help="the room's name")
    restore.add_argument("backup", type=Path, metavar="FILE", help="the backup")
    restore.add_argument("--replace", action="store_true", help="overwrite the room; it must not be open")
    restore.add_argument(
        "--as-copy", action="store_true", help="make a room of its own, beside the one that was backed up"
    )
    stats = add("stats", _stats, "tell how much there is, from the files or from a running server")
    stats.add_argument("--url", metavar="URL", help="a running server, as http://host:port: its figures")
    stats.add_argument(
        "--metrics-token", default=argparse.SUPPRESS, metavar="TOKEN", help="the token that they ask for"
    )


def _rooms(_: argparse.Namespace, settings: argparse.Namespace) -> int:
    found, failed = _described(Path(settings.data_dir))
    _print_columns(
        ("room", "bytes", "tables", "rows", "version", "clients", "parked"),
        (
            (room.name, room.size, room.tables, room.rows, room.version, room.clients, room.parked)
            for room in found
        ),
    )
    return 1 if failed else 0


def _backup(args: argparse.Namespace, settings: argparse.Namespace) -> int:
    from replicell.sync.room_files import RoomFileError, back_up, list_rooms

    folder = Path(settings.data_dir)
    status = 0
    for name in args.rooms or list_rooms(folder):
        try:
            print(back_up(folder, name, args.to))
        except RoomFileError as error:
            # The others are to have their backups all the same.
            print(f"replicell: {error}", file=sys.stderr)
            status = 1
    return status


def _restore(args: argparse.Namespace, settings: argparse.Namespace) -> int:
    from replicell.sync.room_files import restore

    print(
        restore(Path(settings.data_dir), args.room, args.backup, replace=args.replace, as_copy=args.as_copy)
    )
    return 0


def _stats(args: argparse.Namespace, settings: argparse.Namespace) -> int:
    if args.url is not None:
        return _live_stats(args.url, settings.metrics_token)
    found, failed = _described(Path(settings.data_dir))
    _print_columns(
        ("", "in all", "biggest"),
        [
            ("rooms", len(found), ""),
            *(
                (label, sum(values), max(values, default=0))
                for label, values in (
                    ("bytes", [room.size for room in found]),
                    ("rows", [room.rows for room in found]),
                    ("clients", [room.clients for room in found]),
                    ("parked", [room.parked for room in found]),
                )
            ),
        ],
    )
    return 1 if failed else 0


def _live_stats(url: str, token: str | None) -> int:
    from replicell.sync.addresses import in_plain_words
    from replicell.sync.room_files import RoomFileError

    if not url.startswith(("http://", "https://")):
        raise RoomFileError(f"the server's address begins with http:// or https://, not as {url!r}")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urlopen(
            Request(url.rstrip("/") + "/metrics", headers=headers), timeout=_TIMEOUT_SECONDS
        ) as page:
            figures = _figures(page.read().decode())
    except (HTTPException, ValueError) as error:
        raise RoomFileError(
            f"the figures of {url} cannot be had: what answers there is no replicell server, or one without "
            "figures; give the address that clients use, with http:// for ws://"
        ) from error
    except OSError as error:
        reason = error.reason if isinstance(error, URLError) else error
        words = in_plain_words(reason) if isinstance(reason, OSError) and reason.errno else str(error)
        raise RoomFileError(f"the figures of {url} cannot be had: {words}") from error
    _print_columns(("figure", "value"), figures)
    return 0


def _figures(page: str) -> list[tuple[str, float]]:
    lines = (line.rpartition(" ")[::2] for line in page.splitlines() if line and not line.startswith("#"))
    return [
        (name.removeprefix("replicell_"), float(value))
        for name, value in lines
        if "_bucket" not in name and "_created" not in name
    ]


def _described(folder: Path) -> tuple[list[RoomFile], bool]:
    """Look into all rooms; those that cannot be read are told on stderr."""
    from replicell.sync.room_files import RoomFileError, describe_room, list_rooms

    found: list[RoomFile] = []
    failed = False
    for name in list_rooms(folder):
        try:
            found.append(describe_room(folder, name))
        except RoomFileError as error:
            print(f"replicell: {error}", file=sys.stderr)
            failed = True
    if not found and not failed:
        print(f"replicell: there are no rooms in {folder}", file=sys.stderr)
    return found, failed


def _print_columns(heads: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    lines = [heads, *(tuple(map(_shown, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *rest = (
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join((first, *rest)).rstrip())


def _shown(value: object) -> str:
    return (
        f"{value:,.6g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
