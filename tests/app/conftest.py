"""A server on a thread of its own, for tests with and without an event loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicell.app.loop_thread import LoopThread
from replicell.sync import SyncServer


@pytest.fixture
def room(tmp_path: Path) -> Iterator[str]:
    """The address of a room on a running server."""
    thread = LoopThread("server")
    try:
        server = thread.begin(SyncServer(tmp_path / "rooms", port=0).start()).result(timeout=20)
        yield f"ws://127.0.0.1:{server.port}/room"
        thread.begin(server.close()).result(timeout=20)
    finally:
        thread.stop()
