"""Proof that a library is a working cr-sqlite."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension import check, probe
from replicell.persisters.crsqlite.extension.check import check_extension
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT
from replicell.persisters.errors import ExtensionCheckError, ExtensionNotFoundError


@pytest.fixture
def probe_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes the place of the one that loads the library."""
    program = tmp_path / "program.py"
    monkeypatch.setattr(check, "_PROGRAM", program)
    return program


def test_the_extension_of_this_machine_merges_between_two_databases(library: Path) -> None:
    report = check_extension(library)
    assert report.version == 160300
    assert report.keys > 400
    assert report.sqlite.startswith("3.")


def test_a_library_under_another_name_is_loaded_all_the_same(library: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "my-own build.lib"
    renamed.write_bytes(library.read_bytes())
    assert check_extension(renamed).version == 160300


def test_the_keys_cover_the_boundaries_as_numbers_and_as_lengths() -> None:
    keys = set(probe._boundary_keys())
    lengths = {len(key) for key in keys if isinstance(key, str)}
    boundaries = {*range(127, 257), 32767, 32768, 65535, 65536}
    assert boundaries <= keys
    assert boundaries <= lengths


def test_a_key_that_does_not_arrive_is_named(library: Path) -> None:
    first, second = (probe._open(str(library), ENTRY_POINT) for _ in range(2))
    try:
        second.execute("CREATE TRIGGER lose AFTER INSERT ON item BEGIN DELETE FROM item WHERE id = 200; END")
        problem = probe._check_boundary_keys(first, second)
    finally:
        probe._close(first)
        probe._close(second)
    assert problem is not None
    assert "primary keys at byte boundaries were not the same after a merge, the first is 200" in problem


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ExtensionNotFoundError, match="There is no file"):
        check_extension(tmp_path / "nothing.so")


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "crsqlite.so"
    file.write_text("not a library")
    with pytest.raises(ExtensionCheckError, match="could not be loaded") as caught:
        check_extension(file)
    assert "replicell extension install --force" in str(caught.value)
    assert "crsqlite.so.so" not in str(caught.value)


def test_a_bad_library_that_the_environment_names_is_not_mended_by_installing_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "crsqlite.so"
    file.write_text("not a library")
    monkeypatch.setenv("CRSQLITE_PATH", str(file))
    with pytest.raises(ExtensionCheckError, match="let CRSQLITE_PATH name another, or unset it"):
        check_extension(file)


def test_a_library_of_another_kind_is_refused() -> None:
    module = importlib.util.find_spec("msgspec._core")
    assert module is not None and module.origin is not None
    with pytest.raises(ExtensionCheckError, match="could not be loaded"):
        check_extension(Path(module.origin))


def test_a_library_that_ends_its_process_is_refused_and_this_process_lives(
    library: Path, probe_program: Path
) -> None:
    probe_program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    with pytest.raises(ExtensionCheckError, match="ended the process that loaded it with SIGILL"):
        check_extension(library)


def test_a_library_that_hangs_is_refused_in_time(library: Path, probe_program: Path) -> None:
    probe_program.write_text("import threading\nthreading.Event().wait()\n")
    with pytest.raises(ExtensionCheckError, match=r"did not answer within 0\.5 seconds"):
        check_extension(library, timeout=0.5)


def test_what_a_failing_process_said_last_is_passed_on(library: Path, probe_program: Path) -> None:
    probe_program.write_text("raise ModuleNotFoundError('no apsw here')\n")
    with pytest.raises(ExtensionCheckError, match=r"status 1 \(ModuleNotFoundError: no apsw here\)"):
        check_extension(library)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('{"version": 150100, "sqlite": "3.50.0", "keys": 9}', r"version 150100, and replicell needs 160300"),
        ('{"error": "two edits of one row did not merge"}', "two edits of one row did not merge"),
        ('{"version": null, "sqlite": "3.50.0", "keys": 9}', "it is not cr-sqlite"),
        ("hello", "it is not cr-sqlite"),
    ],
)
def test_wrong_answers_are_refused(library: Path, probe_program: Path, answer: str, message: str) -> None:
    probe_program.write_text(f"print({answer!r})\n")
    with pytest.raises(ExtensionCheckError, match=message):
        check_extension(library)
