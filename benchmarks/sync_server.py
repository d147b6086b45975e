"""A server for the figures, tells its port, ends with its input: `python -m benchmarks.sync_server FOLDER`

With `apart` after the folder, each client's changes are committed alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from unittest.mock import patch

from benchmarks.crowd import allow_many_files
from replicell.sync import SyncServer, intake


async def main(folder: str) -> None:
    async with SyncServer(folder, host="localhost", port=0) as server:
        print(json.dumps({"port": server.port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    allow_many_files()
    if sys.argv[2:] == ["apart"]:
        with patch.object(intake, "_SMALL", 0):
            asyncio.run(main(sys.argv[1]))
    else:
        asyncio.run(main(sys.argv[1]))
