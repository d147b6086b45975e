"""``replicell server``: the sync server as a program."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from replicell.commands import access_options

if TYPE_CHECKING:
    from replicell.sync.backplane import Backplane
    from replicell.sync.server import SyncServer

__all__ = ["HELP", "add_arguments", "run"]

HELP = "serve rooms that replicas sync through, one database file each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's options to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8040, help="port, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir", default="rooms", help="folder of the rooms' files (default: %(default)s)"
    )
    parser.add_argument(
        "--token", action="append", default=[], help="token that may read and write; repeatable"
    )
    parser.add_argument(
        "--read-only-token", action="append", default=[], help="token that may only read; repeatable"
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        help="web page that may connect from a browser, as https://example.com, or * for all; repeatable",
    )
    parser.add_argument(
        "--schema",
        choices=("auto", "strict"),
        default="auto",
        help="auto: create the tables clients announce, strict: keep the room's own (default: %(default)s)",
    )
    parser.add_argument(
        "--max-message-size",
        type=int,
        default=1024 * 1024,
        help="biggest message that is taken, in bytes (default: %(default)s)",
    )
    parser.add_argument(
        "--presence",
        choices=("anonymous", "names", "off"),
        default="anonymous",
        help="what clients that take part in presence are told of each other: the states that they show, also"
        " the names in their identities, or nothing (default: %(default)s)",
    )
    parser.add_argument(
        "--room-idle-seconds",
        type=float,
        default=60.0,
        help="how long a room stays open without clients (default: %(default)s)",
    )
    parser.add_argument(
        "--nats",
        action="append",
        default=[],
        metavar="URL",
        help="NATS server with JetStream, as nats://host:4222, through which rooms are shared with other"
        " servers; repeatable, or several with commas",
    )
    parser.add_argument(
        "--nats-stream", default="replicell", help="name of the NATS stream (default: %(default)s)"
    )
    parser.add_argument(
        "--nats-replicas",
        type=int,
        default=3,
        help="how many NATS servers keep what is acknowledged: 1, 3 or 5 (default: %(default)s)",
    )
    access_options.add_arguments(parser)
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much is logged to stderr (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; prints ``listening on ws://host:port`` when clients may come."""
    from replicell.sync.server import SyncServer

    logging.basicConfig(
        level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)
    server = SyncServer(
        args.data_dir,
        host=args.host,
        port=args.port,
        tokens=args.token,
        read_only_tokens=args.read_only_token,
        origins=args.origin,
        schema_policy=args.schema,
        limits=access_options.limits(args),
        authenticate=access_options.authenticate(args),
        ssl=access_options.tls(args),
        trusted_proxies=args.trusted_proxy,
        proxy_header=args.proxy_header,
        presence=args.presence,
        room_idle_seconds=args.room_idle_seconds,
        backplane=_backplane(args),
    )
    asyncio.run(_serve(server))
    return 0


def _backplane(args: argparse.Namespace) -> Backplane | None:
    servers = [url for urls in args.nats for url in urls.split(",") if url]
    if not servers:
        return None
    from replicell.sync.backplane.jetstream import JetStreamBackplane

    return JetStreamBackplane(servers, stream=args.nats_stream, replicas=args.nats_replicas)


async def _serve(server: SyncServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server:
        print(f"listening on {server.url}", flush=True)
        await stop.wait()
