"""A few lines of cr-sqlite's source package: those that the build looks for and changes."""

from __future__ import annotations

import base64
import hashlib
import tarfile
from pathlib import Path

_FILES = {
    "rs/bundle_static/Cargo.toml": '[package]\nname = "crsql_bundle_static"\n',
    "rs/bundle_static/Cargo.lock": 'version = 3\n\n[[package]]\nname = "bytes"\nversion = "1.5.0"\n',
    "rs/bundle_static/rust-toolchain.toml": '[toolchain]\nchannel = "nightly-2023-10-05"\n',
    "rs/core/Cargo.toml": (
        "[dependencies]\n"
        'bytes = { version = "1.5", default-features = false }\n'
        'num-traits = { version = "0.2.17", default-features = false }\n'
        'num-derive = "0.4.1"\n'
    ),
    "rs/core/rust-toolchain.toml": '[toolchain]\nchannel = "nightly-2023-10-05"\n',
    "rs/core/src/lib.rs": '        ("main", args[0].text())\n' * 3,
    "rs/sqlite-rs-embedded/sqlite3_capi/Cargo.toml": '[build-dependencies]\nbindgen = "0.68.1"\n',
    "rs/sqlite-rs-embedded/sqlite3_capi/build.rs": "        .use_core()\n        .generate()\n",
    "rs/sqlite-rs-embedded/sqlite3_capi/src/lib.rs": (
        "#![no_std]\n#![allow(non_camel_case_types)]\n#![feature(concat_idents)]\n\npub mod bindings {}\n"
    ),
    "rs/sqlite-rs-embedded/sqlite_nostd/Cargo.toml": (
        "[dependencies]\n"
        'num-traits = { version = "0.2.17", default-features = false }\n'
        'num-derive = "0.4.1"\n'
    ),
}


def write_small_package(folder: Path) -> None:
    """Write the package's files below a folder."""
    for name, text in _FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def pack_small_package(folder: Path) -> tuple[Path, str]:
    """Return the package as npm packs it, and its integrity as npm writes it."""
    write_small_package(folder / "package")
    archive = folder / "small.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "package", "package")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    return archive, f"sha512-{digest}"
