"""Find libclang, which reads SQLite's header for the Rust part, or get it from PyPI."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from replicell.persisters.crsqlite.extension.tools import ToolRunner
from replicell.persisters.errors import SourceBuildError, ToolMissingError

__all__ = ["find_libclang", "system_libclang"]

_PYPI_PACKAGE = "libclang==18.1.1"

_SYSTEM_FOLDERS = (
    "/usr/lib/llvm-*/lib",
    "/usr/lib/*-linux-gnu*",
    "/usr/lib64",
    "/usr/lib64/llvm*/lib",
    "/usr/lib",
    "/usr/lib/llvm*/lib",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
    "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
)

# libclang-cpp is another library, which the same places often have alone.
_LIBRARY_NAME = re.compile(r"libclang(-\d[\d.]*)?\.(so(\.\d+)*|dylib)")


def find_libclang(runner: ToolRunner, folder: Path) -> Path:
    """Return the folder that has a libclang.

    The places, in this order: ``LIBCLANG_PATH``, the system's folders, this Python's packages, and last a
    private copy of the PyPI package ``libclang``.

    Args:
        runner: runs pip.
        folder: where the private copy goes.

    Raises:
        ToolMissingError: there is none and PyPI's could not be had.
    """
    if chosen := os.environ.get("LIBCLANG_PATH"):
        path = Path(chosen)
        return path.parent if path.is_file() else path
    return system_libclang(_SYSTEM_FOLDERS) or _packaged_libclang() or _download(runner, folder)


def system_libclang(patterns: Iterable[str]) -> Path | None:
    """Return the first folder with a libclang, the newest version first where a pattern fits several.

    Args:
        patterns: absolute folders, with wildcards.
    """
    for pattern in patterns:
        root = Path(Path(pattern).anchor)
        matching = root.glob(str(Path(pattern).relative_to(root)))
        for folder in sorted(matching, key=_numbers, reverse=True):
            if folder.is_dir() and any(_LIBRARY_NAME.fullmatch(file.name) for file in folder.iterdir()):
                return folder
    return None


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _packaged_libclang() -> Path | None:
    try:
        package = importlib.util.find_spec("clang.native")
    except ModuleNotFoundError:
        return None
    locations = package.submodule_search_locations if package else None
    return system_libclang(locations or ())


def _download(runner: ToolRunner, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is not None:
        installer = [sys.executable, "-m", "pip", "install", "--quiet", "--retries=1"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise _not_found("this Python has no pip to get it from PyPI with")
    command = [*installer, "--no-deps", "--target", str(folder), _PYPI_PACKAGE]
    try:
        runner.run(
            "getting libclang from PyPI",
            command,
            folder=folder.parent,
            environment=os.environ,
            time_limit=300,
        )
    except SourceBuildError as error:
        raise _not_found(f"PyPI's could not be had either (see {runner.log})") from error
    native = folder / "clang" / "native"
    if system_libclang([str(native)]) is None:
        raise _not_found("PyPI's package did not hold it")
    return native


def _not_found(reason: str) -> ToolMissingError:
    return ToolMissingError(
        f"Building cr-sqlite from source needs libclang, and {reason}: install it "
        "(apt install libclang-dev, dnf install clang-libs, brew install llvm, or pip install libclang) "
        "and run `replicell extension install` again."
    )
