"""What is installed: the release of cr-sqlite, its names on each platform and its fingerprints."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

__all__ = [
    "ENTRY_POINT",
    "NPM_INTEGRITY",
    "NPM_PACKAGE",
    "RELEASES_URL",
    "VERSION",
    "VERSION_NUMBER",
    "Platform",
]

VERSION = "0.16.3"

# What the extension itself writes into crsql_master: two digits each for minor, patch and build.
VERSION_NUMBER = 160300

# SQLite would derive the name from the file's, which is wrong as soon as somebody renames the file.
ENTRY_POINT = "sqlite3_crsqlite_init"

RELEASES_URL = f"https://github.com/vlcn-io/cr-sqlite/releases/download/v{VERSION}"

NPM_PACKAGE = f"@vlcn.io/crsqlite@{VERSION}"
NPM_INTEGRITY = (
    "sha512-1rKylRr2LyW5kwh/a6ZFmvt7kFK+aKLGkz9+O1w9EFVdH11SMUg6MfvxTfoczKCyb3/E5qvdOk2NDW/Zin6OjQ=="
)

_ARCHIVE_SHA256 = {
    "linux-x86_64": "8f6fd31a2be2ba8c3101aad067a504a2e63c8e9b51cc4ace786009c02e7ecbae",
    "linux-aarch64": "c26aac668db9f0c455a37cbfba2ae129a11313a1f5b30b4bdcee69cfa1d1f94a",
}

_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "win"}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win": ".dll"}


@dataclass(frozen=True)
class Platform:
    """A kind of machine, in the words cr-sqlite's releases use.

    Args:
        system: ``linux``, ``darwin``, ``win``, or what Python calls a system without releases.
        machine: ``x86_64``, ``aarch64``, or what the system calls any other processor.

    >>> Platform("linux", "x86_64").archive
    'crsqlite-linux-x86_64.zip'
    >>> Platform("darwin", "aarch64").library
    'crsqlite.dylib'
    """

    system: str
    machine: str

    @classmethod
    def current(cls) -> Platform:
        """Return the platform this Python runs on."""
        machine = platform.machine().lower()
        return cls(_SYSTEMS.get(sys.platform, sys.platform), _MACHINES.get(machine, machine))

    @property
    def name(self) -> str:
        """The short name, which is also the name of the platform's cache folder."""
        return f"{self.system}-{self.machine}"

    @property
    def library(self) -> str:
        """The extension's file name."""
        return "crsqlite" + _SUFFIXES.get(self.system, ".so")

    @property
    def archive(self) -> str:
        """The file name of the prebuilt release archive."""
        return f"crsqlite-{self.name}.zip"

    @property
    def archive_sha256(self) -> str | None:
        """The pinned SHA-256 of the archive in hexadecimal, or None where none is known."""
        return _ARCHIVE_SHA256.get(self.name)
