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
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.settings import Role, Settings
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.entry_reads import EntryReads
from grandstand.workers.event_consumer import EventConsumer
from grandstand.workers.loop import run_every
from grandstand.workers.partition_keeper import PartitionKeeper
from grandstand.workers.ranking_keeper import RankingKeeper
from grandstand.workers.ranking_sweeper import RankingSweeper

_PARTITION_SECONDS = 600.0
_RANKING_SECONDS = 0.25
_SWEEP_SECONDS = 5.0
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
        core.database, core.ledger, core.event_log, core.entries, core.catalog, core.index, core.changes
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
    rebuilder = RankingRebuilder(core.database, core.entries, core.index)
    rankings = RankingKeeper(core.database, core.catalog, core.index, rebuilder)
    sweeper = RankingSweeper(core.database, core.leaderboards, core.entries, core.index)
    return [
        run_every("partitions", _PARTITION_SECONDS, partitions.keep, stop),
        run_every("rankings", _RANKING_SECONDS, rankings.keep, stop),
        run_every("sweep", _SWEEP_SECONDS, sweeper.sweep, stop),
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
    services = Services(
        settings=settings,
        authenticator=authenticator,
        sessions=SessionOpener(authenticator, core.database),
        intake=EventIntake(core.stream, settings, core.catalog.score_fields),
        definer=core.definer(),
        reader=LeaderboardReader(
            core.catalog, core.database, core.leaderboards, core.index, EntryReads(core.database), feed
        ),
        health=HealthChecker(core.database, core.stream, roles),
    )
    # These follow until cancelled; the HTTP server is what finishes in an orderly way.
    followers = [asyncio.create_task(feed.run()), asyncio.create_task(core.follower.run())]
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
        await authenticator.stop()
