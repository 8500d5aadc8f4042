"""The real app over real engines, in this process; `Site` is what a test talks to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar.types import ASGIApp

from grandstand.api.app import build_app
from grandstand.api.server import serve_http
from grandstand.api.services import Services
from grandstand.operations.accept_events import EventIntake
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.open_session import SessionOpener
from grandstand.settings import Settings, load_settings
from tests.support.core import Core, open_core
from tests.support.engines import SCHEMA, RunningEngines

KEYS = {
    "admin": "gs_admin_tests-0123456789abcdef",
    "server": "gs_server_tests-0123456789abcdef",
    "client": "gs_client_tests-0123456789abcdef",
}


@dataclass
class Site:
    """The app, a client of it, and what stands behind."""

    app: ASGIApp
    client: httpx.AsyncClient
    services: Services
    core: Core
    streamed_before: int = 0

    def headers(self, who: str | None) -> dict[str, str]:
        """Headers with the credential of `admin`, `server`, `client`, a token, or none."""
        return {} if who is None else {"Authorization": f"Bearer {KEYS.get(who, who)}"}

    async def get(self, path: str, who: str | None = None, **more: Any) -> httpx.Response:
        return await self.client.get(path, headers=self.headers(who) | more.pop("headers", {}), **more)

    async def post(self, path: str, content: Any, who: str | None = None, **more: Any) -> httpx.Response:
        """Post JSON, or bytes as they are."""
        headers = {"Content-Type": "application/json"} | self.headers(who) | more.pop("headers", {})
        if not isinstance(content, bytes):
            return await self.client.post(path, json=content, headers=headers, **more)
        return await self.client.post(path, content=content, headers=headers, **more)

    async def put(self, path: str, content: Any, who: str | None = "server") -> httpx.Response:
        return await self.client.put(path, json=content, headers=self.headers(who))

    async def token(self, user_id: str) -> str:
        """A player token of the user."""
        answer = await self.post("/api/players/sessions", {"user_id": user_id}, "server")
        token: str = answer.json()["token"]
        return token

    async def count_streamed(self) -> int:
        """How many events came into the stream since this test began."""
        return (await self.core.stream.depth()).depth - self.streamed_before


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is this problem, and return its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code, body
    assert {"type", "title", "detail"} <= body.keys()
    return body


@asynccontextmanager
async def open_site(core: Core, settings: Settings) -> AsyncIterator[Site]:
    """The app over a core."""
    await ensure_first_keys(core.database, settings)
    await core.stream.create_group()
    authenticator = Authenticator(core.database, refresh_seconds=60, token_ttl_seconds=3600)
    await authenticator.start()
    services = Services(
        settings=settings,
        authenticator=authenticator,
        intake=EventIntake(core.stream, settings, core.catalog.score_fields),
        sessions=SessionOpener(authenticator, core.database),
        reader=core.reader,
        definer=core.definer,
        health=HealthChecker(core.database, core.stream, ("ingest", "api")),
    )
    app = build_app(services)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://grandstand") as client:
            yield Site(app, client, services, core)
    finally:
        await services.intake.close()
        await authenticator.stop()


@pytest.fixture(scope="module")
async def module_site(
    anyio_backend: Any, engines: RunningEngines, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The app on a database and a Valkey prefix of this module's tests."""
    name = engines.create_database(template_database)
    prefix = f"api-{uuid4().hex[:8]}"
    settings = load_settings(
        database_url=engines.database_url(name),
        database_schema=SCHEMA,
        database_pool_max=5,
        valkey_url=engines.valkey_url,
        valkey_prefix=prefix,
        data_dir=tmp_path_factory.mktemp("data"),
        port=0,
        **{f"{kind}_key": key for kind, key in KEYS.items()},
    )
    async with open_core(engines.database_url(name), engines.valkey_url, prefix) as core:
        await core.definer.ensure_global()
        await core.refresh()
        async with open_site(core, settings) as opened:
            yield opened
    engines.drop_database(name)


@pytest.fixture
async def site(module_site: Site) -> Site:
    """The module's app; what it holds from earlier tests does not count."""
    module_site.streamed_before = (await module_site.core.stream.depth()).depth
    return module_site


@asynccontextmanager
async def serve(app: ASGIApp, settings: Settings) -> AsyncIterator[str]:
    """The app on a real uvicorn in this event loop; yields its URL."""
    stop = asyncio.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        serving = asyncio.create_task(serve_http(app, settings, listener, stop))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            await serving
