"""The program as a user has it: a process of its own in a terminal."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.todo.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="pseudo-terminals are a thing of POSIX systems"
)

READY = "Quit"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def saved(database: Path) -> list[str]:
    """Return the texts in the file, read by plain SQLite."""
    with closing(sqlite3.connect(database)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM todo ORDER BY created")]


def replicell(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``replicell`` without a terminal."""
    command = [sys.executable, "-m", "replicell", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


class TestEnding:
    def test_q_ends_it_and_the_next_start_shows_the_list(self, database: Path) -> None:
        with Terminal("todo", "--db", database) as terminal:
            terminal.wait_for("What is to be done?")
            terminal.type("Buy milk\r")
            terminal.wait_for("1 open, 0 done")
            terminal.type("\x1b")
            terminal.wait_for(READY)
            terminal.type("q")
            assert terminal.wait_for_end() == 0
        with Terminal("todo", "--db", database) as terminal:
            terminal.wait_for("Buy milk")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_a_signal_loses_nothing_typed_and_a_second_one_cannot_either(
        self, database: Path, number: signal.Signals
    ) -> None:
        with Terminal("todo", "--db", database) as terminal:
            terminal.wait_for("What is to be done?")
            terminal.type("Buy milk\rhalf a todo")
            terminal.wait_for("half a todo")
            terminal.process.send_signal(number)
            terminal.process.send_signal(number)
            assert terminal.wait_for_end() == 0
        assert saved(database) == ["Buy milk", "half a todo"]

    def test_a_window_that_is_closed_loses_nothing_typed(self, database: Path) -> None:
        with Terminal("todo", "--db", database) as terminal:
            terminal.wait_for("What is to be done?")
            terminal.type("Buy milk\rhalf a todo")
            terminal.wait_for("half a todo")
            terminal.hang_up()
            terminal.wait_for_end()
        assert saved(database) == ["Buy milk", "half a todo"]


class TestRefusals:
    """Whatever is wrong is said in one line on standard error, and the exit status is 1."""

    def check(self, terminal: Terminal, *words: str) -> None:
        assert terminal.wait_for_end() == 1
        (line,) = terminal.text.strip().splitlines()
        assert line.startswith("replicell: ")
        assert all(word in line for word in words)

    def test_a_database_that_is_none(self, database: Path) -> None:
        database.write_text("This is a letter to my grandmother, not a database. " * 100)
        with Terminal("todo", "--db", database) as terminal:
            self.check(terminal, "a.db")
        assert database.read_text().startswith("This is a letter")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with Terminal("todo", "--db", tmp_path / "nowhere" / "a.db") as terminal:
            self.check(terminal, "nowhere")

    @pytest.mark.parametrize(
        "url", ["localhost:8040/room", "http://localhost:8040/room", "ws://", "ws://h:x/r", "ws://h:99999/r"]
    )
    def test_an_address_that_is_none(self, database: Path, url: str) -> None:
        with Terminal("todo", "--db", database, "--server", url) as terminal:
            self.check(terminal, url)

    def test_a_log_that_cannot_be_written(self, database: Path, tmp_path: Path) -> None:
        with Terminal("todo", "--db", database, "--log", tmp_path) as terminal:
            self.check(terminal, "--log")

    def test_a_missing_extension(self, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRSQLITE_PATH", str(database.with_name("crsqlite.so")))
        with Terminal("todo", "--db", database) as terminal:
            self.check(terminal, "crsqlite.so")

    def test_no_terminal(self, database: Path) -> None:
        result = replicell("todo", "--db", database)
        assert result.returncode == 1
        assert "needs a terminal" in result.stderr
        assert not database.exists()

    @pytest.mark.parametrize("package", ["textual", "rich"])
    def test_a_missing_package_names_the_command_that_installs_it(
        self, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
    ) -> None:
        hide_package(package, tmp_path, monkeypatch)
        result = replicell("todo", "--db", database)
        assert result.returncode == 1
        assert result.stderr.startswith("replicell: ")
        assert "pip install 'replicell[todo]'" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def hide_package(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import a module of that name that fails as a missing one does."""
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / f"{package}.py").write_text(f'raise ModuleNotFoundError("gone", name={package!r})')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")]))


def test_the_log_goes_to_its_file_and_not_to_the_screen(database: Path, tmp_path: Path) -> None:
    log = tmp_path / "todo.log"
    with Terminal("todo", "--db", database, "--server", "ws://127.0.0.1:9/room", "--log", log) as terminal:
        terminal.wait_for("offline")
        terminal.type("\x03")
        assert terminal.wait_for_end() == 0
        assert "WARNING" not in terminal.text
        assert "replicell.sync" not in terminal.text
    assert "replicell." in log.read_text()


@pytest.mark.parametrize("command", [["--help"], ["todo", "--help"]])
def test_help_says_what_it_is_for(command: list[str]) -> None:
    result = replicell(*command)
    assert result.returncode == 0
    assert "todo list" in result.stdout
