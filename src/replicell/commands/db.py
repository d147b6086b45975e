"""``replicell db``: look into database files, copy and compare them, and exchange their rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from replicell.commands.progress import progress_bar

if TYPE_CHECKING:
    from replicell.persisters.crsqlite.tools.difference import Difference
    from replicell.persisters.crsqlite.tools.info import DatabaseInfo

__all__ = ["HELP", "add_arguments", "run"]

HELP = "look into database files, copy and compare them, exchange their rows"

_DIFFERENT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options.

    Args:
        parser: the parser of ``replicell db``.
    """
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="print tables, sizes, site id, versions and epochs")
    info.add_argument("file", type=Path, metavar="FILE", help="the database")
    _add_dump(actions.add_parser("dump", help="write tables as JSON, or one table as CSV"))
    _add_load(actions.add_parser("load", help="write rows from JSON or CSV to a replica"))
    diff = actions.add_parser(
        "diff", help="print what two databases hold differently; the exit status is 1 if they do"
    )
    diff.add_argument("file", type=Path, metavar="FILE", help="one database")
    diff.add_argument("other", type=Path, metavar="OTHER", help="the other")
    backup = actions.add_parser("backup", help="copy a database while others use it, as a new replica")
    backup.add_argument("file", type=Path, metavar="FILE", help="the database")
    backup.add_argument("target", type=Path, metavar="TARGET", help="the copy, which must not exist")
    backup.add_argument(
        "--keep-identity",
        action="store_true",
        help="keep the site id, for a copy that replaces a lost original, never beside it",
    )


def _add_dump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the database")
    parser.add_argument("--format", choices=("json", "csv"), help="json unless --output ends with .csv")
    parser.add_argument(
        "--table", action="append", default=[], metavar="NAME", help="only this table; may be repeated"
    )
    parser.add_argument("--output", "-o", type=Path, metavar="OUT", help="a file instead of the terminal")


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the database; created if it is not there")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the rows; - for standard input")
    parser.add_argument("--format", choices=("json", "csv"), help="json unless SOURCE ends with .csv")
    parser.add_argument("--table", metavar="NAME", help="the table of a CSV file; its name without .csv")
    parser.add_argument(
        "--key", action="append", default=[], metavar="COLUMN", help="key column of CSV; the first column"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked for.

    Args:
        args: what ``add_arguments`` declared.

    Returns:
        0, or 1 if ``diff`` found differences. What goes wrong is raised as a PersisterError, for the command
        line to explain.
    """
    actions = {"info": _info, "dump": _dump, "load": _load, "diff": _diff, "backup": _backup}
    return actions[args.action](args)


def _info(args: argparse.Namespace) -> int:
    from replicell.persisters.crsqlite.tools.info import database_info

    for line in _info_lines(database_info(args.file)):
        print(line)
    return 0


def _info_lines(info: DatabaseInfo) -> Iterator[str]:
    yield f"file     {info.path}, {_size(info.bytes)}"
    if info.site_id is None:
        yield "replica  no: an ordinary SQLite file"
    else:
        yield f"site id  {info.site_id}"
        yield f"version  {info.version}, written by {info.authors} replica{'s' * (info.authors != 1)}"
    for number, epoch in enumerate(info.epochs):
        yield f"{'epochs' if not number else '':8} {epoch.id} from version {epoch.start}"
    if not info.tables:
        yield "tables   none"
        return
    yield ""
    width = max(len("table"), *(len(table.name) for table in info.tables))
    yield f"{'table':{width}}  {'rows':>10}  {'columns':>7}  {'size':>9}  {'history':>9}  {'version':>8}"
    for table in info.tables:
        version = "-" if table.version is None else str(table.version)
        history = "-" if table.version is None else _size(table.history_bytes)
        yield (
            f"{table.name:{width}}  {table.rows:>10}  {table.columns:>7}  {_size(table.bytes):>9}  "
            f"{history:>9}  {version:>8}"
        )


def _dump(args: argparse.Namespace) -> int:
    from replicell.persisters.crsqlite.tools.exchange import dump_csv, dump_json
    from replicell.persisters.errors import SchemaError

    is_quiet = args.output is not None or not sys.stdout.isatty()
    with _writing(args.output) as out, progress_bar("dumping", "rows", is_wanted=is_quiet) as report:
        if _format(args.format, args.output) == "json":
            rows = dump_json(args.file, args.table, out, report)
        elif len(args.table) > 1:
            raise SchemaError("CSV holds one table: give --table once, or --format json.")
        else:
            rows = dump_csv(args.file, args.table[0] if args.table else None, out, report)
    if args.output is not None:
        print(f"{rows} row{'s' * (rows != 1)} written to {args.output}")
    return 0


def _load(args: argparse.Namespace) -> int:
    from replicell.persisters.crsqlite.tools.exchange import load_rows, read_csv, read_json

    with _source(args.source) as source:
        if _format(args.format, args.source) == "json":
            tables = read_json(source, str(args.source))
        else:
            table = args.table or args.source.stem
            tables = [read_csv(source, str(args.source), table, args.key)]
    with progress_bar("loading", "rows") as report:
        rows = load_rows(args.file, tables, report)
    names = ", ".join(table.table for table in tables)
    print(f"{rows} row{'s' * (rows != 1)} loaded into {args.file}: {names or 'no tables'}")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from replicell.persisters.crsqlite.tools.difference import differences

    status = 0
    for difference in differences(args.file, args.other):
        print(_difference_line(difference))
        status = _DIFFERENT
    return status


def _difference_line(difference: Difference) -> str:
    if difference.key is None:
        if isinstance(difference.one, bool):
            return f"{'-' if difference.one else '+'} table {difference.table}"
        return f"~ table {difference.table}: {difference.one} / {difference.other}"
    place = f"{difference.table} {', '.join(map(repr, difference.key))}"
    if difference.column is None:
        return f"{'-' if difference.one else '+'} {place}"
    return f"~ {place} {difference.column}: {_cell(difference.one)} / {_cell(difference.other)}"


def _cell(value: object) -> str:
    from replicell.persisters.crsqlite.tools.text_forms import field_of

    return field_of(value) or "nothing"


def _backup(args: argparse.Namespace) -> int:
    from replicell.persisters.crsqlite.tools.backup import back_up

    with progress_bar("copying", "bytes") as report:
        site_id = back_up(args.file, args.target, keep_identity=args.keep_identity, report=report)
    print(f"{args.file} copied to {args.target}, {_size(args.target.stat().st_size)}")
    if site_id is not None:
        print(f"site id  {site_id}{' (as before)' if args.keep_identity else ' (new: it may join the room)'}")
    return 0


def _format(chosen: str | None, file: Path | None) -> str:
    return chosen or ("csv" if file is not None and file.suffix.lower() == ".csv" else "json")


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    from replicell.persisters.errors import FileAccessError

    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise FileAccessError(f"{output} cannot be written: {error.strerror}.") from error
    with file:
        yield file


@contextmanager
def _source(source: Path) -> Iterator[TextIO]:
    from replicell.persisters.errors import ContentFormatError, FileAccessError

    try:
        if str(source) == "-":
            yield sys.stdin
            return
        try:
            file = source.open(encoding="utf-8", newline="")
        except OSError as error:
            raise FileAccessError(f"{source} cannot be read: {error.strerror}.") from error
        with file:
            yield file
    except UnicodeDecodeError as error:
        raise ContentFormatError(f"{source} is not UTF-8: {error}.") from error


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
