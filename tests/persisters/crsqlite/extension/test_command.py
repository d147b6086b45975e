"""``replicell extension`` as its user sees it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from replicell.commands import extension as command
from replicell.persisters.crsqlite.extension import extension_path
from replicell.persisters.errors import ExtensionNotFoundError
from tests.persisters.crsqlite.extension.conftest import ReleaseServer, sha256

pytestmark = pytest.mark.usefixtures("cache")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words))


def test_install_says_what_it_took_on_stdout_and_its_progress_on_stderr(
    server: ReleaseServer, archive: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve(archive)
    monkeypatch.setenv("CRSQLITE_RELEASES_URL", server.url)
    assert run("install", "--prebuilt-only", "--sha256", sha256(archive)) == 0
    output = capsys.readouterr()
    assert output.out.startswith("cr-sqlite installed, from the source 'prebuilt release' (http://127.0.0.1")
    assert output.out.splitlines()[1] == str(extension_path())
    assert "  downloading http://127.0.0.1" in output.err


def test_a_second_install_says_that_it_is_there(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--path", str(library))
    capsys.readouterr()
    assert run("install") == 0
    output = capsys.readouterr()
    assert output.out.startswith("cr-sqlite already there, from the source 'given file'")
    assert output.err == ""


def test_path_prints_the_path_alone(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--path", str(library))
    capsys.readouterr()
    assert run("path") == 0
    assert capsys.readouterr().out == f"{extension_path()}\n"


def test_check_says_what_was_proved(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--path", str(library))
    capsys.readouterr()
    assert run("check") == 0
    output = capsys.readouterr().out
    assert str(extension_path()) in output
    assert "cr-sqlite 0.16.3 (says 160300) in SQLite 3." in output
    assert "two databases merged" in output


@pytest.mark.parametrize("action", ["path", "check"])
def test_without_an_extension_the_error_says_what_to_do(action: str) -> None:
    with pytest.raises(ExtensionNotFoundError, match="run `replicell extension install`"):
        run(action)


@pytest.mark.parametrize(
    "words", [[], ["remove"], ["install", "--from-source", "--prebuilt-only"], ["install", "--path"]]
)
def test_wrong_usage_ends_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_installed_program_explains_errors_in_one_message_without_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "CRSQLITE_PATH": str(tmp_path / "nothing.so")}
    process = subprocess.run(
        [sys.executable, "-m", "replicell", "extension", "check"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("replicell: CRSQLITE_PATH says the cr-sqlite extension is ")
    assert len(process.stderr.splitlines()) == 1
