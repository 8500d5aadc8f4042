"""The roles `ingest` and `api`: one HTTP server."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from grandstand.api.app import build_app
from grandstand.api.server import serve_http
from grandstand.api.services import Services
from grandstand.bootstrap.core import Core
from grandstand.operations.accept_events import EventIntake
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.find_ranking import RankingFinder
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.limit_requests import RateLimiter, RateLimits
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.live_tournaments import LiveTournaments
from grandstand.operations.manage_keys import KeyManager
from grandstand.operations.manage_webhooks import WebhookManager
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.webhook_connections import AddressGuard, SystemResolver
from grandstand.operations.write_score import ScoreWriter
from grandstand.settings import Role
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.rate_limits import RateLimitStore


async def run_http(core: Core, roles: Sequence[Role], listen: socket.socket | None, stop: asyncio.Event) -> None:
    """Serve requests until the stop, then finish those under way and the writes that they wait for."""
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
    finder = RankingFinder(core.catalog, core.database, core.leaderboards, core.rankings, core.buckets, feed)
    reader = _reader(core, finder, feed)
    tournament_ranks = TournamentReader(core.database, core.tournaments, reader)
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
        intake=EventIntake(core.stream, settings, core.catalog.score_fields),
        definer=core.definer(),
        reader=reader,
        live=live,
        scores=ScoreWriter(finder, core.stream),
        players=PlayerKeeper(core.database, core.players, core.changes),
        profiles=PlayerReader(
            core.database, core.players, core.bans, core.prizes, core.rankings, core.catalog, reader, tournament_ranks
        ),
        banner=core.banner(),
        tournaments=core.tournament_keeper(),
        tournament_ranks=tournament_ranks,
        live_tournaments=live_tournaments,
        prizes=core.prize_keeper(),
        webhooks=WebhookManager(core.database, core.webhooks, core.outbox, guard),
        health=HealthChecker(core.database, core.stream, core.index, roles),
    )
    # These follow until cancelled; the HTTP server is what finishes in an orderly way.
    followers = [
        asyncio.create_task(feed.run()),
        asyncio.create_task(core.follower.run()),
        asyncio.create_task(_close_at(stop, live, live_tournaments)),
    ]
    try:
        await serve_http(build_app(services), settings, listen, stop)
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


def _reader(core: Core, finder: RankingFinder, feed: ChangeFeed) -> LeaderboardReader:
    names = PlayerNames(core.database, core.players, feed)
    return LeaderboardReader(finder, core.database, core.rankings, core.index, EntryReads(), core.archive, names)


async def _close_at(stop: asyncio.Event, *live: LiveBoards) -> None:
    """End the streams of live boards at the stop, so that the HTTP server need not wait for them."""
    await stop.wait()
    for boards in live:
        await boards.close()
