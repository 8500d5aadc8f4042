"""How far read replicas are behind, measured by what was asked of the primary, not by anybody's clock.

Each look asks the primary for its place in the log, and then each replica for its own. A replica that has replayed a
place shows everything that was committed before the primary was asked for it. So a replica's lag is the time since the
newest such question, which goes on growing while nobody looks: what is called fresh here is never older than the limit.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.storage import queries
from grandstand.storage.postgres import Database
from grandstand.storage.schema_version import read_version
from grandstand.telemetry import metrics

ANSWER_TIMEOUT_SECONDS = 2.0
"""A server that says nothing for so long is out of reach."""

_PLACES_MAX = 3600
_log = structlog.get_logger(__name__)


@dataclass
class Replica:
    """A read replica as this process sees it."""

    database: Database
    is_up: bool | None = None
    """Whether it answered the last look, with the schema of this version; None before the first."""
    caught_up_at: float | None = None
    """The moment of the monotonic clock until which it shows everything; None while that is unknown."""

    @property
    def name(self) -> str:
        """As metrics and logs call it. It tells nothing of where the replica is."""
        return self.database.name

    def is_fresh(self, lag_max_seconds: float) -> bool:
        """Whether it answers and lacks nothing that is older than the limit."""
        return bool(self.is_up) and self.caught_up_at is not None and self.lag_seconds() <= lag_max_seconds

    def lag_seconds(self) -> float:
        """Return for how long what it lacks may have been there; infinite while unknown."""
        return float("inf") if self.caught_up_at is None else time.monotonic() - self.caught_up_at


class ReplicaWatch:
    """Looks at the replicas of one primary, which is asked through a pool that nothing else fills."""

    def __init__(self, primary: Database, replicas: Sequence[Replica], lag_max_seconds: float) -> None:
        self._primary = primary
        self.replicas = replicas
        self.lag_max_seconds = lag_max_seconds
        self.is_primary_up = True
        """Whether the primary answered the last look."""
        self._places: deque[tuple[float, int]] = deque(maxlen=_PLACES_MAX)

    @property
    def interval_seconds(self) -> float:
        """How often to look."""
        return min(1.0, self.lag_max_seconds / 5)

    def fresh(self) -> list[Replica]:
        """Return those that lack nothing older than the limit."""
        return [replica for replica in self.replicas if replica.is_fresh(self.lag_max_seconds)]

    def up(self) -> list[Replica]:
        """Return those that answer, the least behind first."""
        return sorted((replica for replica in self.replicas if replica.is_up), key=Replica.lag_seconds)

    def suspend(self, replica: Replica) -> None:
        """Ask nothing more of a replica until a look finds it well."""
        self._set_up(replica, is_up=False, reason="it broke off")

    async def look(self) -> None:
        """Look once at all; a server that is away is no error."""
        await self._look_at_primary()
        await asyncio.gather(*(self._look_at(replica) for replica in self.replicas))

    async def _look_at_primary(self) -> None:
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS), self._primary.connection() as connection:
                place: int = await connection.fetchval(queries.load("replicas/primary_position.sql"))
        except (UnavailableError, TimeoutError, asyncpg.PostgresError):
            self.is_primary_up = False
            return
        self.is_primary_up = True
        if self._places and place < self._places[-1][1]:
            # Another primary, from an earlier backup: places of the one before say nothing about it.
            self._places.clear()
        self._places.append((asked_at, place))

    async def _look_at(self, replica: Replica) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS), replica.database.connection() as connection:
                replayed = await connection.fetchval(queries.load("replicas/replica_position.sql"))
                version = await read_version(connection)
        except (UnavailableError, TimeoutError, asyncpg.PostgresError) as error:
            cause = type(error.__cause__ or error).__name__
            self._set_up(replica, is_up=False, reason=f"{str(error).rstrip('.')} ({cause})".lstrip())
        else:
            if replayed is None:
                self._set_up(replica, is_up=False, reason="it is no replica")
            elif version is None or not version.fits:
                self._set_up(replica, is_up=False, reason="its schema is not of this version")
            else:
                shown = [asked_at for asked_at, place in self._places if place <= replayed]
                if shown:
                    replica.caught_up_at = max(shown[-1], replica.caught_up_at or shown[-1])
                self._set_up(replica, is_up=True)
        metrics.REPLICA_LAG_SECONDS.labels(replica.name).set(replica.lag_seconds())
        metrics.REPLICA_UP.labels(replica.name).set(bool(replica.is_up))

    def _set_up(self, replica: Replica, *, is_up: bool, reason: str = "") -> None:
        if not is_up and replica.is_up is not False:
            _log.warning("replica_away", replica=replica.name, reason=reason)
        elif is_up and not replica.is_up:
            _log.info("replica_up", replica=replica.name)
        replica.is_up = is_up
