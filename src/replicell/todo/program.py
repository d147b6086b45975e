"""The program around the screen: the terminal and the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from replicell.errors import ReplicellError
from replicell.todo.app import TodoApp
from replicell.todo.ending import Ending
from replicell.todo.session import open_session
from replicell.todo.themes import is_dark_terminal

__all__ = ["LogFileError", "NoTerminalError", "run_program"]


class NoTerminalError(ReplicellError):
    """Standard input, output or error is not a terminal."""


class LogFileError(ReplicellError):
    """The file that was to take the log cannot be written."""


def run_program(
    *,
    database: Path,
    server: str | Sequence[str] | None = None,
    token: str | None = None,
    me: str = "",
    name: str = "todo",
    theme: str | None = None,
    log: Path | None = None,
) -> int:
    """Show the todo list in this terminal until the user leaves, and return the exit status.

    Args:
        database: the file that keeps the list.
        server: the room's address, or several; None for a list that stays here.
        token: what the server asks for.
        me: what the others in the room are told to call this user; empty for nothing.
        name: the title.
        theme: ``"dark"`` or ``"light"``; None to go by the terminal.
        log: a file for the log, which would spoil the screen.

    Raises:
        ReplicellError: if there is no terminal, or the database, the address or the log cannot be used.
    """
    # The screen is drawn on standard error.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise NoTerminalError("the todo list needs a terminal; start it without redirecting input or output")
    is_dark = is_dark_terminal() if theme is None else theme == "dark"
    with logging_to(log):
        return asyncio.run(show(database, server, token, me, name, is_dark))


async def show(
    database: Path, server: str | Sequence[str] | None, token: str | None, me: str, name: str, is_dark: bool
) -> int:
    with Ending() as ending:
        async with open_session(database, server, token=token, me=me) as session:
            app = TodoApp(session, name, is_dark=is_dark)
            ending.on_wish(lambda: app.call_later(app.end))
            try:
                if not ending.is_wished:
                    await app.run_async()
            finally:
                app.keep_rest()
            return app.return_code or 0


@contextlib.contextmanager
def logging_to(file: Path | None) -> Iterator[None]:
    """Send all log records and warnings to `file`, or nowhere: never to the terminal."""
    try:
        handler = logging.FileHandler(file) if file else logging.NullHandler()
    except OSError as error:
        raise LogFileError(
            f"cannot write the log to {file}: {error.strerror}; choose another --log"
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    if file:
        root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
