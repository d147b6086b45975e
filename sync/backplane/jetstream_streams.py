"""What the streams of a cluster must be like, so that what is acknowledged is kept.

A stream may be there already: made by hand, in development with one copy, or for something else. Nothing is
acknowledged as long as it would not keep what rooms give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from replicell.sync.backplane.interface import UnfitStreamError

__all__ = ["check_fit", "log_stream", "snapshots_stream"]

_DUPLICATE_WINDOW_NANOSECONDS: Final = 120 * 10**9
_AT_LEAST: Final = {"num_replicas", "duplicate_window"}
_DROPPING: Final = ("max_age", "max_msgs_per_subject")
"""Limits that make a stream drop entries, even if it refuses new ones when it is full."""
_FOREIGN: Final = ("mirror", "sources", "subject_transform", "no_ack", "sealed")
_PERSIST_MODES: Final = (None, "", "default")
"""Otherwise entries are acknowledged before they are written."""


def log_stream(name: str, replicas: int) -> dict[str, Any]:
    """Return the configuration of the stream that holds the rooms' logs.

    Args:
        name: Its name, and the first part of its subjects.
        replicas: How many NATS servers keep it.
    """
    return {
        **_common(name, replicas),
        "subjects": [f"{name}.log.>"],
        "duplicate_window": _DUPLICATE_WINDOW_NANOSECONDS,
        "republish": {"src": f"{name}.log.>", "dest": f"{name}.live.>"},
    }


def snapshots_stream(name: str, replicas: int) -> dict[str, Any]:
    """Return the configuration of the stream that holds the rooms' snapshots.

    Args:
        name: The name of the stream of the logs.
        replicas: How many NATS servers keep it.
    """
    return {**_common(f"{name}-snapshots", replicas), "subjects": [f"{name}.snapshot.>"]}


def check_fit(wanted: Mapping[str, Any], found: Mapping[str, Any], biggest: int) -> None:
    """Compare a stream that is there with what it must be.

    Args:
        wanted: The configuration with which a node creates it.
        found: The one that it has.
        biggest: How many bytes a message may have.

    Raises:
        UnfitStreamError: It would lose what is acknowledged, or not give it to the nodes.
    """
    flaws = [
        f"{key} is {_shown(found.get(key))}, not {_shown(needed)}{' or more' if key in _AT_LEAST else ''}"
        for key, needed in wanted.items()
        if not _fits(key, found.get(key), needed)
    ]
    flaws += [f"{key} is {found[key]}, not unlimited" for key in _DROPPING if (found.get(key) or 0) > 0]
    flaws += [f"{key} is set" for key in _FOREIGN if found.get(key)]
    if found.get("persist_mode") not in _PERSIST_MODES:
        flaws.append(f"persist_mode is {found['persist_mode']!r}, not 'default'")
    if 0 < (found.get("max_msg_size") or 0) < biggest:
        flaws.append(f"max_msg_size is {found['max_msg_size']}, not {biggest} or more")
    if flaws:
        name = wanted["name"]
        raise UnfitStreamError(
            f"the stream {name!r} is there and does not keep what rooms need: {'; '.join(flaws)}. Nothing is"
            f" acknowledged until that is mended (nats stream edit {name}), the stream is deleted, for nodes"
            " make and fill it anew, or all nodes are given another name (--nats-stream)"
        )


def _common(name: str, replicas: int) -> dict[str, Any]:
    return {
        "name": name,
        "num_replicas": replicas,
        "storage": "file",
        "retention": "limits",
        # Full is full: to drop what is oldest would lose what was acknowledged.
        "discard": "new",
        "allow_direct": True,
    }


def _fits(key: str, value: Any, needed: Any) -> bool:
    if key in _AT_LEAST:
        return int(value or 0) >= int(needed)
    if key == "subjects":
        return set(needed) <= set(value or ())
    if key == "republish":
        return bool(value) and {**value, "headers_only": bool(value.get("headers_only"))} == {
            **needed,
            "headers_only": False,
        }
    return bool(value == needed)


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)
