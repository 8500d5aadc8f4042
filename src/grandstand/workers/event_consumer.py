"""Takes blocks of events from a stream and applies them, in batches that grow with what is waiting."""

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence

import structlog

from grandstand import clock
from grandstand.operations.apply_events import Applied, EventApplier
from grandstand.operations.bury_events import EventBurier
from grandstand.storage.event_stream import HIGH, LOW, Block, EventStream
from grandstand.storage.trial_marks import TrialMarks
from grandstand.telemetry import metrics
from grandstand.workers.batch_size import BatchSize, gathering_seconds
from grandstand.workers.delivery_keeper import DeliveryKeeper
from grandstand.workers.doubts import PATIENCE_SECONDS, TROUBLE, Doubts
from grandstand.workers.isolation import Outcome, PoisonIsolator
from grandstand.workers.loop import run_every
from grandstand.workers.retries import BASE_SECONDS, Retries
from grandstand.workers.take_over import TakeOver

_WAIT_SECONDS = 0.25
"""Longest wait for a new block: how soon a stop is noticed."""

_SMALL_BATCH_EVENTS = 1_000
"""Of smaller batches the transaction costs more than the events do, so under load events gather for a moment."""

_BACKOFF_SECONDS_MAX = 5.0
_BLOCKS_MAX = 100
"""Blocks of one read. Sizes are guessed from earlier ones, and a block may hold a thousand events and a megabyte."""

_FULL_SECONDS = 0.05
"""Pause of a worker that has so much to retry that it takes nothing new."""

_FORGET_SECONDS = 3_600.0
_RELEASE_TIMEOUT_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class EventConsumer:
    """One worker's loop over a stream. Its name is unique to the process: nobody mistakes its deliveries for theirs."""

    def __init__(
        self,
        name: str,
        stream: EventStream,
        marks: TrialMarks,
        applier: EventApplier,
        burier: EventBurier,
        *,
        batch_max: int,
        low_share: float,
        reclaim_idle_seconds: float,
        retry_seconds: float = BASE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        gate: contextlib.AbstractAsyncContextManager[object] = contextlib.nullcontext(),  # noqa: B008 - it has no state
    ) -> None:
        """Several in a process share a `gate`: who waits for a connection is not to be taken for a batch in trouble."""
        self._name = name
        self._stream = stream
        self._marks = marks
        self._isolator = PoisonIsolator(applier, Doubts(applier, patience_seconds), gate)
        self._retries = Retries(self._isolator, burier, base_seconds=retry_seconds)
        self._take_over = TakeOver(
            name, stream, marks, self._isolator, burier, self._settle,
            is_held=self._retries.is_waiting, idle_seconds=reclaim_idle_seconds,
        )  # fmt: skip
        self._keeper = DeliveryKeeper(name, stream, self._deliveries)
        self._batch_max = batch_max
        self._size = BatchSize(batch_max)
        self._low_share = low_share
        self._reclaim_idle_seconds = reclaim_idle_seconds
        self._block_sizes = [float(batch_max)] * 2
        self._next_claim = 0.0
        self._held: list[Block] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until the stop; what was read by then is finished first, or left to others when that cannot be.

        Events that wait to be retried are left to others, too.
        """
        interval_seconds = self._reclaim_idle_seconds / 4
        keeping = asyncio.create_task(
            run_every("keep deliveries", interval_seconds, self._keeper.renew, asyncio.Event())
        )
        try:
            await self._consume(stop)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._release()

    async def _consume(self, stop: asyncio.Event) -> None:
        backoff_seconds = 0.1
        began = time.monotonic()
        while not stop.is_set():
            try:
                before, began = began, time.monotonic()
                events = await self._round()
                backoff_seconds = 0.1
                if 0 < events < _SMALL_BATCH_EVENTS:
                    round_seconds = gathering_seconds(events, time.monotonic() - before)
                    await clock.wait(stop, round_seconds - (time.monotonic() - began))
            except TROUBLE as error:
                if str(error).startswith("NOGROUP") or self._take_over.blocks():
                    self._next_claim = 0.0
                _log.warning("worker_engine_unreachable", error=str(error) or type(error).__name__)
                await clock.wait(stop, backoff_seconds)
                backoff_seconds = min(_BACKOFF_SECONDS_MAX, backoff_seconds * 2)

    async def _release(self) -> None:
        """Let others have what is not done, without their waiting for it to look abandoned."""
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(_RELEASE_TIMEOUT_SECONDS):
                if released := await self._stream.release(self._name):
                    _log.info("deliveries_released", blocks=released)

    async def _round(self) -> int:
        """Process what is there, or what comes within a moment; return how many events there were."""
        if time.monotonic() >= self._next_claim:
            await self._claim()
        await self._retry()
        if self._retries.is_full:
            await asyncio.sleep(_FULL_SECONDS)
            return 0
        # What an engine's absence left undone comes first.
        self._held = self._held or await self._read() or await self._stream.wait(self._name, _WAIT_SECONDS)
        events = _events(self._held)
        while self._held:
            batch = _first(self._held, self._size.events)
            oldest = min(block.received_at for block in batch)
            metrics.observe("deliver", max(0.0, (clock.now() - oldest).total_seconds()))
            started = time.perf_counter()
            outcome = await self._isolator.apply(batch)
            self._size.learn(_events(batch), outcome)
            await self._settle(batch, outcome)
            metrics.BATCH_SECONDS.observe(time.perf_counter() - started)
            self._held = self._held[len(batch) :]
        return events

    async def _read(self) -> list[Block]:
        """Read a batch: the high priority first, but never so much that the low one has less than its share."""
        high = await self._read_up_to(HIGH, self._batch_max * (1 - self._low_share))
        count = _events(high)
        # Block sizes are guessed, so `high` may be more than asked for; the share of the low priority grows with it.
        share = count * self._low_share / (1 - self._low_share)
        low = await self._read_up_to(LOW, max(share, self._batch_max - count))
        return high + low

    async def _read_up_to(self, priority: int, events: float) -> list[Block]:
        blocks: list[Block] = []
        while True:
            wanted = max(1, min(_BLOCKS_MAX, math.ceil((events - _events(blocks)) / self._block_sizes[priority])))
            found = await self._stream.read(self._name, priority, wanted)
            if found:
                # The next blocks are taken to be as large as these: that turns the wish for events into a number.
                self._block_sizes[priority] = _events(found) / len(found)
                blocks += found
            if len(found) < wanted or _events(blocks) >= events:
                return blocks

    async def _claim(self) -> None:
        """Take over what a dead or stuck worker left; at once again when there is more than one look finds."""
        self._next_claim = time.monotonic() + self._reclaim_idle_seconds / 4
        await self._stream.create_group()
        if await self._take_over.run():
            self._next_claim = 0.0
        await self._stream.forget_idle_consumers(_FORGET_SECONDS)

    async def _retry(self) -> None:
        outcome, done = await self._retries.run()
        if done:
            await self._stream.acknowledge(done)
            await self._marks.clear(done)
        self._measure(done, outcome.applied)

    async def _settle(self, blocks: Sequence[Block], outcome: Outcome) -> None:
        """Acknowledge the blocks of which nothing failed; what failed is tried again later."""
        done = self._retries.add(blocks, outcome.failures)
        if done:
            await self._stream.acknowledge(done)
            metrics.BATCH_EVENTS.observe(_events(done))
        self._measure(done, outcome.applied)

    def _deliveries(self) -> list[Block]:
        return [*self._held, *self._take_over.blocks(), *self._retries.blocks()]

    def _measure(self, blocks: Sequence[Block], applied: Applied) -> None:
        metrics.EVENTS_STORED.inc(applied.stored)
        metrics.EVENTS_DUPLICATE.inc(applied.duplicates)
        for (leaderboard, reason), count in applied.unranked.items():
            metrics.SCORES_UNRANKED.labels(leaderboard, reason).inc(count)
        now = clock.now()
        for block in blocks:
            metrics.VISIBLE_SECONDS.observe((now - block.received_at).total_seconds())


def _first(blocks: list[Block], events_max: int) -> list[Block]:
    """Return the first blocks that have no more than `events_max` events together; one at least."""
    events = 0
    for number, block in enumerate(blocks):
        events += block.events
        if events > events_max and number:
            return blocks[:number]
    return blocks


def _events(blocks: Sequence[Block]) -> int:
    return sum(block.events for block in blocks)
