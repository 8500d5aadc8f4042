"""One generator process: `python -m grandstand.lab.generator`, with its order on standard input.

It speaks in frames (`frames.py`): reads an `Order`, says that it is ready, reads when to begin, reports each second,
and ends with its `Account`. It ends when its standard input does: then whoever started it is gone.
"""

import asyncio
import gc
import heapq
import os
import random
import signal
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from grandstand.lab.arrivals import Profile, arrivals
from grandstand.lab.auditor import Account, Auditor
from grandstand.lab.frames import read_frame, write_frame
from grandstand.lab.load_model import READS_A_GAME, LoadModel
from grandstand.lab.sender import Sender
from grandstand.lab.tally import Tally
from grandstand.lab.traffic import Batch, Names, Read, Traffic

FOLLOWED_A_SECOND = 20
"""Games of all processes that are a player's best and are followed until their rank is served."""

POLL_LEAST_SECONDS = 0.005
POLL_MOST_SECONDS = 0.25
POLL_GROWTH = 1.2
VISIBLE_MAX_SECONDS = 30.0
ANSWER_MAX_SECONDS = 30.0
"""How long after the end of the load answers are waited for."""

_TICK_SECONDS = 0.002
"""What is due may be sent so much later, which counts into every latency; waking up costs a tenth of a request."""

_AT_ONCE = 32
"""Requests of a kind that are made before answers are looked at: who catches up must not let them wait."""

_YOUNG_OBJECTS = 50_000
"""New objects after which the young ones are looked through: nearly everything here goes by its count of references."""

READ_KINDS = tuple(READS_A_GAME)


class Order(msgspec.Struct):
    """What one of `parts` processes is to send. It gives up when a request waits unsent for `give_up_seconds`."""

    host: str
    port: int
    key: str
    run: str
    daily_players: int
    profile: Profile
    seconds: float
    seed: int
    part: int
    parts: int
    connections_max: int
    give_up_seconds: float


class Second(msgspec.Struct, tag=True):
    """What came of the time since the last report. Latencies as encoded histograms by name."""

    requests: int
    events: int
    reads: int
    errors: int
    latencies: dict[str, bytes]


class Ended(msgspec.Struct, tag=True):
    """What is known in the end. `unsent` requests were given up, `unanswered` ones sent and never answered for."""

    account: Account
    unsent: int
    unanswered: int
    seconds: float
    cpu_seconds: float
    requests: int


class Generator:
    """Sends its part of a run's load, judges the replies and remembers what is to be audited."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._model = LoadModel(order.daily_players)
        self._traffic = Traffic(self._model, Names(order.run), order.key, order.seed, order.part, order.parts)
        self._random = random.Random(f"arrivals {order.seed} {order.part}")  # noqa: S311 - to be the same again
        self.auditor = Auditor()
        self.tally = Tally()
        self._reads_due: list[tuple[float, int, str, str]] = []
        self._read_count = 0
        self._follow_interval_seconds = order.parts / FOLLOWED_A_SECOND
        self._follow_next_at = 0.0
        self._following: set[asyncio.Task[None]] = set()
        self._events = self._reads = self._errors_told = self._requests_told = 0
        self._sender = Sender(order.host, order.port, order.connections_max)

    async def run(self, begin_at: float) -> Ended:
        """Send from a moment of the monotonic clock on; return when everything is answered or given up."""
        order = self.order
        peak = self._model.peak_batches_per_second / order.parts
        await asyncio.sleep(max(0.0, begin_at - time.monotonic()))
        cpu_before = time.process_time()
        async with self._sender as sender:
            reporting = asyncio.create_task(self._report())
            await self._send(arrivals(order.profile, peak, order.seconds, self._random), begin_at)
            seconds = time.monotonic() - begin_at
            unsent = sender.give_up_waiting() if sender.waited_seconds > order.give_up_seconds else 0
            if self._following:
                await asyncio.wait(self._following, timeout=VISIBLE_MAX_SECONDS)
            for task in self._following:
                task.cancel()
            unanswered = await sender.drain(ANSWER_MAX_SECONDS)
            reporting.cancel()
        self._tell()
        cpu_seconds = time.process_time() - cpu_before
        return Ended(self.auditor.account(), unsent, unanswered, seconds, cpu_seconds, sender.requests)

    async def _send(self, due: Iterator[float], begin_at: float) -> None:
        end_at = begin_at + self.order.seconds
        reads_due, record, monotonic = self._reads_due, self.tally.record, time.monotonic
        next_at = begin_at + next(due, self.order.seconds)
        while (now := monotonic()) < end_at or next_at < end_at or reads_due:
            left = _AT_ONCE
            while left and next_at <= now and next_at < end_at:
                left -= 1
                batch = self._traffic.batch()
                record("late", monotonic() - next_at)
                self._sender.send(batch, batch.request, next_at, self._batch_answered)
                for later_seconds, kind in self._traffic.reads_of(batch):
                    if next_at + later_seconds < end_at:
                        self._read_count += 1
                        heapq.heappush(reads_due, (next_at + later_seconds, self._read_count, kind, batch.user_id))
                next_at = begin_at + next(due, self.order.seconds)
            left_reads = _AT_ONCE
            while left_reads and reads_due and reads_due[0][0] <= now:
                left_reads -= 1
                due_at, _, kind, user_id = heapq.heappop(reads_due)
                record("late", monotonic() - due_at)
                read = self._traffic.read(kind, user_id, self.auditor.least_score(user_id))
                self._sender.send(read, read.request, due_at, self._read_answered)
            if self._sender.waited_seconds > self.order.give_up_seconds:
                return
            await asyncio.sleep(_TICK_SECONDS if left and left_reads else 0)

    def _batch_answered(self, batch: Batch, status: int, body: bytes, seconds: float) -> None:
        self.tally.record("accept", seconds)
        if not self.auditor.judge_batch(batch, status, body):
            return
        self._events += len(batch.event_ids)
        now = time.monotonic()
        if batch.is_retried:
            self._sender.send(batch, batch.request, now, self._repeat_answered)
        if batch.score is None or now < self._follow_next_at:
            return
        if self.auditor.best[batch.user_id] == (batch.score, batch.occurred_at_us):
            self._follow_next_at = now + self._follow_interval_seconds
            task = asyncio.create_task(self._follow(batch.user_id, batch.score, now - seconds))
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    def _repeat_answered(self, batch: Batch, status: int, body: bytes, seconds: float) -> None:
        self.tally.record("accept", seconds)
        self.auditor.judge_batch(batch, status, body, again=True)

    def _read_answered(self, read: Read, status: int, body: bytes, seconds: float) -> None:
        self._reads += 1
        self.tally.record(read.kind, seconds)
        self.auditor.judge_read(read, status, body)

    async def _follow(self, user_id: str, score: int, since: float) -> None:
        """Ask for a player's rank until the score shows; the time between two looks is part of what is measured."""
        loop = asyncio.get_running_loop()
        wait_seconds = POLL_LEAST_SECONDS
        while time.monotonic() - since < VISIBLE_MAX_SECONDS:
            read = self._traffic.read("rank", user_id)
            answer: asyncio.Future[int | None] = loop.create_future()

            def answered(
                asked: Read, status: int, body: bytes, _: float, answer: "asyncio.Future[int | None]" = answer
            ) -> None:
                found = self.auditor.judge_read(asked, status, body)
                if not answer.done():
                    answer.set_result(found)

            self._sender.send(read, read.request, time.monotonic(), answered)
            found = await answer
            if found is not None and found >= score:
                self.tally.record("visible", time.monotonic() - since)
                return
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(POLL_MOST_SECONDS, wait_seconds * POLL_GROWTH)
        self.tally.record("visible", VISIBLE_MAX_SECONDS)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._tell()

    def _tell(self) -> None:
        requests, errors = self._sender.requests, self.auditor.errors
        write_frame(
            Second(
                requests - self._requests_told, self._events, self._reads, errors - self._errors_told,
                self.tally.encoded(),
            )
        )  # fmt: skip
        self._requests_told, self._errors_told, self._events, self._reads = requests, errors, 0, 0
        # New ones: emptying a histogram takes a hundred times as long.
        self.tally.histograms.clear()


def main() -> None:
    """Take an order, wait for the word to begin, and carry it out."""
    # A terminal's Ctrl-C is the business of whoever started this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = read_frame(Order)
    if order is None:
        return
    generator = Generator(order)
    # Whoever is remembered stays to the end: to walk through all of them for cycles would take more and more.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    write_frame("ready")
    begin_at = read_frame(float)
    if begin_at is None:
        return

    async def load() -> None:
        # Nothing more comes on standard input but its end.
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: os._exit(1))
        write_frame(await generator.run(begin_at))

    uvloop.run(load())


if __name__ == "__main__":
    main()
