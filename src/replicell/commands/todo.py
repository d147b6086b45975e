"""``replicell todo``: a todo list in the terminal that other replicas share."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from replicell.errors import ReplicellError

__all__ = ["HELP", "MissingExtraError", "add_arguments", "run"]

HELP = "keep a todo list in the terminal, the same on every replica"
OPTIONAL_PACKAGES = ("textual", "rich")


class MissingExtraError(ReplicellError):
    """A package is missing that only this program needs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``replicell todo``."""
    parser.add_argument(
        "--db", required=True, type=Path, metavar="FILE", help="the database; made if it is not there"
    )
    parser.add_argument(
        "--server",
        action="extend",
        type=_addresses,
        metavar="URL",
        help="the room to share the list in, as ws://localhost:8040/my-room; without it the list stays local."
        " Several servers that share the room, with commas between them or each with --server: when one is"
        " away, the next is tried",
    )
    parser.add_argument("--token", help="what the server asks for, where it does")
    parser.add_argument(
        "--me",
        default="",
        metavar="NAME",
        help="what to call you; the others who have the list open see it (only that somebody is there)",
    )
    parser.add_argument("--name", help="the title above the list (the database's name)")
    parser.add_argument(
        "--theme", choices=("dark", "light"), help="the colours (what the terminal says of itself, else dark)"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="a file for what goes on behind the screen")


def _addresses(text: str) -> list[str]:
    # A comma may also be part of a room's name.
    return re.split(r",(?=wss?://)", text)


def run(args: argparse.Namespace) -> int:
    """Show the list until the user leaves.

    Returns:
        0, or 1 when the screen failed.

    Raises:
        ReplicellError: if a package is missing, or the database or the server's address cannot be used.
    """
    try:
        from replicell.todo.program import run_program
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL_PACKAGES:
            raise
        raise MissingExtraError(
            f"the todo list needs the package {error.name!r}; install it with: pip install 'replicell[todo]'"
        ) from error
    return run_program(
        database=args.db,
        server=args.server,
        token=args.token,
        me=args.me,
        name=args.name or args.db.stem,
        theme=args.theme,
        log=args.log,
    )
