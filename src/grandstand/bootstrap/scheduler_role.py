"""The role `scheduler`: what is done on time, once for a deployment.

Of several schedulers one leads (`workers/leader.py`) and does what must be done once; the others stand by. Loops that
heal what readers and writers need at once run in each: they are harmless side by side.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from grandstand.bootstrap.core import Core
from grandstand.invariants.check import Subject
from grandstand.operations.close_periods import PeriodCloser
from grandstand.operations.count_events import EventCounter
from grandstand.operations.cut_scores import ScoreCutter
from grandstand.operations.deliver_webhooks import WebhookDeliverer
from grandstand.operations.finish_erasures import ErasureFinisher
from grandstand.operations.judge_events import EventJudge
from grandstand.operations.kept_reports import ReportKeeper
from grandstand.operations.manage_dead_letters import DeadLetterManager
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.operations.replay_jobs import ReplayRunner
from grandstand.operations.run_tournaments import TournamentRunner
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.operations.watch_stream import StreamWatcher
from grandstand.operations.webhook_connections import AddressGuard, SystemResolver
from grandstand.settings import as_environment
from grandstand.storage.dead_letters import DeadLetterStore
from grandstand.storage.event_archives import EventArchives
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.replay_requests import ReplayRequests
from grandstand.telemetry import metrics
from grandstand.workers.archive_keeper import ArchiveKeeper
from grandstand.workers.leader import Leader
from grandstand.workers.loop import run_every
from grandstand.workers.partition_keeper import PartitionKeeper
from grandstand.workers.ranking_keeper import RankingKeeper
from grandstand.workers.ranking_reconciler import RankingReconciler
from grandstand.workers.ranking_sweeper import RankingSweeper
from grandstand.workers.tournament_clock import TournamentClock
from grandstand.workers.verifier import Verifier
from grandstand.workers.webhook_dispatcher import WebhookDispatcher, WebhookPruner

_PARTITION_SECONDS = 600.0
_RANKING_SECONDS = 0.25
_TOURNAMENT_SECONDS = 0.5
_SWEEP_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_RECONCILE_SECONDS = 1.0
_STREAM_SECONDS = 0.5
_ERASE_SECONDS = 1.0
_PRUNE_SECONDS = 600.0
_COUNT_SECONDS = 2.0
_FILL_SECONDS = 10.0
_ARCHIVE_SECONDS = 60.0
_REPLAY_SECONDS = 0.5
_REPORT_SECONDS = 0.5


def scheduled_loops(core: Core, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
    """Return the loops of the scheduler."""
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    leader = Leader(core.database, core.leases, holder)
    watcher = StreamWatcher(core.database, core.streams, core.stream_history, core.stream_memory)
    partitions = PartitionKeeper(core.database, core.event_log, core.settings.partitions_ahead)
    rebuilder = RankingRebuilder(core.database, core.rankings, core.entries, core.index)
    rankings = RankingKeeper(core.database, core.catalog, core.rankings, core.index, rebuilder)
    sweeper = RankingSweeper(core.database, core.rankings, core.entries, core.archive, core.buckets, core.index)
    reconciler = RankingReconciler(core.database, core.catalog, core.rankings, core.entries, core.index)
    pruner = WebhookPruner(core.database, core.webhooks)
    letters = DeadLetterManager(core.database, DeadLetterStore(), core.streams)
    tournaments = TournamentClock(_runner(core, leader), core.prize_keeper())
    closer = PeriodCloser(
        core.database, core.ledger, core.catalog, core.rankings, core.archive, core.registry, core.changes, core.outbox,
        fence=leader.fence,
    )  # fmt: skip
    erasures = ErasureFinisher(
        core.database, core.ledger, core.erasures, core.registry, core.index, core.changes, fence=leader.fence
    )
    counter = EventCounter(core.database, core.event_log, fence=leader.fence, streams=core.streams, stop=stop)
    judge = EventJudge(QuarantineStore())
    replays = ReplayRunner(ReplayRequests(core.valkey, core.settings.valkey_prefix), core.replayer(), stop)
    reports = ReportKeeper(
        core.database, stop, age_max_seconds=core.settings.analytics_report_seconds, fence=leader.fence
    )
    verifier = Verifier(Subject(core.database, core.valkey, core.settings.valkey_prefix), stop=stop)
    loops = [
        leader.run(stop),
        _dispatch(core, stop),
        run_every("stream", _STREAM_SECONDS, watcher.look, stop),
        # By itself, because PostgreSQL may be away: then the stream holds most.
        run_every("stream history", _STREAM_SECONDS, watcher.record, stop),
        run_every("partitions", _PARTITION_SECONDS, partitions.keep, stop),
        run_every("rankings", _RANKING_SECONDS, rankings.keep, stop),
        run_every("tournaments", _TOURNAMENT_SECONDS, leader.while_leading(tournaments.tick), stop),
        run_every("periods", _CLOSE_SECONDS, leader.while_leading(closer.close), stop),
        run_every("sweep", _SWEEP_SECONDS, leader.while_leading(sweeper.sweep), stop),
        run_every("reconcile", _RECONCILE_SECONDS, leader.while_leading(reconciler.reconcile), stop),
        run_every("erasures", _ERASE_SECONDS, leader.while_leading(erasures.finish), stop),
        run_every("rollups", _COUNT_SECONDS, leader.while_leading(counter.count, counter.stand_by), stop),
        run_every("rollup days", _FILL_SECONDS, leader.while_leading(counter.fill_days), stop),
        run_every("reports", _REPORT_SECONDS, leader.while_leading(reports.keep), stop),
        run_every("replays", _REPLAY_SECONDS, replays.run, stop),
        run_every("prune webhooks", _PRUNE_SECONDS, leader.while_leading(pruner.prune), stop),
        run_every("prune dead letters", _PRUNE_SECONDS, leader.while_leading(letters.prune), stop),
        run_every("prune minutes", _PRUNE_SECONDS, leader.while_leading(partial(judge.prune, core.database)), stop),
    ]
    interval_seconds = core.settings.verify_interval_seconds
    if core.settings.archive_url is not None:
        keeper = ArchiveKeeper(
            core.database, EventArchives(), timedelta(days=core.settings.archive_after_days),
            _environment(core), stop,
        )  # fmt: skip
        loops.append(run_every("archive", _ARCHIVE_SECONDS, leader.while_leading(keeper.keep), stop))
    if interval_seconds:
        loops.append(run_every("verify", interval_seconds, leader.while_leading(verifier.verify), stop))
    return loops


def _environment(core: Core) -> dict[str, str]:
    """Return the environment of a round of archiving: this one's, but for the metrics, in which it is no process."""
    inherited = {name: value for name, value in os.environ.items() if name != metrics.MULTIPROCESS_VARIABLE}
    return inherited | as_environment(core.settings)


def _runner(core: Core, leader: Leader) -> TournamentRunner:
    settler = TournamentSettler(
        core.database, core.ledger, core.tournaments, core.rankings, core.prizes, core.outbox, fence=leader.fence
    )
    cutter = ScoreCutter(
        core.database, core.ledger, core.event_log, core.tournaments, core.rankings, core.entries, core.index,
        core.changes, fence=leader.fence,
    )  # fmt: skip
    return TournamentRunner(
        core.database, core.ledger, core.catalog, core.tournaments, settler, cutter, core.outbox, core.registry,
        core.changes, slack=timedelta(seconds=core.settings.tournament_slack_seconds), fence=leader.fence,
    )  # fmt: skip


async def _dispatch(core: Core, stop: asyncio.Event) -> None:
    """Send webhooks until the stop."""
    resolver = SystemResolver()
    guard = AddressGuard(resolver, allow_private=core.settings.webhook_allow_private)
    deliverer = WebhookDeliverer(core.database, core.webhooks, guard)
    try:
        await WebhookDispatcher(deliverer).run(stop)
    finally:
        await deliverer.close()
        resolver.close()
