"""Many machines: what server nodes share their rooms through.

`JetStreamBackplane` stands in `replicell.sync.backplane.jetstream`, because it needs an optional package.
"""

from replicell.sync.backplane.in_process import InProcessBackplane
from replicell.sync.backplane.interface import (
    Backplane,
    BackplaneError,
    Entry,
    RoomLog,
    StreamReplacedError,
    TrimmedError,
)
from replicell.sync.backplane.options import LinkOptions

__all__ = [
    "Backplane",
    "BackplaneError",
    "Entry",
    "InProcessBackplane",
    "LinkOptions",
    "RoomLog",
    "StreamReplacedError",
    "TrimmedError",
]
