"""The app on a real server with a real nginx in front of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from grandstand.api.app import build_app
from grandstand.bootstrap.console_services import build_console_services
from grandstand.console.app import ConsoleApp
from grandstand.operations.passwords import Passwords
from tests.api.conftest import KEYS, Site, module_site, serve, site
from tests.support.nginx import open_nginx

__all__ = ["module_site", "site"]

GAME = "https://play.example.com"


@dataclass
class Edge:
    """What stands behind, and a client of nginx."""

    site: Site
    url: str
    client: httpx.AsyncClient
    origin: httpx.AsyncClient

    async def get(self, path: str, who: str | None = None, **headers: str) -> httpx.Response:
        """Ask nginx."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=self.site.headers(who) | more)

    async def asked(self) -> float:
        """How many requests for boards and tournaments the server has answered, by its own metrics."""
        text = (await self.origin.get("/metrics", headers=self.site.headers("server"))).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "grandstand_http_requests_total"
            and sample.labels["route"].startswith(("/api/l", "/api/t"))
        )


OpenEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@pytest.fixture
def open_edge(site: Site) -> OpenEdge:
    """Open an edge in front of the app under some settings."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Edge]:
        changed = site.services.settings.model_copy(update={"cors_allow_origins": (GAME,)} | settings)
        core, services = site.core, replace(site.services, settings=changed)
        console = build_console_services(
            services, core.database, core.valkey, core.streams, core.tournaments, Passwords()
        )
        app = ConsoleApp(console, build_app(services))
        async with (
            serve(app, changed) as origin_url,
            open_nginx(origin_url, (GAME,)) as url,
            httpx.AsyncClient(base_url=url) as client,
            httpx.AsyncClient(base_url=origin_url) as origin,
        ):
            yield Edge(site, url, client, origin)

    return opened


async def read_often(url: str, path: str, count: int, connections: int = 10) -> dict[int, int]:
    """Read a path many times over a few connections, and count the answers by status."""
    host, port = url.removeprefix("http://").split(":")

    async def read(times: int) -> list[int]:
        reader, writer = await asyncio.open_connection(host, int(port))
        statuses = []
        try:
            for _ in range(times):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:] if line)
                await reader.readexactly(int(fields[b"content-length"]))
                statuses.append(int(head.split(b" ", 2)[1]))
        finally:
            writer.close()
        return statuses

    found = await asyncio.gather(*(read(count // connections) for _ in range(connections)))
    statuses = [status for each in found for status in each]
    return {status: statuses.count(status) for status in set(statuses)}


__all__ += ["GAME", "KEYS", "Edge", "OpenEdge", "open_edge", "read_often"]
