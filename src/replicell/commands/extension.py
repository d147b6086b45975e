"""``replicell extension``: install the cr-sqlite extension, say where it is, prove that it works."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["HELP", "add_arguments", "run"]

HELP = "install, find and check the cr-sqlite extension"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options.

    Args:
        parser: the parser of ``replicell extension``.
    """
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_install(actions.add_parser("install", help="make the extension available on this machine"))
    actions.add_parser("path", help="print where the extension is")
    actions.add_parser("check", help="load the extension and merge between two databases with it")


def _add_install(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take the extension from CRSQLITE_PATH, from the cache, from the official prebuilt release "
        "(compared with its pinned SHA-256) or from a source build (with cargo, a C compiler and npm), "
        "whichever has it first."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--path", type=Path, metavar="FILE", help="check this library and keep a copy of it")
    source.add_argument(
        "--from-source", action="store_true", help="build it, do not download a prebuilt library"
    )
    source.add_argument("--prebuilt-only", action="store_true", help="fail rather than build it")
    parser.add_argument(
        "--sha256",
        metavar="DIGEST",
        help="the SHA-256 the release archive must have, where none is pinned (or CRSQLITE_SHA256)",
    )
    parser.add_argument("--force", action="store_true", help="get it anew although it is installed")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; progress goes to stderr, the answer to stdout.

    Args:
        args: what ``add_arguments`` declared.

    Returns:
        0. What goes wrong is raised as an ExtensionError, for the command line to explain.
    """
    actions = {"install": _install, "path": _print_path, "check": _check}
    actions[args.action](args)
    return 0


def _install(args: argparse.Namespace) -> None:
    from replicell.persisters.crsqlite.extension import InstallOptions, install

    options = InstallOptions(
        path=args.path,
        from_source=args.from_source,
        prebuilt_only=args.prebuilt_only,
        sha256=args.sha256,
        force=args.force,
    )
    installation = install(options, report=_report)
    state = "installed" if installation.fresh else "already there"
    print(f"cr-sqlite {state}, from the source {installation.source!r} ({installation.detail})")
    print(installation.path)


def _print_path(args: argparse.Namespace) -> None:
    from replicell.persisters.crsqlite.extension import extension_path

    print(extension_path())


def _check(args: argparse.Namespace) -> None:
    from replicell.persisters.crsqlite.extension import VERSION, check_extension, extension_path

    path = extension_path()
    found = check_extension(path)
    print(path)
    print(f"cr-sqlite {VERSION} (says {found.version}) in SQLite {found.sqlite}")
    print(f"two databases merged; {found.keys} primary keys at byte boundaries arrived unharmed")


def _report(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)
