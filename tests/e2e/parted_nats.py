"""NATS servers whose ways to each other can be cut."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from examples.cluster.gateway import Gateway
from examples.cluster.nats_cluster import NatsCluster, free_ports

__all__ = ["PartedNats"]

_NOWHERE: Final = "127.0.0.1:9"
"""Nobody listens there."""


class PartedNats(NatsCluster):
    """Three NATS servers, each of which reaches each of the others by a way of its own.

    Args:
        folder: Where they keep everything.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._monitor_ports = free_ports(self.size)
        self._ways: dict[tuple[int, int], Gateway] = {}

    async def lay_ways(self, stack: AsyncExitStack) -> None:
        """Open the ways, before the servers start."""
        for number in range(self.size):
            for other in range(self.size):
                if other != number:
                    way = Gateway([self.cluster_ports[other]], looks_after=False)
                    self._ways[number, other] = await stack.enter_async_context(way)

    def part(self, number: int) -> None:
        """Cut a server off from the other ones; its clients reach it as before."""
        for ends, way in self._ways.items():
            if number in ends:
                way.cut()

    def unite(self) -> None:
        """Let all reach each other again."""
        for way in self._ways.values():
            way.heal()

    async def routes(self, number: int) -> int:
        """Return to how many of the others a server is connected."""
        found = await asyncio.to_thread(_read, f"http://127.0.0.1:{self._monitor_ports[number]}/routez")
        return len({route["remote_name"] for route in found.get("routes") or ()})

    def route_port(self, number: int, other: int) -> int:
        """Return the port of the way from one server to another one."""
        return self._ways[number, other].port

    def options(self, number: int) -> list[str]:
        """Let a server tell how it is connected, and no server tell another one how to get round the ways."""
        return ["--http_port", str(self._monitor_ports[number]), "--cluster_advertise", _NOWHERE]


def _read(url: str) -> dict[str, list[dict[str, object]]]:
    with urlopen(url, timeout=5) as answer:
        found: dict[str, list[dict[str, object]]] = json.load(answer)
    return found
