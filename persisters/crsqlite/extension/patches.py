"""What has to be changed in cr-sqlite's source so that today's stable Rust builds it right."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from replicell.persisters.errors import SourceBuildError

__all__ = [
    "DEBIAN_PATCHES",
    "SOURCE_PATCHES",
    "Patch",
    "apply_patches",
    "drop_lock_files",
    "free_toolchain",
    "require_safe_bytes",
    "require_safe_lock",
]

# From 1.7.2 on, bytes::Buf::get_int extends the sign, and primary keys such as 200 are decoded wrongly.
_UNSAFE_BYTES = (1, 7, 2)


@dataclass(frozen=True)
class Patch:
    """One change of one file.

    Args:
        file: the file's path inside the package.
        old: the text to replace.
        new: what takes its place.
        count: how often the old text has to occur for the source to be the one that is expected.
    """

    file: str
    old: str
    new: str
    count: int = 1


SOURCE_PATCHES = (
    # The feature is unused, and Rust 1.90 dropped it.
    Patch("rs/sqlite-rs-embedded/sqlite3_capi/src/lib.rs", "#![feature(concat_idents)]\n", ""),
    # The text goes to C, which reads on to the next NUL: crsql_as_crr then fails with "out of memory".
    Patch("rs/core/src/lib.rs", '("main", args[0].text())', '("main\\0", args[0].text())', 3),
)

# Debian bookworm's crates are somewhat older than what the package asks for. Its bindgen takes C's types
# from std unless it is told otherwise, and only its feature "runtime" is needed here.
DEBIAN_PATCHES = (
    Patch(
        "rs/sqlite-rs-embedded/sqlite3_capi/Cargo.toml",
        'bindgen = "0.68.1"',
        'bindgen = { version = ">=0.60", default-features = false, features = ["runtime"] }',
    ),
    Patch(
        "rs/sqlite-rs-embedded/sqlite3_capi/build.rs",
        ".use_core()",
        '.use_core()\n        .ctypes_prefix("::core::ffi")',
    ),
    Patch("rs/core/Cargo.toml", 'bytes = { version = "1.5"', 'bytes = { version = ">=1.2, <1.7.2"'),
    *(
        patch
        for file in ("rs/core/Cargo.toml", "rs/sqlite-rs-embedded/sqlite_nostd/Cargo.toml")
        for patch in (
            Patch(file, 'num-traits = { version = "0.2.17"', 'num-traits = { version = ">=0.2.15"'),
            Patch(file, 'num-derive = "0.4.1"', 'num-derive = ">=0.3"'),
        )
    ),
)


def apply_patches(package: Path, patches: Iterable[Patch]) -> None:
    """Change the source, or say clearly that it is not the source that was expected.

    Args:
        package: the unpacked source package.
        patches: the changes, each of which has to find its text exactly as often as it says.

    Raises:
        SourceBuildError: a file is missing or its text is another.
    """
    for patch in patches:
        file = package / patch.file
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise _unexpected(f"{patch.file} is missing") from None
        if (found := text.count(patch.old)) != patch.count:
            raise _unexpected(
                f"{patch.file} has {patch.old!r} {found} times where {patch.count} were expected"
            )
        file.write_text(text.replace(patch.old, patch.new), encoding="utf-8")


def free_toolchain(package: Path) -> None:
    """Remove the files that pin an old nightly toolchain, and what earlier builds left in the package.

    Raises:
        SourceBuildError: there are no such files.
    """
    pinned = list(package.rglob("rust-toolchain*"))
    if not pinned:
        raise _unexpected("no rust-toolchain file is in it")
    for file in pinned:
        file.unlink()
    for leftover in list(package.glob("rs/*/target")):
        shutil.rmtree(leftover)


def require_safe_lock(lock_file: Path) -> None:
    """Check that a Cargo.lock holds a version of the crate bytes that decodes primary keys rightly.

    Raises:
        SourceBuildError: there is no such file, no such crate in it, or a version that must not be used.
    """
    try:
        locked = tomllib.loads(lock_file.read_text(encoding="utf-8"))
        versions = [crate["version"] for crate in locked["package"] if crate["name"] == "bytes"]
    except (FileNotFoundError, tomllib.TOMLDecodeError, KeyError) as error:
        raise _unexpected(f"{lock_file.name} cannot be read ({error})") from error
    if not versions:
        raise _unexpected(f"{lock_file.name} does not name the crate bytes")
    for version in versions:
        require_safe_bytes(version)


def require_safe_bytes(version: str) -> None:
    """Check one version of the crate bytes.

    Raises:
        SourceBuildError: it is 1.7.2 or later.

    >>> require_safe_bytes("1.5.0")
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers >= _UNSAFE_BYTES:
        raise SourceBuildError(
            f"The crate bytes {version} would decode primary keys wrongly: cr-sqlite needs one before 1.7.2. "
            "Use the crates that the package's own Cargo.lock names."
        )


def drop_lock_files(package: Path) -> None:
    """Remove every Cargo.lock, so that cargo may take the versions that are there."""
    for lock_file in package.rglob("Cargo.lock"):
        lock_file.unlink()


def _unexpected(what: str) -> SourceBuildError:
    return SourceBuildError(
        f"The source package is not the cr-sqlite that was expected: {what}. "
        "Set CRSQLITE_PATH to a cr-sqlite library you have, or report this to replicell."
    )
