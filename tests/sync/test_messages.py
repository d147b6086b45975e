"""Messages: two encodings, strictly decoded."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.errors import DecodeError
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    AskSchema,
    Changes,
    Encoding,
    Heartbeat,
    Hello,
    Mark,
    Marked,
    Message,
    PeerAnnouncement,
    Peers,
    Present,
    Problem,
    Ready,
    RefusedChange,
    Resend,
    Schema,
    TableAnnouncement,
    Welcome,
    decode,
    encode,
)

ID = b"i" * 16
TABLE = TableAnnouncement("todo", ["id"], ["text"], ["TEXT"])
VALUES = (None, 0, 1.0, -(2**63), "x\U0001f600", b"\xff", float("inf"), float("-inf"))
ROWS = [Change("todo", b"\x01\x0b\x01a", "text", value, 1, 1, 0, 7) for value in VALUES]
MESSAGES: list[Message] = [
    Hello(PROTOCOL, ID, [Cursor(ID, ID, 3)], [TABLE], "secret"),
    Welcome(PROTOCOL, ID, ID, 9, Cursor(ID, ID, 3), 2, False, [TABLE], 1000, True),
    Ready(ID, 3),
    Schema([TABLE]),
    AskSchema(),
    Changes(ID, 1, 7, 4, 0, True, ROWS),
    Ack(7),
    Resend(3),
    Heartbeat(7),
    Mark(1),
    Marked(1, 7),
    Present('{"name":"Anna"}'),
    Peers([PeerAnnouncement("a", "{}", "anna")], ["b"], "c", ["a", "c"]),
    Problem("refused", "no", [RefusedChange("todo", b"k", "text", "why")]),
]


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_both_encodings(message: Message, encoding: Encoding) -> None:
    frame = encode(message, encoding)

    assert isinstance(frame, str if encoding == "json" else bytes)
    assert decode(frame) == message


def test_values_keep_their_types_in_json() -> None:
    decoded = decode(encode(Changes(ID, 1, 7, 4, 0, True, ROWS), "json"))

    assert isinstance(decoded, Changes)
    assert [type(row.val) for row in decoded.rows] == [type(value) for value in VALUES]


def test_a_change_takes_few_bytes() -> None:
    assert len(encode(Changes(ID, 1, 7, 4, 0, True, ROWS[:1] * 100))) < 100 * 25


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_unknown_fields_are_refused(message: Message) -> None:
    plain: Any = msgspec.to_builtins(message, builtin_types=(bytes,))
    if isinstance(plain, list):
        plain.append(1)
    else:
        plain["surprise"] = 1

    with pytest.raises(DecodeError):
        decode(msgspec.msgpack.encode(plain))
    with pytest.raises(DecodeError):
        decode(msgspec.json.encode(plain).decode())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\xa5hello",
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"type":"ack"}',
        '{"type":"ack","version":true}',
        '{"type":"ack","version":1.5}',
        '{"type":"none"}',
        json.dumps(["changes", "aQ==", 0, 1, 1, 0, True, [["t", "aQ==", "c", {"blob": "@"}, 1, 1, 0, 0]]]),
        msgspec.msgpack.encode(["changes", ID, 0, 1, 1, 0, True, [["t", b"k", "c", 1, True, 1, 0, 0]]]),
        msgspec.msgpack.encode(["changes", ID, 0, 1, 1, 0, True, [["t", "k", "c", 1, 1, 1, 0, 0]]]),
        msgspec.msgpack.encode(["changes", ID, 0, 1, 1, 0, True, [["t", b"k", "c", 1, 1, 1, 0]]]),
        msgspec.msgpack.encode(["changes", ID, 0, 1, 1, 0, True, None]),
        b"\x98\xa7changes\xc4\x00\x00\x01\x01\x00\xc3\x91\x98\xa1\xff",
    ],
    ids=lambda frame: f"{len(frame)} {type(frame).__name__} {repr(frame)[-50:]}",
)
def test_what_is_no_message_is_refused_with_one_documented_error(frame: bytes | str) -> None:
    with pytest.raises(DecodeError, match="no message of protocol 1"):
        decode(frame)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_frame_is_decoded_or_refused(frame: bytes | str) -> None:
    try:
        message = decode(frame)
    except DecodeError:
        return
    assert decode(encode(message)) == message


@given(st.sampled_from(MESSAGES), st.data())
def test_a_damaged_frame_is_decoded_or_refused(message: Message, data: st.DataObject) -> None:
    frame = bytearray(encode(message))  # type: ignore[arg-type]  # MessagePack frames are bytes
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(frame))
    except DecodeError:
        return
