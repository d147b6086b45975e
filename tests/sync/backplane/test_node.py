"""A node of a cluster: what a room begins with."""

from __future__ import annotations

from pathlib import Path

from replicell.sync.backplane import InProcessBackplane, RoomLog
from replicell.sync.backplane.node import Node


class Forgetful(InProcessBackplane):
    """Its logs are lost whenever somebody has just opened one."""

    async def open_room(self, name: str) -> RoomLog:  # type: ignore[override]  # the class of logs is private
        log = await super().open_room(name)
        self.forget()
        return log


async def test_a_room_whose_log_is_lost_while_it_is_looked_for_begins_empty(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    await Node(Forgetful()).prepare("room", path)
    assert not path.exists()
