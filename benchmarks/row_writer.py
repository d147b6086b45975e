"""Another program that writes to a cr-sqlite file: ``{"row": id, "rank": n}`` in, ``{"at": seconds}`` out.

The answer is the time of the commit on the clock that all processes share, `time.monotonic`.
"""

from __future__ import annotations

import json
import sys
import time

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction


def main(path: str) -> None:
    connection = open_connection(path)
    try:
        for line in sys.stdin:
            request = json.loads(line)
            with transaction(connection):
                connection.execute(
                    "UPDATE todos SET rank = ? WHERE id = ?", (request["rank"], request["row"])
                )
            print(json.dumps({"at": time.monotonic()}), flush=True)
    finally:
        close_connection(connection)


if __name__ == "__main__":
    main(sys.argv[1])
