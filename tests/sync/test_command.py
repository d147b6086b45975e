"""``replicell server``: its options and what it makes of them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from replicell.commands import server as command


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_without_options_it_listens_on_this_machine_only() -> None:
    options = parsed()

    assert (options.host, options.port, options.data_dir, options.schema) == (
        "127.0.0.1",
        8040,
        "rooms",
        "auto",
    )
    assert options.token == options.read_only_token == options.origin == []


def test_tokens_and_origins_may_be_given_several_times() -> None:
    options = parsed("--token", "a", "--token", "b", "--read-only-token", "c", "--origin", "*")

    assert (options.token, options.read_only_token, options.origin) == (["a", "b"], ["c"], ["*"])


@pytest.mark.parametrize("words", [["--schema", "maybe"], ["--port", "x"], ["--log-level", "loud"]])
def test_wrong_options_are_explained_by_the_parser(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert words[0] in capsys.readouterr().err


def test_an_address_that_is_taken_is_an_error_of_ours(tmp_path: Path) -> None:
    from socket import socket

    from replicell.sync.errors import SyncError

    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SyncError, match="cannot serve"):
            command.run(parsed("--port", port, "--data-dir", str(tmp_path), "--log-level", "error"))
