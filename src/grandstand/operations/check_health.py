"""Says how the deployment is doing, quickly: an engine that does not answer within two seconds is unreachable.

Ready means that all roles of a process can do their work: `ingest` needs Valkey alone, so that events are taken while
PostgreSQL is away; `api` needs both (reads fall back to PostgreSQL, and private boards and definitions live there).
A process with both roles is ready when both engines answer; run `ingest` apart to take events through an outage.
"""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Literal, TypeVar

import msgspec

from grandstand import __version__
from grandstand.domain.errors import UnavailableError
from grandstand.settings import Role
from grandstand.storage.event_stream import EventStream
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex

ANSWER_TIMEOUT_SECONDS = 2.0

T = TypeVar("T")

EngineState = Literal["ok", "unreachable"]


class StreamHealth(msgspec.Struct):
    """How far processing is behind: events not yet processed, and the age of the oldest. Null while unknown."""

    depth: int | None
    lag_seconds: float | None


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

    def __init__(self, database: Database, stream: EventStream, index: RankingIndex, roles: Collection[Role]) -> None:
        self._database = database
        self._stream = stream
        self._index = index
        self._roles = frozenset(roles)

    async def health(self) -> Health:
        """Return the state of both engines and of the stream; never raises for an engine that is away."""
        postgres, depth, rebuilds = await asyncio.gather(
            _ask(self._ask_postgres()), _ask(self._stream.depth()), _ask(self._index.rebuilds())
        )
        rebuilding = None if rebuilds is None else [RebuildProgress(key, *news) for key, news in rebuilds.items()]
        return Health(
            status="ok" if postgres is not None and depth is not None else "degraded",
            version=__version__,
            postgres="unreachable" if postgres is None else "ok",
            valkey="unreachable" if depth is None else "ok",
            stream=StreamHealth(None, None) if depth is None else StreamHealth(depth.depth, depth.lag_seconds),
            rankings=RankingHealth(rebuilding),
        )

    async def ready(self) -> bool:
        """Tell whether every engine that the roles of this process need answers."""
        needed: list[Awaitable[Any]] = [_ask(self._stream.depth())]
        if self._roles - {"ingest"}:
            needed.append(_ask(self._ask_postgres()))
        return None not in await asyncio.gather(*needed)

    def pools(self) -> PoolHealth:
        """Return how this process uses its connections to PostgreSQL."""
        pool = self._database.pool
        use = PoolUse(
            total=pool.get_size(),
            idle=pool.get_idle_size(),
            waiting=self._database.waiting,
            max=pool.get_max_size(),
        )
        return PoolHealth(use.total, use.idle, use.waiting, use.max, {"write": use, "read": use})

    async def _ask_postgres(self) -> bool:
        async with self._database.connection() as connection:
            await connection.fetchval("SELECT 1")
        return True


async def _ask(question: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            return await question
    except (TimeoutError, UnavailableError):
        return None
