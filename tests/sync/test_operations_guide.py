"""The guide to running a server, with its very text as the configuration of the programs around one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import connect

from examples.cluster.nats_cluster import free_ports
from replicell.sync import Identity, Request
from replicell.sync.status import SyncStatus
from tests.sync.certificates import Certificate, make_certificate
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows
from tests.sync.test_client import reached

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"


def text_of_guide(begins: str) -> str:
    """The block of the guide that begins with a line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if block.startswith(begins)]
    return str(block)


def put_in_place(text: str, **places: str) -> str:
    """Put this machine's files and ports in place of the guide's, each of which stands there once."""
    for guides, ours in places.items():
        assert text.count(guides) == 1
        text = text.replace(guides, ours)
    return text


class Proxy(NamedTuple):
    """A program, and what makes its files in a folder and its command line of them."""

    program: str
    command: Callable[[Path, Certificate, int, int], list[str]]
    metrics_status: int


def nginx(folder: Path, certificate: Certificate, port: int, upstream: int) -> list[str]:
    site = put_in_place(
        text_of_guide("map $http_upgrade"),
        **{
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/letsencrypt/live/sync.example.com/fullchain.pem": str(certificate.chain),
            "/etc/letsencrypt/live/sync.example.com/privkey.pem": str(certificate.key),
            "http://127.0.0.1:8040": f"http://127.0.0.1:{upstream}",
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    around = f"daemon off; master_process off; pid {folder / 'pid'}; error_log stderr warn; events {{}}\n"
    (folder / "nginx.conf").write_text(f"{around}http {{ access_log off;\n{paths}\n{site} }}\n")
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, certificate: Certificate, port: int, upstream: int) -> list[str]:
    site = put_in_place(
        text_of_guide("sync.example.com {"),
        **{
            "sync.example.com {": f"https://localhost:{port} {{\n"
            f"    bind 127.0.0.1\n    tls {certificate.chain} {certificate.key}",
            "127.0.0.1:8040": f"127.0.0.1:{upstream}",
        },
    )
    (folder / "Caddyfile").write_text(f"{{\n    admin off\n    auto_https disable_redirects\n}}\n{site}")
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROXIES = [Proxy("nginx", nginx, 403), Proxy("caddy", caddy, 404)]


@pytest.fixture(params=PROXIES, ids=lambda proxy: proxy.program)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    chosen: Proxy = request.param
    if shutil.which(chosen.program) is None:
        pytest.skip(f"{chosen.program} is not installed; with it the guide's configuration is tried")
    return chosen


@asynccontextmanager
async def running(proxy: Proxy, folder: Path, certificate: Certificate, upstream: int) -> AsyncIterator[int]:
    """Run a proxy for a server's port and give the proxy's own; clients find out when it is there."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *proxy.command(folder, certificate, port, upstream),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    try:
        yield port
    finally:
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
        print(said.decode(errors="replace"))


async def status_of(port: int, path: str, trusting: ssl.SSLContext) -> int:
    """What a plain request is answered."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
    )
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def test_clients_sync_through_it_and_come_back_after_a_restart_of_the_server(
    proxy: Proxy,
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    stack: AsyncExitStack,
    tmp_path: Path,
) -> None:
    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    server = await open_server()
    upstream = server.port
    port = await stack.enter_async_context(running(proxy, tmp_path, certificate, upstream))
    url, trusting = f"wss://localhost:{port}/team/plans", certificate.trusting()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    sync_a = await open_client(a, url, ssl=trusting)
    sync_b = await open_client(b, url, ssl=trusting)
    await put(a, "1", "x" * 500_000)
    await sync_a.wait_until_synced(PATIENCE)
    await eventually(b, lambda: has_rows(b, 1))

    assert server.rooms == ["team/plans"]
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", proxy.metrics_status)):
        assert (path, await status_of(port, path, trusting)) == (path, status)

    await server.close()
    await reached(sync_a, SyncStatus.OFFLINE)
    await put(b, "2", "while it was away")
    await open_server(port=upstream)
    await sync_b.wait_until_synced(PATIENCE)
    await eventually(a, lambda: has_rows(a, 2))
    assert await rows(a) == await rows(b)


async def test_the_server_is_told_who_comes_and_nobody_can_claim_to_be_another(
    proxy: Proxy,
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    stack: AsyncExitStack,
    tmp_path: Path,
) -> None:
    asked: list[Request] = []

    def authenticate(request: Request) -> Identity | None:
        asked.append(request)
        return Identity() if request.token == "secret" else None

    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    server = await open_server(authenticate=authenticate, trusted_proxies=["127.0.0.1"])
    port = await stack.enter_async_context(running(proxy, tmp_path, certificate, server.port))
    url, trusting = f"wss://localhost:{port}/room", certificate.trusting()
    sync = await open_client(await open_database("a"), url, ssl=trusting, token="secret")
    await sync.wait_until_synced(PATIENCE)

    claimed = {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer secret"}
    async with connect(url, ssl=trusting, additional_headers=claimed):
        assert [request.address for request in asked] == ["127.0.0.1", "127.0.0.1"]
        assert {request.headers["x-forwarded-for"] for request in asked} == {"127.0.0.1"}


async def test_the_unit_of_the_guide_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed; with it the guide's unit is looked through")
    unit = tmp_path / "replicell.service"
    text = text_of_guide("# /etc/systemd/system/replicell.service")
    unit.write_text(put_in_place(text, **{"/opt/replicell/bin/replicell": sys.executable}))

    looking = await asyncio.create_subprocess_exec(
        "systemd-analyze", "verify", "--man=no", str(unit), stderr=asyncio.subprocess.PIPE
    )
    _, objections = await looking.communicate()

    # It also looks at the units that this one names, which are not ours.
    ours = [line for line in objections.decode().splitlines() if "replicell" in line]
    assert (looking.returncode, ours) == (0, [])
