"""The machine's own tools: found, or named with how to get them; run with progress and a log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension.tools import ToolRunner, find_tools, require_rust
from replicell.persisters.errors import SourceBuildError, ToolMissingError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder with cargo, npm and cc in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cargo", "npm", "cc"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def test_all_three_tools_are_found_on_path(programs: Path) -> None:
    tools = find_tools()
    assert tools.cargo == str(programs / "cargo")
    assert tools.compiler == (str(programs / "cc"),)
    assert tools.npm == str(programs / "npm")


@pytest.mark.parametrize(
    ("name", "how_to_get"),
    [
        ("cargo", "install Rust from rustup.rs"),
        ("cc", "apt install build-essential"),
        ("npm", "comes with Node.js"),
    ],
)
def test_a_missing_tool_is_named_in_one_line_with_how_to_get_it(
    programs: Path, name: str, how_to_get: str
) -> None:
    (programs / name).unlink()
    with pytest.raises(ToolMissingError) as caught:
        find_tools()
    message = str(caught.value)
    assert how_to_get in message
    assert "replicell extension install" in message
    assert "\n" not in message


def test_all_missing_tools_are_named_at_once(programs: Path) -> None:
    for file in programs.iterdir():
        file.unlink()
    with pytest.raises(ToolMissingError, match=r"cargo \(.*a C compiler \(.*npm \("):
        find_tools()


def test_cc_may_name_a_compiler_with_arguments(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs / "mycc").write_text("#!/bin/sh\n")
    (programs / "mycc").chmod(0o755)
    monkeypatch.setenv("CC", "mycc -m64")
    assert find_tools().compiler == ("mycc", "-m64")


def test_cc_that_names_nothing_counts_as_missing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ToolMissingError, match="a C compiler"):
        find_tools()


@pytest.mark.parametrize("said", ["rustc 1.75.0 (82e1608df)", "rustc 1.95.0-nightly (x)", "rustc 2.0.0"])
def test_rust_from_1_75_on_will_do(said: str) -> None:
    assert require_rust(said) == said.split()[1]


@pytest.mark.parametrize("said", ["rustc 1.63.0 (Debian)", "", "error: no toolchain"])
def test_older_rust_is_refused_with_how_to_update(said: str) -> None:
    with pytest.raises(ToolMissingError, match="rustup update stable"):
        require_rust(said)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def runner(tmp_path: Path, lines: list[str]) -> ToolRunner:
    return ToolRunner(tmp_path / "build.log", lines.append, interval=0.05)


def run(runner: ToolRunner, program: str, *, time_limit: float = 30.0) -> str:
    return runner.run(
        "working", python(program), folder=runner.log.parent, environment=os.environ, time_limit=time_limit
    )


def test_what_a_tool_says_is_returned_and_logged_with_its_command(runner: ToolRunner) -> None:
    said = run(runner, "import sys; print('out'); print('err', file=sys.stderr)")
    assert sorted(said.split()) == ["err", "out"]
    log = runner.log.read_text()
    assert "import sys" in log
    assert "out\n" in log
    assert "err\n" in log


def test_a_tool_at_work_gives_signs_of_life_with_its_last_line(runner: ToolRunner, lines: list[str]) -> None:
    # The tool ends when it finds the file that a sign of life with its first line has made.
    file = runner.log.parent / "go"
    program = (
        "import os, threading\n"
        "print('step one', flush=True)\n"
        f"while not os.path.exists({str(file)!r}): threading.Event().wait(0.01)"
    )

    def report(line: str) -> None:
        lines.append(line)
        if line.endswith(" s, step one"):
            file.touch()

    run(ToolRunner(runner.log, report, interval=0.05), program)
    assert lines[0] == "working"
    assert lines[-1].startswith("working: ")
    assert file.exists()


def test_a_failing_tool_is_reported_with_its_last_lines_the_log_and_the_next_step(runner: ToolRunner) -> None:
    with pytest.raises(SourceBuildError) as caught:
        run(runner, "for i in range(100): print(f'line {i}')\nraise SystemExit(3)")
    message = str(caught.value)
    assert "working failed" in message
    assert "status 3" in message
    assert "line 99" in message
    assert "line 50" not in message
    assert str(runner.log) in message
    assert message.endswith("or set CRSQLITE_PATH to a cr-sqlite library you have.")


def test_a_tool_that_takes_too_long_is_ended_with_its_children(runner: ToolRunner) -> None:
    # The child keeps the pipe open; were it not ended as well, this would wait for it for ever.
    program = (
        "import subprocess, sys, threading\n"
        "subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
        "threading.Event().wait()"
    )
    with pytest.raises(SourceBuildError, match=r"ended after 0\.5 seconds"):
        run(runner, program, time_limit=0.5)


def test_a_tool_that_cannot_be_run_is_reported(runner: ToolRunner, tmp_path: Path) -> None:
    with pytest.raises(SourceBuildError, match="cannot be run"):
        runner.run("working", [str(tmp_path / "none")], folder=tmp_path, environment={})
