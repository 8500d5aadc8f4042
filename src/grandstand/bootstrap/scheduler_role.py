"""The role `scheduler`: what is done on time, once for a deployment."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from grandstand.bootstrap.core import Core
from grandstand.operations.close_periods import PeriodCloser
from grandstand.operations.rebuild_ranking import RankingRebuilder
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


def scheduled_loops(core: Core, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
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
