"""Which connection and room a line of the log is about, and lines that programs can read.

What is logged while a connection is served bears its room, its number, its client and who that is, whichever
module logs it. Tokens are left out wherever they might stand.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal, TypeAlias

__all__ = ["ConnectionTag", "LogFormat", "log_handler", "tag_connection"]

LogFormat: TypeAlias = Literal["text", "json"]
"""Lines for people, or one JSON object a line."""

_SECRETS: Final = re.compile(r"(?i)(bearer\s+|[?&]token=|\btoken['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,)]+")
_numbers = count(1)


@dataclass(slots=True)
class ConnectionTag:
    """What is known of the connection that is being served.

    Args:
        room: The room's name.
        connection: A number that no other connection of this process has.
        identity: The name of who it is, empty if that is nobody by name.
        site_id: Tells which client it is; None as long as it has not said so.
    """

    room: str
    connection: int
    identity: str
    site_id: Callable[[], bytes]

    def fields(self) -> dict[str, str | int]:
        """Return what there is to say, without what is not known."""
        site_id = self.site_id()
        said: dict[str, str | int] = {"room": self.room, "connection": self.connection}
        if site_id:
            said["site_id"] = site_id.hex()
        if self.identity:
            said["identity"] = self.identity
        return said


_current: ContextVar[ConnectionTag | None] = ContextVar("replicell_connection", default=None)


def tag_connection(room: str, identity: str, site_id: Callable[[], bytes]) -> None:
    """Have all that is logged from now on in this task, and in what it starts, bear this connection."""
    _current.set(ConnectionTag(room, next(_numbers), identity, site_id))


def log_handler(log_format: LogFormat) -> logging.Handler:
    """Return a handler that writes to stderr, for the root logger."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_tag)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    return handler


def _add_tag(record: logging.LogRecord) -> bool:
    tag = _current.get()
    record.connection_fields = tag.fields() if tag is not None else {}
    return True


def _without_secrets(text: str) -> str:
    return _SECRETS.sub(r"\1***", text)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = getattr(record, "connection_fields", {})
        tags = "".join(f" {name}={value!r}" for name, value in fields.items())
        first, *rest = super().format(record).split("\n")
        return _without_secrets("\n".join((first + tags, *rest)))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _without_secrets(record.getMessage()),
            **getattr(record, "connection_fields", {}),
        }
        if record.exc_info:
            line["exception"] = _without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
