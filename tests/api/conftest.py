"""The real app over real engines, in this process; `Site` is what a test talks to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
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
from grandstand.operations.ban_player import PlayerBanner
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.claim_prizes import PrizeKeeper
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.export_player import PlayerExporter
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.join_tournament import TournamentJoiner
from grandstand.operations.kept_reports import KeptReports
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.operations.list_tournaments import TournamentLister
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.live_tournaments import LiveTournaments
from grandstand.operations.manage_dead_letters import DeadLetterManager
from grandstand.operations.manage_keys import KeyManager
from grandstand.operations.manage_tournaments import TournamentKeeper
from grandstand.operations.manage_webhooks import WebhookManager
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.read_audit_log import AuditReader
from grandstand.operations.read_events import EventReader
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.route_reads import Reads
from grandstand.operations.trace_events import EventTracer
from grandstand.operations.webhook_connections import AddressGuard, SystemResolver
from grandstand.settings import Settings, load_settings
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.audit import AuditStore
from grandstand.storage.event_reads import EventReads
from grandstand.storage.player_exports import PlayerExports
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.rate_limits import RateLimitStore
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.webhooks import WebhookStore
from tests.support.core import Core, open_core
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.leaks import check_answer
from tests.support.waiting import eventually_async

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

    async def delete(self, path: str, who: str | None = "server") -> httpx.Response:
        return await self.client.delete(path, headers=self.headers(who))

    async def token(self, user_id: str) -> str:
        """A player token of the user."""
        answer = await self.post("/api/players/sessions", {"user_id": user_id}, "server")
        token: str = answer.json()["token"]
        return token

    async def count_streamed(self) -> int:
        """How many events came into the stream since this test began."""
        return (await self.core.stream.depth()).depth - self.streamed_before

    async def work(self) -> None:
        """Apply what is in the stream, as a worker does."""
        stream = self.core.stream
        while blocks := [block for priority in (0, 1) for block in await stream.read("tests", priority, 100)]:
            await self.core.applier.apply(blocks)
            await stream.acknowledge(blocks)

    async def hear(self) -> None:
        """Wait until this process has heard of every change that was announced before."""
        nobody = -1 - self.core.feed._generation
        before = self.core.feed.generation(nobody)
        await self.core.changes.rankings([nobody])
        await eventually_async(lambda: self.core.feed.generation(nobody) != before, what="changes are heard")


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
    authenticator = Authenticator(core.database, refresh_seconds=60, token_ttl_seconds=3600, session_seconds=86_400)
    await authenticator.start()
    known = KnownTournaments(core.database, core.tournaments, core.feed, settings.tournament_cache_seconds)
    ranks = TournamentReader(core.database, core.tournaments, known, core.prizes, core.reader)
    profiles = PlayerReader(
        core.database, core.players, core.bans, core.prizes, core.rankings, core.catalog, core.reader, ranks
    )
    live, live_tournaments = LiveBoards(core.reader), LiveTournaments(core.reader, ranks)
    limiter = RateLimiter(RateLimitStore(core.valkey, settings.valkey_prefix), RateLimits.of(settings))
    resolver = SystemResolver()
    guard = AddressGuard(resolver, allow_private=settings.webhook_allow_private)
    services = Services(
        settings=settings,
        authenticator=authenticator,
        limiter=limiter,
        intake=EventIntake(core.streams, settings, core.catalog.score_fields),
        sessions=SessionOpener(authenticator, core.database, core.bans),
        reader=core.reader,
        live=live,
        definer=LeaderboardDefiner(
            core.database, core.ledger, core.store, core.rankings, core.entries, core.index, core.changes, core.catalog
        ),
        lister=core.lister,
        scores=core.writer,
        players=PlayerKeeper(core.database, core.players, core.changes),
        profiles=profiles,
        banner=PlayerBanner(
            core.database, core.ledger, core.bans, core.entries, core.tournaments, core.prizes, core.index, core.changes
        ),
        exporter=PlayerExporter(core.database, PlayerExports(), core.archived, profiles),
        eraser=core.new_eraser(),
        tournaments=TournamentKeeper(
            core.database,
            core.ledger,
            core.store,
            core.rankings,
            core.tournaments,
            core.outbox,
            core.changes,
            grace_seconds=settings.tournament_grace_seconds,
        ),
        tournament_list=TournamentLister(core.database, core.tournaments, known),
        tournament_entry=TournamentJoiner(core.database, core.ledger, core.tournaments, core.bans, core.changes),
        tournament_ranks=ranks,
        live_tournaments=live_tournaments,
        prizes=PrizeKeeper(
            core.database,
            core.prizes,
            core.outbox,
            core.changes,
            core.feed,
            age_max_seconds=settings.prize_cache_seconds,
        ),
        webhooks=WebhookManager(core.database, WebhookStore(), core.outbox, guard),
        dead_letters=DeadLetterManager(core.database, core.letters, core.streams),
        events=EventReader(core.database, EventReads()),
        tracer=EventTracer(core.database, core.catalog, QuarantineStore()),
        quarantine=core.new_quarantine_manager(),
        keys=KeyManager(core.database),
        audit=AuditReader(core.database, AuditStore()),
        analytics=AnalyticsReader(
            core.database, AnalyticsStore(), KeptReports(core.database, core.database, age_max_seconds=600)
        ),
        health=HealthChecker(
            core.database,
            StreamHistory(),
            core.streams,
            core.new_memory(),
            core.index,
            ("ingest", "api"),
            reads=Reads(core.database),
        ),
        reads=Reads(core.database),
    )
    app = build_app(services)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://grandstand", event_hooks={"response": [check_answer]}
        ) as client:
            yield Site(app, client, services, core)
    finally:
        await live.close()
        await live_tournaments.close()
        resolver.close()
        await services.intake.close()
        await limiter.close()
        await authenticator.stop()


UNLIMITED = {
    f"rate_limit_{who}": 0
    for who in ("player_requests", "player_events", "address_player_requests", "client_requests", "anonymous_requests")
}
"""Tests ask more in a minute than clients may; those of the limits set them."""


@asynccontextmanager
async def open_deployment(
    engines: RunningEngines, template_database: str, folder: Path, **more: Any
) -> AsyncIterator[Site]:
    """The app on a database and a Valkey prefix of its own; `more` are settings."""
    name = engines.create_database(template_database)
    prefix = f"api-{uuid4().hex[:8]}"
    settings = load_settings(
        database_url=engines.database_url(name),
        database_schema=SCHEMA,
        database_pool_max=5,
        valkey_url=engines.valkey_url,
        valkey_prefix=prefix,
        data_dir=folder,
        port=0,
        **{f"{kind}_key": key for kind, key in KEYS.items()},
        **UNLIMITED | more,
    )
    async with open_core(engines.database_url(name), engines.valkey_url, prefix) as core:
        await core.definer.ensure_global()
        await core.refresh()
        async with open_site(core, settings) as opened:
            yield opened
    engines.drop_database(name)


@pytest.fixture(scope="module")
async def module_site(
    anyio_backend: Any, engines: RunningEngines, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The app for this module's tests. It hears of no change, so it keeps no page."""
    async with open_deployment(engines, template_database, tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
async def module_keeping_site(
    anyio_backend: Any, engines: RunningEngines, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The app for this module's tests, which hears of changes and keeps what it reads for a minute."""
    folder = tmp_path_factory.mktemp("data")
    ages = {"read_cache_seconds": 60, "tournament_cache_seconds": 60, "prize_cache_seconds": 60}
    async with open_deployment(engines, template_database, folder, **ages) as opened:
        listening = asyncio.create_task(opened.core.feed.run())
        await eventually_async(lambda: opened.core.feed.periods_generation() is not None)
        yield opened
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture
async def keeping_site(module_keeping_site: Site) -> Site:
    """The module's app that keeps pages until it hears of a change."""
    return module_keeping_site


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
