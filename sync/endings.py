"""How a client's connection ended, and when the next attempt makes sense."""

from __future__ import annotations

from typing import Final, NamedTuple

from websockets.http11 import Response

from replicell.sync.actions import CLOSE_CODES
from replicell.sync.backoff import Backoff
from replicell.sync.messages import ProblemCode

__all__ = ["Ending", "ending_of_connection", "ending_of_request", "seconds_to_rest"]

_MAX_ANSWER: Final = 200
_REFUSING_REASONS: Final[tuple[ProblemCode, ...]] = (
    "malformed", "unauthorized", "forbidden", "expired", "protocol",
)  # fmt: skip
_REFUSING_CODES: Final[dict[int, ProblemCode]] = {CLOSE_CODES[reason]: reason for reason in _REFUSING_REASONS}
_REFUSING_STATUSES: Final[dict[int, ProblemCode]] = {
    400: "protocol",
    401: "unauthorized",
    403: "forbidden",
    404: "protocol",
}
_TOKEN_REASONS: Final[frozenset[ProblemCode]] = frozenset(("unauthorized", "forbidden", "expired"))
_CLIENTS_OWN_CODES: Final = frozenset(CLOSE_CODES[reason] for reason in ("idle", "expired", "replaced"))
"""What another server would say as well."""
_WRONG_NAME: Final = 400
_CROWDED_STATUSES: Final = frozenset((429, 503))
_CROWDED_SECONDS: Final = 5.0
_MOST_PATIENCE: Final = 300.0
"""Seconds: longer a server's Retry-After is not believed."""


class Ending(NamedTuple):
    """How a connection ended.

    Args:
        detail: What went wrong.
        refusal: The reason if it was a refusal.
        rest: Seconds to wait in any case, because the server asks for it; None if waiting does not help.
        until_changes: Whether to come back at once when there is something to say.
        elsewhere: Whether another server of the same room might do better.
    """

    detail: str
    refusal: ProblemCode | None = None
    rest: float | None = 0.0
    until_changes: bool = False
    elsewhere: bool = True


def ending_of_request(response: Response) -> Ending:
    """Return what it means that a server has answered otherwise than with a websocket."""
    status = response.status_code
    # Whoever answers need not be a server of ours: it may be a whole page.
    words = (response.body or b"").decode(errors="replace").split()
    text = f"the server answers {status}: {' '.join(words)[:_MAX_ANSWER]}"
    rest: float | None = None if status == _WRONG_NAME else 0.0
    if status in _CROWDED_STATUSES:
        rest = _seconds(response.headers.get("Retry-After"))
    return Ending(text, _REFUSING_STATUSES.get(status), rest)


def ending_of_connection(code: int | None, reason: str) -> Ending:
    """Return what it means that a connection was closed with a code; None if it was not closed at all."""
    refusal = _REFUSING_CODES.get(code) if code is not None else None
    rest = _CROWDED_SECONDS if code == CLOSE_CODES["too_many"] else 0.0
    return Ending(
        reason,
        refusal,
        rest,
        until_changes=code == CLOSE_CODES["idle"],
        elsewhere=code not in _CLIENTS_OWN_CODES,
    )


def seconds_to_rest(end: Ending, attempt: int, backoff: Backoff, *, renewable: bool) -> float | None:
    """Return how long to wait before the next attempt, None for until something is changed here.

    Args:
        end: How the last connection ended.
        attempt: How many attempts have failed in a row.
        backoff: How long to wait otherwise.
        renewable: Whether the next attempt has another token.
    """
    if end.rest is None or (end.refusal in _TOKEN_REASONS and not renewable):
        return None
    if end.refusal == "expired":
        return backoff.delay(attempt)
    if end.refusal or end.until_changes:
        return backoff.refused
    return end.rest + backoff.delay(attempt)


def _seconds(retry_after: str | None) -> float:
    try:
        return float(min(max(int(retry_after or _CROWDED_SECONDS), 0), _MOST_PATIENCE))
    except ValueError:
        # It may also be a date, which tells nothing as long as clocks differ.
        return _CROWDED_SECONDS
