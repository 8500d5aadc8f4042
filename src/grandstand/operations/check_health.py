"""Says how the deployment is doing, quickly: an engine that does not answer within two seconds is unreachable.

Ready means that all roles of a process can do their work: `ingest` needs Valkey alone, so that events are taken while
PostgreSQL is away; `api` needs both (reads fall back to PostgreSQL, and private boards and definitions live there), or
a read replica in place of the primary.
A process with both roles is ready when both engines answer, and goes on taking events while it is not. A load balancer
that sends nothing to processes that are not ready would cut that off: give it `ingest` processes of their own, or
`/api/health/live` to ask (docs/faults.md).
"""

import asyncio
from collections.abc import Awaitable, Collection
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from grandstand import __version__, clock
from grandstand.domain.errors import UnavailableError
from grandstand.operations.route_reads import Reads
from grandstand.operations.stream_memory import StreamMemory
from grandstand.settings import Role
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.stream_history import StreamHistory, StreamLoss

ANSWER_TIMEOUT_SECONDS = 2.0
LOSS_SHOWN_SECONDS = 86_400.0
"""How long a lost stream leaves the deployment degraded: until somebody has seen it, or so we hope."""

T = TypeVar("T")

EngineState = Literal["ok", "unreachable"]


class StreamLossNotice(msgspec.Struct):
    """Acknowledged events were lost: when that was noticed, why, and how many at most are known to have waited."""

    noticed_at: datetime
    reason: str
    events_at_risk: int


class StreamHealth(msgspec.Struct):
    """How far processing is behind: events not yet processed, and the age of the oldest. Null while unknown.

    `loss` is the newest loss of the last 24 hours.
    """

    depth: int | None
    lag_seconds: float | None
    loss: StreamLossNotice | None = None


class RebuildProgress(msgspec.Struct):
    """A rank index that is made anew: entries that are in it, of how many."""

    ranking_id: int
    entries: int
    total: int


class RankingHealth(msgspec.Struct):
    """The rank indexes: those that are being rebuilt. Reads are right meanwhile. Null while unknown."""

    rebuilding: list[RebuildProgress] | None


class Health(msgspec.Struct):
    """The state of a deployment as one of its processes sees it."""

    status: Literal["ok", "degraded"]
    version: str
    postgres: EngineState
    valkey: EngineState
    stream: StreamHealth
    rankings: RankingHealth


class PoolUse(msgspec.Struct):
    """Connections of one pool: open, idle, callers waiting for one, and the most it may open."""

    total: int
    idle: int
    waiting: int
    max: int


class PoolHealth(PoolUse):
    """The sum over the pools of this process, and each of them."""

    pools: dict[str, PoolUse]


class HealthChecker:
    """Asks the engines how they are."""

    def __init__(
        self,
        database: Database,
        history: StreamHistory,
        streams: EventStreams,
        memory: StreamMemory,
        index: RankingIndex,
        roles: Collection[Role],
        *,
        reads: Reads,
    ) -> None:
        self._database = database
        self._reads = reads
        self._history = history
        self._streams = streams
        self._memory = memory
        self._index = index
        self._roles = frozenset(roles)

    async def health(self) -> Health:
        """Return the state of both engines and of the stream; never raises for an engine that is away."""
        postgres, depth, rebuilds = await asyncio.gather(
            _ask(self._ask_postgres()), _ask(self._streams.depth()), _ask(self._index.rebuilds())
        )
        rebuilding = None if rebuilds is None else [RebuildProgress(key, *news) for key, news in rebuilds.items()]
        # What PostgreSQL does not have yet, this process has seen for itself.
        loss = (postgres[0] if postgres else None) or self._own_loss()
        return Health(
            status="ok" if postgres is not None and depth is not None and loss is None else "degraded",
            version=__version__,
            postgres="unreachable" if postgres is None else "ok",
            valkey="unreachable" if depth is None else "ok",
            stream=StreamHealth(depth and depth.depth, depth and depth.lag_seconds, loss),
            rankings=RankingHealth(rebuilding),
        )

    async def ready(self) -> bool:
        """Tell whether every engine that the roles of this process need answers."""
        needed: list[Awaitable[Any]] = [self._ask_streams()]
        watch = self._reads.watch
        if self._roles - {"ingest"} and not (watch is not None and watch.up()):
            needed.append(_ask(self._ask_postgres()))
        return None not in await asyncio.gather(*needed)

    def pools(self) -> PoolHealth:
        """Return how this process uses its connections to PostgreSQL."""
        uses = {name: _use_of(database) for name, database in self._all_pools()}
        return PoolHealth(
            total=sum(use.total for use in uses.values()),
            idle=sum(use.idle for use in uses.values()),
            waiting=sum(use.waiting for use in uses.values()),
            max=sum(use.max for use in uses.values()),
            pools=uses,
        )

    def _all_pools(self) -> list[tuple[str, Database]]:
        primary, *replicas = self._reads.databases
        return [("write", self._database), ("read", primary), *((replica.name, replica) for replica in replicas)]

    def _own_loss(self) -> StreamLossNotice | None:
        loss = self._memory.newest
        if loss is None or (clock.now() - loss.noticed_at).total_seconds() > LOSS_SHOWN_SECONDS:
            return None
        return _notice(loss)

    async def _ask_streams(self) -> bool | None:
        """Whether a stream answers: while one does, events are taken; None without."""
        return bool(await _ask(self._streams.depths())) or None

    async def _ask_postgres(self) -> tuple[StreamLossNotice | None]:
        async with self._database.connection() as connection:
            loss = await self._history.newest_loss(connection, LOSS_SHOWN_SECONDS)
        return (None if loss is None else _notice(loss),)


def _notice(loss: StreamLoss) -> StreamLossNotice:
    return StreamLossNotice(loss.noticed_at, loss.reason, loss.events_at_risk)


def _use_of(database: Database) -> PoolUse:
    pool = database.pool
    return PoolUse(pool.get_size(), pool.get_idle_size(), database.waiting, pool.get_max_size())


async def _ask(question: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            return await question
    except (TimeoutError, UnavailableError):
        return None
