"""Who else has the list open, in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from replicell.sync import Peer
from replicell.todo.line import single_line

__all__ = ["describe_company", "name_of", "own_state"]

MAX_NAMES = 3
MAX_NAME = 20


def own_state(name: str) -> Mapping[str, Any]:
    """Return what the others may know of somebody who calls herself `name`, or nothing."""
    return {"name": name} if name else {}


def name_of(peer: Peer) -> str:
    """Return what somebody is to be called: what the server knows, else what they say; empty for neither."""
    said = peer.state.get("name")
    name = single_line(peer.name or (said if isinstance(said, str) else "")).strip()
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def describe_company(names: Iterable[str]) -> str:
    """Return the names in order, and how many more there are without a name or too many to be named.

    Example:
        >>> describe_company(["Ben", "", "Anna"])
        'with Anna, Ben and 1 other'
        >>> describe_company(["", ""]), describe_company([])
        ('with 2 others', '')
    """
    everybody = list(names)
    shown = sorted(name for name in everybody if name)[:MAX_NAMES]
    left = len(everybody) - len(shown)
    others = f"{left} other{'s' if left > 1 else ''}" if left else ""
    words = " and ".join(filter(None, (", ".join(shown), others)))
    return f"with {words}" if words else ""
