"""Tokens and room names."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.sync.access import (
    ANYBODY,
    MAX_ROOM_NAME,
    Identity,
    Request,
    StaticTokens,
    room_file_name,
    room_name,
)
from replicell.sync.errors import RoomNameError, SyncError


def bearer(tokens: StaticTokens, token: str | None) -> Identity | None:
    return tokens(Request(room="any", token=token))


def test_without_tokens_everybody_may_do_everything() -> None:
    tokens = StaticTokens()

    assert tokens.open_to_all
    assert tokens(Request(room="r")) is tokens(Request(room="r", token="any")) is ANYBODY


def test_with_tokens_only_their_bearers_may_enter_and_some_only_read() -> None:
    tokens = StaticTokens(["w1", "w2"], ["r"])

    assert not tokens.open_to_all
    rights = [found.right("any") for token in ("w1", "w2", "r") if (found := bearer(tokens, token))]
    assert rights == ["write", "write", "read"]
    assert [bearer(tokens, token) for token in (None, "", "w", "w11", "\udcff")] == [None] * 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": 7}, "the name of an identity is a text, not 7"),
        ({"expires_at": "tomorrow"}, "expires_at is a number of seconds since 1970, not 'tomorrow'"),
        ({"expires_at": float("nan")}, "expires_at is a number of seconds since 1970, not nan"),
    ],
)
def test_an_identity_of_other_kinds_is_refused_when_it_is_made(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SyncError, match=words):
        Identity(**wrong)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/my-room", "my-room"), ("/team/plan%20b", "team/plan b"), ("/%C3%A9", "\u00e9"), ("/a.b", "a.b")],
)
def test_a_rooms_name_is_the_decoded_path(path: str, name: str) -> None:
    assert room_name(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "/a//b",
        "/a/",
        "/.",
        "/..",
        "/healthz",
        "/../x",
        "/a/../b",
        "/%2e%2e/x",
        "/a%2f..%2fb",
        "/a%00b",
        "/a%0ab",
        "/a%5cb",
        "/%ff",
        "/%e2%80%ae",
        "/" + "a" * (MAX_ROOM_NAME + 1),
        "/" + quote("\u6f22" * 40),
    ],
)
def test_an_odd_room_name_is_refused(path: str) -> None:
    with pytest.raises(RoomNameError):
        room_name(path)


@given(st.text(max_size=120), st.text(max_size=120))
def test_no_two_rooms_share_a_file_and_no_file_lies_elsewhere(one: str, other: str) -> None:
    try:
        names = room_name("/" + quote(one)), room_name("/" + quote(other))
    except (RoomNameError, UnicodeEncodeError):
        return
    files = [room_file_name(name).lower() for name in names]
    assert (files[0] == files[1]) == (names[0] == names[1])
    assert all("/" not in file and not file.startswith(".") and len(file) <= 255 for file in files)
