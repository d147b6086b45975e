"""The messages of replicell's sync protocol, and their two encodings.

One websocket message is one protocol message: a MessagePack map with a ``type`` (`Changes` is an array, for
it is most of the traffic), or the same as JSON in a text frame, for people with a browser console. Each side
answers in kind::

    client                                    server
      │  Hello   who I am, how far I have you, my tables
      │ ─────────────────────────────────────────► │
      │   Welcome  who I am, how far I have you, my tables
      │ ◄───────────────────────────────────────── │
      │  Ready   your view of my history is right  │
      │ ─────────────────────────────────────────► │
      │  Changes ◄──────────────────────► Changes  │   several may be under way
      │  Ack     ◄──────────────────────► Ack      │   after the commit
      │  Heartbeat ◄──────────────────► Heartbeat  │   "this is how far I have sent"; answered by Ack or
      Resend │  Schema  ◄──────────────────────► Schema   │   before the first change that needs it
      │  AskSchema ◄──────────────────► Schema     │   when that has not come
      │  Mark    ─────────► Marked                 │   "tell me how far you are now"
      │  Token   ─────────► Renewed                │   before the old one runs out
      │  AskRow  ─────────► Row                    │   "how is this with you?", after a refusal
      │  AskSnapshot ─────► Snapshot               │   before Ready, by a client that has nothing yet
      │  AskPart ─────────► Part                   │   of the snapshot; with all of them it connects anew
      │  Present ─────────► Peers                  │   "this is me"; and then who else is there
      │                     Problem                │   what is wrong, and which changes it is about
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal, TypeAlias, cast

import msgspec

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.keys import SqlValue
from replicell.sync.errors import DecodeError
from replicell.sync.message_types import (
    PROTOCOL,
    Ack,
    AskPart,
    AskRow,
    AskSchema,
    AskSnapshot,
    Changes,
    Heartbeat,
    Hello,
    MapMessage,
    Mark,
    Marked,
    Message,
    Part,
    PeerAnnouncement,
    Peers,
    Present,
    Problem,
    ProblemCode,
    Ready,
    RefusedChange,
    Renewed,
    Resend,
    Row,
    Schema,
    Snapshot,
    TableAnnouncement,
    Token,
    Welcome,
)

__all__ = [
    "PROTOCOL",
    "Ack",
    "AskPart",
    "AskRow",
    "AskSchema",
    "AskSnapshot",
    "Changes",
    "Encoding",
    "Heartbeat",
    "Hello",
    "Mark",
    "Marked",
    "Message",
    "Part",
    "PeerAnnouncement",
    "Peers",
    "Present",
    "Problem",
    "ProblemCode",
    "Ready",
    "RefusedChange",
    "Renewed",
    "Resend",
    "Row",
    "Schema",
    "Snapshot",
    "TableAnnouncement",
    "Token",
    "Welcome",
    "decode",
    "encode",
]

Encoding: TypeAlias = Literal["msgpack", "json"]

# A MessagePack array begins with 0x90 to 0x9f or 0xdc, 0xdd; msgspec does not mix arrays and maps in one
# union.
_ARRAY_HEADS: Final = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))

_pack = msgspec.msgpack.Encoder().encode
_unpack_changes = msgspec.msgpack.Decoder(Changes).decode
_unpack_map = msgspec.msgpack.Decoder(MapMessage).decode
_to_json = msgspec.json.Encoder().encode
_changes_from_json = msgspec.json.Decoder(Changes).decode
_map_from_json = msgspec.json.Decoder(MapMessage).decode


def encode(message: Message, encoding: Encoding = "msgpack") -> bytes | str:
    """Encode a message: bytes for a binary frame, or a string for a text frame."""
    if encoding == "msgpack":
        return _pack(message)
    if isinstance(message, (Changes, Row)):
        message = msgspec.structs.replace(
            message, rows=[_with_val(row, _val_to_json(row.val)) for row in message.rows]
        )
    return _to_json(message).decode()


def decode(frame: bytes | str) -> Message:
    """Decode a frame strictly.

    Args:
        frame: The content of a binary or a text frame.

    Returns:
        The message. The rows of `Changes` still need to be judged; only their shape is certain.

    Raises:
        DecodeError: The frame is no message of this protocol.
    """
    try:
        if isinstance(frame, str):
            return _decode_json(frame)
        is_changes = bool(frame) and frame[0] in _ARRAY_HEADS
        message: Message = _unpack_changes(frame) if is_changes else _unpack_map(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise DecodeError(f"a frame is no message of protocol {PROTOCOL}: {error}") from error
    return message


def _decode_json(frame: str) -> Message:
    if not frame.lstrip().startswith("["):
        message: Message = _map_from_json(frame)
    else:
        message = _changes_from_json(frame)
    if isinstance(message, (Changes, Row)):
        message = msgspec.structs.replace(
            message, rows=[_with_val(row, _val_from_json(row.val)) for row in message.rows]
        )
    return message


def _with_val(row: Change, val: SqlValue) -> Change:
    return row if val is row.val else msgspec.structs.replace(row, val=val)


def _val_to_json(val: SqlValue) -> SqlValue:
    """JSON has neither bytes nor infinities: they become ``{"blob": base64}`` and ``{"real": "inf"}``."""
    if isinstance(val, bytes):
        return cast(SqlValue, {"blob": base64.b64encode(val).decode()})
    if isinstance(val, float) and val in (float("inf"), float("-inf")):
        return cast(SqlValue, {"real": str(val)})
    return val


def _val_from_json(val: object) -> SqlValue:
    if isinstance(val, dict) and len(val) == 1:
        ((kind, text),) = val.items()
        if kind == "blob" and isinstance(text, str):
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise ValueError(f"a blob is not base64: {error}") from error
        if kind == "real" and text in ("inf", "-inf"):
            return float(text)
    return cast(SqlValue, val)
