"""Runs the roles of one process until it is told to stop."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from grandstand.api.app import build_app
from grandstand.api.server import serve_http
from grandstand.api.services import Services
from grandstand.bootstrap.core import Core, open_core
from grandstand.bootstrap.setup import check_schema
from grandstand.operations.accept_events import EventIntake
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.close_periods import PeriodCloser
from grandstand.operations.find_ranking import RankingFinder
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.operations.write_score import ScoreWriter
from grandstand.settings import Role, Settings
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.entry_reads import EntryReads
from grandstand.workers.event_consumer import EventConsumer
from grandstand.workers.loop import run_every
from grandstand.workers.partition_keeper import PartitionKeeper
from grandstand.workers.ranking_keeper import RankingKeeper
from grandstand.workers.ranking_reconciler import RankingReconciler
from grandstand.workers.ranking_sweeper import RankingSweeper

_PARTITION_SECONDS = 600.0
_RANKING_SECONDS = 0.25
_SWEEP_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_RECONCILE_SECONDS = 1.0
_log = structlog.get_logger(__name__)


async def run_roles(
    settings: Settings, roles: Sequence[Role], listen: socket.socket | None, stop: asyncio.Event
) -> None:
    """Run the roles until `stop` is set, then finish what is under way, within the shutdown time-out.

    `listen` is the socket for HTTP; without one, a process with the role `ingest` or `api` binds its own.

    Raises:
        EngineUnreachableError: an engine is missing, out of reach at the start, or of another schema version.

    """
    await asyncio.to_thread(check_schema, settings)
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        await core.follower.refresh()
        # Work that ends by itself after the stop; the first to fail ends them all, and the process with it.
        async with asyncio.TaskGroup() as group:
            if "worker" in roles:
                group.create_task(_consumer(core).run(stop), name="event consumer")
            if "scheduler" in roles:
                for work in _scheduled(core, stop):
                    group.create_task(work)
            if "ingest" in roles or "api" in roles:
                group.create_task(_run_http(core, roles, listen, stop), name="http")
            _log.info("roles_started", roles=list(roles), pid=os.getpid())
    _log.info("roles_stopped", roles=list(roles), pid=os.getpid())


def _consumer(core: Core) -> EventConsumer:
    applier = EventApplier(
        core.database, core.ledger, core.event_log, core.catalog, core.folder(), core.index, core.changes
    )
    return EventConsumer(
        f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        core.stream,
        applier,
        batch_max=core.settings.worker_batch_max,
        low_share=core.settings.worker_low_share,
        reclaim_idle_seconds=core.settings.reclaim_idle_seconds,
    )


def _scheduled(core: Core, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
    """Return the loops of the scheduler. Each is harmless beside the same loop of another scheduler."""
    partitions = PartitionKeeper(core.database, core.event_log, core.settings.partitions_ahead)
    rebuilder = RankingRebuilder(core.database, core.rankings, core.entries, core.index)
    rankings = RankingKeeper(core.database, core.catalog, core.rankings, core.index, rebuilder)
    sweeper = RankingSweeper(core.database, core.rankings, core.entries, core.archive, core.buckets, core.index)
    reconciler = RankingReconciler(core.database, core.catalog, core.rankings, core.entries, core.index)
    closer = PeriodCloser(
        core.database, core.ledger, core.catalog, core.rankings, core.archive, core.stream, core.changes
    )
    return [
        run_every("partitions", _PARTITION_SECONDS, partitions.keep, stop),
        run_every("rankings", _RANKING_SECONDS, rankings.keep, stop),
        run_every("sweep", _SWEEP_SECONDS, sweeper.sweep, stop),
        run_every("periods", _CLOSE_SECONDS, closer.close, stop),
        run_every("reconcile", _RECONCILE_SECONDS, reconciler.reconcile, stop),
    ]


async def _run_http(core: Core, roles: Sequence[Role], listen: socket.socket | None, stop: asyncio.Event) -> None:
    settings = core.settings
    feed = ChangeFeed(core.valkey, settings.valkey_prefix, core.follower.wake)
    await ensure_first_keys(core.database, settings, make_missing=False)
    authenticator = Authenticator(
        core.database,
        refresh_seconds=settings.credential_refresh_seconds,
        token_ttl_seconds=settings.player_token_ttl_seconds,
    )
    await authenticator.start()
    finder = RankingFinder(core.catalog, core.database, core.leaderboards, core.rankings, core.buckets, feed)
    reader = _reader(core, finder, feed)
    live = LiveBoards(reader)
    services = Services(
        settings=settings,
        authenticator=authenticator,
        sessions=SessionOpener(authenticator, core.database),
        intake=EventIntake(core.stream, settings, core.catalog.score_fields),
        definer=core.definer(),
        reader=reader,
        live=live,
        scores=ScoreWriter(finder, core.stream),
        players=PlayerKeeper(core.database, core.players, core.changes),
        health=HealthChecker(core.database, core.stream, roles),
    )
    # These follow until cancelled; the HTTP server is what finishes in an orderly way.
    followers = [
        asyncio.create_task(feed.run()),
        asyncio.create_task(core.follower.run()),
        asyncio.create_task(_close_at(stop, live)),
    ]
    try:
        await serve_http(build_app(services), settings, listen, stop)
        await services.intake.close()
    finally:
        for task in followers:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*followers)
        await authenticator.stop()


def _reader(core: Core, finder: RankingFinder, feed: ChangeFeed) -> LeaderboardReader:
    names = PlayerNames(core.database, core.players, feed)
    return LeaderboardReader(finder, core.database, core.rankings, core.index, EntryReads(), core.archive, names)


async def _close_at(stop: asyncio.Event, live: LiveBoards) -> None:
    """End the streams of live boards at the stop, so that the HTTP server need not wait for them."""
    await stop.wait()
    await live.close()
