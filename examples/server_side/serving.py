"""What these servers have in common: they serve until they are interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable

from replicell import ReplicellError
from replicell.sync import SyncServer

__all__ = ["main"]


def main(make_server: Callable[[str, int], SyncServer], words: list[str] | None = None) -> int:
    """Serve rooms until Ctrl-C, and return the exit status.

    Args:
        make_server: Called with the folder of the rooms and the port.
        words: The command line; None for the program's own.
    """
    parser = argparse.ArgumentParser(description="Serve rooms that replicas sync through.")
    parser.add_argument("--data-dir", default="rooms", help="folder of the rooms' files (%(default)s)")
    parser.add_argument("--port", type=int, default=8040, help="0 for any free one (%(default)s)")
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(make_server(options.data_dir, options.port)))
    except ReplicellError as error:
        print(f"server: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(server: SyncServer) -> None:
    async with server:
        print(f"listening on {server.url}", flush=True)
        await server.wait_closed()
