"""The ``replicell`` command: finds the sub-command, imports only that one and runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from replicell import __version__
from replicell.errors import ReplicellError

__all__ = ["build_parser", "main"]

COMMANDS = ("db", "extension", "server", "todo")


class Command(Protocol):
    """What a module in ``replicell.commands`` offers; it imports heavy packages only in ``run``."""

    HELP: str

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None: ...

    @staticmethod
    def run(args: argparse.Namespace) -> int: ...


def load_command(name: str) -> Command:
    return cast(Command, import_module(f"replicell.commands.{name}"))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line, with every sub-command and its help."""
    parser = argparse.ArgumentParser(
        prog="replicell",
        description="Reactive tables that live in memory, rest in SQLite and replicate between machines.",
        epilog="`replicell COMMAND --help` tells what a command takes.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"replicell {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        command = load_command(name)
        sub_parser = commands.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(sub_parser)
        sub_parser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the words after ``replicell``; those of the process when not given.

    Returns:
        0 when all went well, 1 for an error that has been explained on stderr, 130 after Ctrl-C.
        Wrong usage ends in argparse's ``SystemExit(2)``.
    """
    args = build_parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except ReplicellError as error:
        print(f"replicell: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
