"""Platforms in the words of cr-sqlite's releases."""

from __future__ import annotations

import re

import pytest

from replicell.persisters.crsqlite.extension.release import Platform


@pytest.mark.parametrize(
    ("platform", "archive", "library"),
    [
        (Platform("linux", "x86_64"), "crsqlite-linux-x86_64.zip", "crsqlite.so"),
        (Platform("darwin", "aarch64"), "crsqlite-darwin-aarch64.zip", "crsqlite.dylib"),
        (Platform("win", "x86_64"), "crsqlite-win-x86_64.zip", "crsqlite.dll"),
        (Platform("freebsd14", "riscv64"), "crsqlite-freebsd14-riscv64.zip", "crsqlite.so"),
    ],
)
def test_archive_and_library_are_named_as_in_the_releases(
    platform: Platform, archive: str, library: str
) -> None:
    assert (platform.archive, platform.library) == (archive, library)


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "linux-x86_64"),
        ("win32", "AMD64", "win-x86_64"),
        ("darwin", "arm64", "darwin-aarch64"),
        ("linux", "riscv64", "linux-riscv64"),
    ],
)
def test_the_current_platform_is_translated_from_pythons_words(
    system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert Platform.current().name == name


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_linux_archives_have_a_pinned_checksum(machine: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", Platform("linux", machine).archive_sha256 or "")


@pytest.mark.parametrize("system", ["darwin", "win"])
def test_other_archives_have_none(system: str) -> None:
    assert Platform(system, "x86_64").archive_sha256 is None
