"""Chooses the server that a read is answered by: a replica that is fresh enough, else the primary.

Whoever changed something within the lag limit is answered by the primary, so a write is visible to its writer's next
read, whichever process takes it. docs/decisions/0026 has the reasons.
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import asyncpg
import structlog
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import NotFoundError, UnavailableError
from grandstand.operations.audit import current_origin
from grandstand.storage.postgres import OUT_OF_REACH, Connection, Database
from grandstand.storage.recent_writers import RecentWriters
from grandstand.storage.replicas import Replica, ReplicaWatch
from grandstand.telemetry import metrics

Server = Literal["any", "primary"]
"""`primary` for what decides, or is about money."""

_BROKEN = (OSError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
_NOBODY = ("anonymous", "system")
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Reads:
    """Runs reads. Without replicas all go to the primary."""

    def __init__(
        self, primary: Database, watch: ReplicaWatch | None = None, writers: RecentWriters | None = None
    ) -> None:
        self._primary = primary
        self._watch = watch
        self._writers = writers
        self._primary_until = 0.0

    @property
    def databases(self) -> Sequence[Database]:
        """Every pool that reads go through."""
        replicas = self._watch.replicas if self._watch is not None else ()
        return [self._primary, *(replica.database for replica in replicas)]

    @property
    def watch(self) -> ReplicaWatch | None:
        """What knows the replicas; None without any."""
        return self._watch

    async def read(
        self, work: "Callable[[Connection[Any]], Awaitable[T]]", *, in_snapshot: bool = False, server: Server = "any"
    ) -> T:
        """Return what `work` reads on a connection; it may be run again on another server.

        A replica that fails, or does not find what is asked for, is followed by the primary. When the primary is out of
        reach, a replica answers however old it is: nobody has anything newer.

        Raises:
            UnavailableError: no server that may answer can do so right now.
        """
        if self._watch is None or server == "primary" or await self._has_written():
            return await self._ask(self._primary, work, in_snapshot=in_snapshot)
        # A primary that swallows everything would let each read wait for a time-out first.
        asked = self._watch.fresh() or ([] if self._watch.is_primary_up else self._watch.up()[:1])
        if asked:
            replica = random.choice(asked)  # noqa: S311 - spreads load, guards nothing
            try:
                return await self._ask(replica.database, work, in_snapshot=in_snapshot)
            except (NotFoundError, UnavailableError, asyncpg.PostgresError) as error:
                self._judge(replica, error)
        try:
            return await self._ask(self._primary, work, in_snapshot=in_snapshot)
        except UnavailableError as error:
            return await self.read_old(work, error, in_snapshot=in_snapshot)

    async def read_old(
        self,
        work: "Callable[[Connection[Any]], Awaitable[T]]",
        problem: UnavailableError,
        *,
        in_snapshot: bool = False,
    ) -> T:
        """Return what a replica of any age shows, when the primary is out of reach, as `problem` says.

        Raises:
            UnavailableError: `problem`, when it is another one, or no replica answers or finds what is asked for.
        """
        for replica in self._watch.up() if self._watch is not None and _is_away(problem) else ():
            try:
                return await self._ask(replica.database, work, in_snapshot=in_snapshot)
            except NotFoundError:
                # It may be there by now: only the primary would know.
                break
            except (UnavailableError, asyncpg.PostgresError) as error:
                self._judge(replica, error)
        raise problem

    async def note_write(self) -> None:
        """Say that who acts has changed something, before it is told so."""
        writer = _actor()
        if self._writers is None or writer is None:
            return
        try:
            await self._writers.mark(writer)
        except (ValkeyError, OSError):
            self._distrust(self._writers)

    async def _has_written(self) -> bool:
        writer = _actor()
        if self._writers is None or writer is None:
            return False
        try:
            return await self._writers.is_recent(writer) or time.monotonic() < self._primary_until
        except (ValkeyError, OSError):
            self._distrust(self._writers)
            return True

    def _distrust(self, writers: RecentWriters) -> None:
        """Keep who could be a writer at the primary for the life of a mark: some may be missing from now on."""
        self._primary_until = time.monotonic() + writers.life_seconds

    async def _ask(
        self, database: Database, work: "Callable[[Connection[Any]], Awaitable[T]]", *, in_snapshot: bool
    ) -> T:
        metrics.DATABASE_READS.labels(database.name).inc()
        return await database.read(work, in_snapshot=in_snapshot)

    def _judge(self, replica: Replica, error: Exception) -> None:
        """Let a read go on elsewhere, unless it would fare no better there."""
        if isinstance(error.__cause__, asyncpg.QueryCanceledError):
            raise error
        if self._watch is not None and isinstance(error.__cause__, _BROKEN):
            self._watch.suspend(replica)


def _is_away(error: UnavailableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OUT_OF_REACH) and not isinstance(cause, asyncpg.QueryCanceledError)


def _actor() -> str | None:
    origin = current_origin()
    return None if origin.kind in _NOBODY else origin.actor
