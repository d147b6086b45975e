"""``replicell server``: the sync server as a program."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from replicell.commands import access_options, nats_options, server_rooms, server_settings

if TYPE_CHECKING:
    from replicell.sync.server import SyncServer

__all__ = ["HELP", "add_arguments", "run"]

HELP = "serve rooms that replicas sync through, one database file each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's options and its sub-commands to a parser."""
    server_settings.add_arguments(parser)
    server_rooms.add_commands(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; prints ``listening on ws://host:port`` when clients may come. With a
    sub-command do that instead.

    Raises:
        SettingError: A setting makes no sense.
        SyncError: It cannot be served so.
    """
    settings = server_settings.resolve(args, os.environ)
    if getattr(args, "on_rooms", None) is not None:
        status: int = args.on_rooms(args, settings)
        return status
    asyncio.run(_serve(settings))
    return 0


def _make_server(settings: argparse.Namespace) -> SyncServer:
    from replicell.sync.actions import SessionOptions
    from replicell.sync.server import SyncServer

    return SyncServer(
        settings.data_dir,
        host=settings.host,
        port=settings.port,
        tokens=settings.token,
        read_only_tokens=settings.read_only_token,
        origins=settings.origin,
        schema_policy=settings.schema,
        limits=access_options.limits(settings),
        authenticate=access_options.authenticate(settings),
        ssl=access_options.tls(settings),
        trusted_proxies=settings.trusted_proxy,
        proxy_header=settings.proxy_header,
        presence=settings.presence,
        room_idle_seconds=settings.room_idle_seconds,
        backplane=nats_options.backplane(settings),
        link_options=nats_options.link_options(settings),
        options=SessionOptions(snapshot_bytes=settings.snapshot_bytes),
        metrics_token=settings.metrics_token,
        metrics_rooms=settings.metrics_rooms,
    )


async def _serve(settings: argparse.Namespace) -> None:
    from replicell.sync.log_records import log_handler

    logging.basicConfig(level=settings.log_level.upper(), handlers=[log_handler(settings.log_format)])
    # What it logs at lower levels are whole requests, with the tokens in them.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _make_server(settings) as server:
        print(f"listening on {server.url}", flush=True)
        await stop.wait()
        server.announce_closing()
        await asyncio.sleep(settings.drain_seconds)
