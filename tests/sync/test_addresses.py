"""The addresses of rooms and servers: what can be one, and what is said when it leads nowhere."""

from __future__ import annotations

import socket
import ssl

import pytest

from replicell.sync.addresses import check_port, check_room_url, check_token, in_plain_words, without_secrets
from replicell.sync.errors import SyncError


@pytest.mark.parametrize(
    "url", ["ws://localhost/room", "wss://[::1]:8040/a/b", "ws://localhost:8040/r%20m?token=t", "ws://h/日本"]
)
def test_the_address_of_a_room_is_taken_as_it_is(url: str) -> None:
    assert check_room_url(url) == url


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "looks like ws://host:port/room"),
        ("http://localhost/room", "looks like ws://host:port/room"),
        ("ws://localhost:99999/room", "looks like ws://host:port/room"),
        ("ws://[::1/room", "looks like ws://host:port/room"),
        (None, "looks like ws://host:port/room"),
        (8040, "looks like ws://host:port/room"),
        ("ws://localhost:8040", "names a server but no room"),
        ("ws://localhost:8040/", "names a server but no room"),
        ("ws://localhost:8040/my room", "written as %20"),
        ("ws://localhost:8040/my\nroom", "written as %20"),
        ("ws://localhost:8040/my\x7froom", "written as %20"),
    ],
)
def test_what_cannot_be_the_address_of_a_room_is_refused_with_the_rule(url: str, rule: str) -> None:
    with pytest.raises(SyncError, match=rule) as caught:
        check_room_url(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("token", ["", " x", "a b", "a\nb", "a\x00", None, 5])
def test_a_token_that_no_header_can_carry_is_refused_without_telling_it(token: str) -> None:
    with pytest.raises(SyncError, match="token") as caught:
        check_token(token)
    if token:
        assert repr(token) not in str(caught.value)


@pytest.mark.parametrize("port", [-1, 65536, "80", None, 80.0])
def test_a_port_is_a_number_of_16_bits(port: int) -> None:
    with pytest.raises(SyncError, match=r"from 0 .* to 65535"):
        check_port(port)
    assert check_port(0) == 0


def test_what_may_be_secret_in_an_address_is_not_shown() -> None:
    assert without_secrets("ws://me:pw@host:1/room?token=t#x") == "ws://host:1/room"
    assert without_secrets("ws://host:1/room") == "ws://host:1/room"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 1)"
            ),
            "connection refused",
        ),
        (socket.gaierror(-2, "Name or service not known"), "name of the host is not known"),
        (OSError(101, "whatever"), "Network is unreachable"),
        (TimeoutError(), "no answer in time"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "ws:// rather than wss://"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), "Multiple exceptions"),
        (EOFError(), "EOFError"),
    ],
)
def test_errors_of_the_network_are_told_in_plain_words(error: Exception, words: str) -> None:
    assert words in in_plain_words(error)
    assert "111" not in in_plain_words(error) or words == "Multiple exceptions"
