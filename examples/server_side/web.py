"""Rooms in a web application: ``uvicorn examples.server_side.web:app``.

Clients sync through ``ws://localhost:8000/sync/my-room``; ``http://localhost:8000/lists/my-room`` shows what
a room's lists hold, and a POST there adds a todo for everybody.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from examples.server_side.counts import make_server

__all__ = ["app"]

server = make_server(os.environ.get("ROOMS", "rooms"), 0)
sync = server.asgi()


async def show_lists(request: Request) -> JSONResponse:
    """Answer with the room's counts."""
    async with server.open_room(request.path_params["room"]) as room:
        return JSONResponse(room.store.get_table("lists"))


async def add_todo(request: Request) -> JSONResponse:
    """Add a todo, and answer with its id once it is on disk."""
    text = (await request.body()).decode().strip()
    async with server.open_room(request.path_params["room"]) as room:
        row_id = room.store.add_row("todo", {"text": text, "list": "web", "completed": False})
    return JSONResponse({"id": row_id}, status_code=201)


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Start the rooms before the first request, and close them after the last."""
    async with sync:
        yield


app = Starlette(
    routes=[
        Route("/lists/{room}", show_lists, methods=["GET"]),
        Route("/lists/{room}", add_todo, methods=["POST"]),
        Mount("/sync", app=sync),
    ],
    lifespan=lifespan,
)
