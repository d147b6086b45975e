"""The gate: asks who somebody is, and what may be done in the room that is asked for."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Final, Literal, NamedTuple, TypeAlias

from replicell.sync.access.identity import Authenticate, Identity, Request
from replicell.sync.errors import AccessDeniedError, KeySetError

__all__ = ["NO_TOKEN", "Gate", "Verdict", "Wicket"]

_log = logging.getLogger("replicell.sync.server")

Verdict: TypeAlias = Literal["unauthorized", "forbidden", "internal"]
"""Why somebody is turned away: not known, known but not allowed, or the hook has failed."""

NO_TOKEN: Final = "this room needs a valid token: give one with token= or --token"
_WRONG_TOKEN: Final = "the token is not valid here: ask for one where the server is run"
_NOT_IN_TIME: Final = "the server could not find out in time who you are: try again"


class Wicket(NamedTuple):
    """What became of a request at the gate.

    Args:
        identity: Who it is, if that one may enter.
        verdict: Why not, if not.
        reason: For people; it may go into a closing frame.
    """

    identity: Identity | None
    verdict: Verdict | None = None
    reason: str = ""


class Gate:
    """Lets in whom an ``authenticate`` hook knows and who has a right in the room.

    Args:
        authenticate: The hook.
        hook_seconds: How long it may take, if it is async.
    """

    def __init__(self, authenticate: Authenticate, hook_seconds: float) -> None:
        self._authenticate = authenticate
        self._hook_seconds = hook_seconds

    async def ask(self, request: Request) -> Wicket:
        """Find out whether somebody may enter."""
        limit = asyncio.timeout(self._hook_seconds)
        try:
            async with limit:
                found = self._authenticate(request)
                identity = await found if inspect.isawaitable(found) else found
            if identity is None:
                return Wicket(None, "unauthorized", NO_TOKEN if request.token is None else _WRONG_TOKEN)
            right = identity.right(request.room)
        except AccessDeniedError as error:
            return Wicket(None, "forbidden" if error.forbidden else "unauthorized", str(error))
        except KeySetError:
            # Told in the log when it was tried, not for each who comes meanwhile.
            return Wicket(None, "internal", _NOT_IN_TIME)
        except Exception as error:
            if not (isinstance(error, TimeoutError) and limit.expired()):
                _log.exception("room %r: the authenticate hook failed", request.room)
                return Wicket(None, "internal", "the server could not find out who you are, see its log")
            _log.error(
                "room %r: the authenticate hook took longer than %s seconds", request.room, self._hook_seconds
            )
            return Wicket(None, "internal", _NOT_IN_TIME)
        if right == "none":
            return Wicket(
                None, "forbidden", f"{identity.name or 'the bearer of this token'} may not enter this room"
            )
        return Wicket(identity)
