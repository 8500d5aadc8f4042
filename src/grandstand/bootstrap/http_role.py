"""The roles `ingest` and `api`: one HTTP server."""

import asyncio
import contextlib
from collections.abc import Sequence

from grandstand.api.app import build_app
from grandstand.api.services import Services
from grandstand.bootstrap.console_services import build_console_services
from grandstand.bootstrap.core import Core
from grandstand.bootstrap.garbage import spare_what_stays
from grandstand.bootstrap.listening import Listening
from grandstand.console.app import ConsoleApp
from grandstand.console.live_overview import LiveOverview
from grandstand.operations.accept_events import EventIntake
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.export_player import PlayerExporter
from grandstand.operations.find_ranking import RankingFinder
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.followed_sessions import FOLLOW_SECONDS
from grandstand.operations.join_tournament import TournamentJoiner
from grandstand.operations.kept_reports import KeptReports
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.operations.list_leaderboards import LeaderboardLister
from grandstand.operations.list_tournaments import TournamentLister
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.live_tournaments import LiveTournaments
from grandstand.operations.manage_dead_letters import DeadLetterManager
from grandstand.operations.manage_keys import KeyManager
from grandstand.operations.manage_webhooks import WebhookManager
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.read_audit_log import AuditReader
from grandstand.operations.read_events import EventReader
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.trace_events import EventTracer
from grandstand.operations.watch_load import LOOK_SECONDS
from grandstand.operations.webhook_connections import AddressGuard, SystemResolver
from grandstand.operations.write_score import ScoreWriter
from grandstand.settings import Role
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.audit import AuditStore
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.dead_letters import DeadLetterStore
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.event_reads import EventReads
from grandstand.storage.player_exports import PlayerExports
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.rate_limits import RateLimitStore
from grandstand.workers.loop import run_every

_STREAM_SECONDS = 0.5
"""How often each process looks whether the stream is still the one that it knows."""


async def run_http(core: Core, roles: Sequence[Role], listening: Listening, stop: asyncio.Event) -> None:
    """Answer requests until the stop, then finish those under way and the writes that they wait for."""
    settings = core.settings
    feed = ChangeFeed(core.valkey, settings.valkey_prefix, core.follower.wake)
    await ensure_first_keys(core.database, settings, make_missing=False)
    authenticator = Authenticator(
        core.database,
        refresh_seconds=settings.credential_refresh_seconds,
        token_ttl_seconds=settings.player_token_ttl_seconds,
        session_seconds=settings.player_session_max_seconds,
    )
    await authenticator.start()
    limiter = RateLimiter(RateLimitStore(core.valkey, settings.valkey_prefix), RateLimits.of(settings))
    finder = RankingFinder(
        core.catalog, core.database, core.leaderboards, core.rankings, core.buckets, feed, core.reads
    )
    reader = _reader(core, finder, feed)
    known = KnownTournaments(core.reads, core.tournaments, feed, settings.tournament_cache_seconds)
    tournament_ranks = TournamentReader(core.reads, core.tournaments, known, core.prizes, reader)
    profiles = PlayerReader(
        core.primary_reads, core.players, core.bans, core.prizes, core.rankings, core.catalog, reader, tournament_ranks
    )
    live, live_tournaments = LiveBoards(reader), LiveTournaments(reader, tournament_ranks)
    resolver = SystemResolver()
    guard = AddressGuard(resolver, allow_private=settings.webhook_allow_private)
    services = Services(
        settings=settings,
        roles=frozenset(roles),
        authenticator=authenticator,
        limiter=limiter,
        sessions=SessionOpener(authenticator, core.database, core.bans),
        keys=KeyManager(core.database),
        audit=AuditReader(core.reads, AuditStore()),
        analytics=AnalyticsReader(
            core.reads,
            AnalyticsStore(),
            KeptReports(core.database, core.reads, age_max_seconds=settings.analytics_report_seconds),
            age_max_seconds=settings.analytics_cache_seconds,
        ),
        intake=EventIntake(core.streams, settings, core.catalog.score_fields),
        definer=core.definer(),
        lister=LeaderboardLister(core.catalog, core.database),
        reader=reader,
        live=live,
        scores=ScoreWriter(finder, core.streams),
        players=PlayerKeeper(core.database, core.players, core.changes),
        profiles=profiles,
        banner=core.banner(),
        exporter=PlayerExporter(core.database, PlayerExports(), core.archived, profiles),
        eraser=core.eraser(),
        tournaments=core.tournament_keeper(),
        tournament_list=TournamentLister(core.reads, core.tournaments, known),
        tournament_entry=TournamentJoiner(core.database, core.ledger, core.tournaments, core.bans, core.changes),
        tournament_ranks=tournament_ranks,
        live_tournaments=live_tournaments,
        prizes=core.prize_keeper(feed),
        reads=core.reads,
        webhooks=WebhookManager(core.database, core.webhooks, core.outbox, guard),
        dead_letters=DeadLetterManager(core.database, DeadLetterStore(), core.streams),
        events=EventReader(core.reads, EventReads()),
        tracer=EventTracer(core.reads, core.catalog, QuarantineStore()),
        quarantine=core.quarantine_manager(),
        health=HealthChecker(
            core.database, core.stream_history, core.streams, core.stream_memory, core.index, roles, reads=core.reads
        ),
    )
    console = build_console_services(services, core.database, core.valkey, core.streams, core.tournaments)
    # These follow until cancelled; the HTTP server is what finishes in an orderly way.
    followers = [
        asyncio.create_task(feed.run()),
        asyncio.create_task(core.follower.run()),
        asyncio.create_task(run_every("stream", _STREAM_SECONDS, core.trust.look, stop)),
        asyncio.create_task(run_every("load", LOOK_SECONDS, console.load.look, stop)),
        asyncio.create_task(run_every("operator sessions", FOLLOW_SECONDS, console.followed.look, stop)),
        *_watching(core, stop),
        asyncio.create_task(_close_at(stop, live, live_tournaments, console.overview)),
    ]
    try:
        rest = build_app(services)
        listening.app.begin(ConsoleApp(console, rest) if "api" in roles else rest)
        spare_what_stays()
        await listening.start()
        with contextlib.suppress(TimeoutError):
            # What is not written by then was not acknowledged either.
            await asyncio.wait_for(services.intake.close(), settings.shutdown_timeout_seconds)
    finally:
        for task in followers:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*followers)
        await limiter.close()
        await authenticator.stop()
        resolver.close()


def _watching(core: Core, stop: asyncio.Event) -> list["asyncio.Task[None]"]:
    watch = core.reads.watch
    if watch is None:
        return []
    return [asyncio.create_task(run_every("replicas", watch.interval_seconds, watch.look, stop))]


def _reader(core: Core, finder: RankingFinder, feed: ChangeFeed) -> LeaderboardReader:
    names = PlayerNames(core.database, core.players, feed)
    return LeaderboardReader(
        finder, core.reads, core.rankings, core.index, EntryReads(), core.archive, names, core.trust
    )


async def _close_at(stop: asyncio.Event, *live: LiveBoards | LiveOverview) -> None:
    """End the live streams at the stop, so that the HTTP server need not wait for them."""
    await stop.wait()
    for boards in live:
        await boards.close()
