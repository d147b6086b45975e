"""The ``replicell`` command: it explains itself, and an error is one clear message."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from replicell import __version__, cli
from replicell.errors import ReplicellError


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replicell", *words], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_with_what_it_does() -> None:
    result = run("--help")
    assert result.returncode == 0
    for name in cli.COMMANDS:
        assert re.search(rf"^    {name} +\S+", result.stdout, re.MULTILINE)
        assert cli.load_command(name).HELP[:40] in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert cli.load_command(name).HELP.split()[0] in capsys.readouterr().out


def test_version() -> None:
    assert run("--version").stdout == f"replicell {__version__}\n"


@pytest.mark.parametrize("words", [[], ["serve"], ["server", "--prot", "1"]])
def test_wrong_usage_says_how_it_is_used_and_exits_with_2(words: list[str]) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: replicell")


def test_an_error_of_ours_is_one_message_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ReplicellError("the thing broke the rule; do this next")

    monkeypatch.setattr(cli.load_command("server"), "run", fail)
    assert cli.main(["server"]) == 1
    assert capsys.readouterr().err == "replicell: the thing broke the rule; do this next\n"


def test_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.load_command("server"), "run", interrupt)
    assert cli.main(["server"]) == 130


def test_parsing_the_command_line_imports_no_heavy_package() -> None:
    code = (
        "import sys; from replicell import cli; cli.build_parser(); "
        "heavy = {'apsw', 'websockets', 'textual', 'reactivex'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
