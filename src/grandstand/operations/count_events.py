"""Keeps the rollups: counts what the batches queued, and counts everything anew on demand.

A batch queues its new events in its own transaction, and counting takes them off the queue in the transaction that
adds them up: each is counted once, whoever is killed when. docs/decisions/0028 has the reasons.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from grandstand import clock
from grandstand.domain.errors import ConflictError
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rollups import Counted, RollupsBusyError, RollupStore
from grandstand.telemetry import metrics

PATIENCE_SECONDS = 30.0
"""How long batches stay queued at most before they are counted beside workers that are behind. Counting an event costs
the database about as much as storing it."""

BUSY_EVENTS = 4_000

_RESTS = 4.0
"""How many times as long as a piece took counting rests after it: a core is left to who answers players meanwhile."""

_REST_MAX_SECONDS = 0.5

_RESTLESS_LAG_SECONDS = 60.0
"""Rests become shorter the longer batches have been waiting; from here on there are none, and pieces are large."""

_SHORT_PIECE_SECONDS = 0.5
"""A piece that took longer is followed by a small one: ten times as many events must be counted within the time-out."""

T = TypeVar("T")


class EventCounter:
    """Keeps the rollups for one process."""

    def __init__(
        self,
        database: Database,
        event_log: EventLog,
        *,
        fence: Fence = no_fence,
        streams: EventStreams | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """With the `streams`, counting gives way to workers that are behind.

        With `stop` it rests after each piece, and ends at the stop; without, it hurries.
        """
        self._database = database
        self._event_log = event_log
        self._store = RollupStore()
        self._fence = fence
        self._streams = streams
        self._stop = stop
        self._lag_seconds = 0.0
        self._piece_seconds = 0.0

    async def count(self) -> int:
        """Count all batches that are queued, a piece of some a transaction; return how many there were.

        It ends with the first piece that is not full. What is queued meanwhile waits for the next time: a transaction
        costs as much as some hundred events. While somebody else changes the rollups, as a rebuild does, it leaves them
        queued.

        Raises:
            UnavailableError: the database is out of reach; what is not counted stays queued.
            LeaseLostError: the term is over.
            valkey.exceptions.ValkeyError: the stream is out of reach.
        """
        total = 0
        while not await self._gives_way():
            began_at = time.monotonic()
            is_large = self._lag_seconds >= _RESTLESS_LAG_SECONDS and self._piece_seconds <= _SHORT_PIECE_SECONDS
            # One that fails took too long.
            self._piece_seconds = math.inf
            with metrics.timed("rollup"):
                counted = await self._count_some(is_large=is_large)
            self._piece_seconds = time.monotonic() - began_at
            total += counted.batches
            if counted.is_all or await self._rest():
                break
        return total

    def stand_by(self) -> None:
        """Say no more how much waits, once: whoever leads says it, and what this process saw last will never pass."""
        if self._lag_seconds:
            self._show(0.0, 0)

    def _show(self, lag_seconds: float, events: int) -> None:
        self._lag_seconds = lag_seconds
        metrics.ROLLUP_LAG_SECONDS.set(lag_seconds)
        metrics.ROLLUP_QUEUE_EVENTS.set(events)

    async def _rest(self) -> bool:
        """Rest after a piece; return whether to stop."""
        if self._stop is None:
            return False
        hurry = min(1.0, self._lag_seconds / _RESTLESS_LAG_SECONDS)
        seconds = min(self._piece_seconds * _RESTS * (1.0 - hurry), _REST_MAX_SECONDS)
        await clock.wait(self._stop, seconds)
        return self._stop.is_set()

    async def _gives_way(self) -> bool:
        """Whether ranks come first: more waits in the stream than a batch takes, and nothing is queued for long."""
        async with self._database.connection() as connection:
            self._show(*await self._store.waiting(connection))
        if self._streams is None or self._lag_seconds >= PATIENCE_SECONDS:
            return False
        # What is in a stream out of reach cannot be processed: nobody need wait for that.
        return sum(depth.depth for depth in (await self._streams.depths()).values()) > BUSY_EVENTS

    async def _count_some(self, *, is_large: bool) -> Counted:
        try:
            async with self._database.transaction() as connection:
                await self._fence(connection)
                await self._store.lock(connection)
                return await self._store.count(connection, is_large=is_large)
        except RollupsBusyError:
            return Counted(0, is_all=True)

    async def fill_days(self) -> int:
        """Keep the days that are counted and not kept, one a transaction, the newest first; return how many there were.

        There are none but after an upgrade, a rebuild, or where a program of an older version counts beside this one.
        It gives way as counting does, to counting too, and to whoever changes the rollups.

        Raises:
            UnavailableError, LeaseLostError, valkey.exceptions.ValkeyError: as for `count`; what is kept stays so.
        """
        total = 0
        with suppress(RollupsBusyError):
            await self._change_days(self._store.forget_wrong_days)
            while not await self._gives_way() and await self._change_days(self._store.fill_day):
                total += 1
        return total

    async def _change_days(self, change: "Callable[[Connection[Any]], Awaitable[T]]") -> T:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._store.lock(connection)
            return await change(connection)

    async def rebuild(self, timeout_seconds: float = 3_600.0) -> None:
        """Count all stored events anew, as of one moment, beside the batches; what they queue meanwhile waits.

        Raises:
            ConflictError: `rollups_need_archive` when events that were counted are not in PostgreSQL any more: what is
                left would not add up. `rollups_busy` when somebody else changes the rollups, as another rebuild.
            UnavailableError: the database is out of reach, or a statement takes longer than `timeout_seconds`.
        """
        # A batch's events and its row in the queue come with one commit: whatever this snapshot sees of the queue it
        # sees as events, too, and the rest is counted afterwards. Neither of the locks takes the snapshot.
        try:
            async with self._database.frozen_transaction() as connection:
                await self._store.lock(connection, waits=True)
                await self._event_log.hold(connection)
                await self._check(connection, timeout_seconds)
                await self._store.rebuild(connection, timeout_seconds)
        except RollupsBusyError as error:
            raise ConflictError("rollups_busy", "The rollups are being counted or rebuilt: try again.") from error

    async def _check(self, connection: "Connection[Any]", timeout_seconds: float) -> None:
        if missing := [f"{month:%Y-%m}" for month in await self._store.missing_months(connection, timeout_seconds)]:
            raise ConflictError(
                "rollups_need_archive",
                f"Counted events are not stored any more (received in {', '.join(missing)}): restore them first.",
            )
