"""``replicell server``: its options and what it makes of them."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from replicell.commands import access_options
from replicell.commands import server as command
from replicell.commands.server_settings import resolve
from replicell.sync import JwtTokens, Limits, Request
from replicell.sync.errors import SyncError


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def parsed(*words: str) -> argparse.Namespace:
    return resolve(given(*words), {})


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

    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SyncError, match="cannot serve"):
            command.run(given("--port", port, "--data-dir", str(tmp_path), "--log-level", "error"))


def test_limits_that_are_not_given_are_the_usual_ones() -> None:
    assert access_options.limits(parsed()) == Limits()


def test_each_limit_has_an_option() -> None:
    names = {field.name for field in fields(Limits)} - {"message_bytes", "hook_seconds"}
    words = [word for name in names for word in (f"--limit-{name.replace('_', '-')}", "7")]

    limits = access_options.limits(parsed(*words, "--max-message-size", "200000"))

    assert {getattr(limits, name) for name in names} == {7}
    assert limits.message_bytes == 200_000


def test_a_limit_can_be_lifted() -> None:
    assert access_options.limits(parsed("--limit-connections", "none")).connections is None


@pytest.mark.parametrize("word", ["many", "1.5"])
def test_a_limit_that_is_no_number_is_explained_by_the_parser(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--limit-connections", word)
    assert (
        f"--limit-connections: a whole number, or none for no limit, not '{word}'" in capsys.readouterr().err
    )


def test_a_limit_that_makes_no_sense_is_an_error_of_ours() -> None:
    with pytest.raises(SyncError, match="rooms is a number above 0"):
        access_options.limits(parsed("--limit-rooms", "0"))


async def test_json_web_tokens_are_read_with_the_key_of_a_file(tmp_path: Path) -> None:
    import time

    import jwt

    secret = "a secret of thirty-two characters"
    (tmp_path / "key").write_text(f"{secret}\n")
    hook = access_options.authenticate(
        parsed("--jwt-key", str(tmp_path / "key"), "--jwt-algorithm", "HS256", "--jwt-audience", "todo")
    )
    assert isinstance(hook, JwtTokens)
    token = jwt.encode(
        {"exp": time.time() + 60, "aud": "todo", "sub": "anna", "rooms": ["*"]}, secret, "HS256"
    )

    identity = await hook(Request(room="any", token=token))

    assert identity is not None
    assert (identity.name, identity.right("any")) == ("anna", "write")
    assert access_options.authenticate(parsed()) is None


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--jwt-key", "missing", "--jwt-algorithm", "HS256"], "key missing cannot be read"),
        (["--jwt-key-set", "missing", "--jwt-algorithm", "ES256"], "key set missing cannot be read"),
        (["--jwt-key-set", "missing"], "algorithms are some of"),
        (["--jwt-algorithm", "RS256"], "jwt_algorithm is of no use without jwt_key or jwt_key_set"),
        (["--jwt-audience", "todo"], "jwt_audience is of no use"),
        (["--jwt-issuer", "https://id.example"], "jwt_issuer is of no use"),
    ],
)
def test_keys_that_cannot_be_used_are_errors_of_ours(words: list[str], rule: str) -> None:
    with pytest.raises(SyncError, match=rule):
        access_options.authenticate(parsed(*words))


def test_a_certificate_that_cannot_be_used_is_an_error_of_ours(tmp_path: Path) -> None:
    assert access_options.tls(parsed()) is None
    with pytest.raises(SyncError, match="tls_key is of no use without tls_certificate"):
        access_options.tls(parsed("--tls-key", "key.pem"))
    (tmp_path / "cert.pem").write_text("none")
    for name in ("cert.pem", "missing.pem"):
        with pytest.raises(SyncError, match="cannot be used"):
            access_options.tls(parsed("--tls-certificate", str(tmp_path / name)))
