"""One generator process: `python -m grandstand.lab.generator`, with its order on standard input.

It speaks in frames (`frames.py`): reads an `Order`, says that it is ready, reads when to begin, reports each second,
and ends with its `Account`. It ends when its standard input does: then whoever started it is gone.
"""

import gc
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial

import msgspec

from grandstand.lab.agenda import Agenda
from grandstand.lab.arrivals import Profile, arrivals
from grandstand.lab.auditor import Account, Auditor
from grandstand.lab.frames import read_frame, write_frame
from grandstand.lab.http_connection import authority
from grandstand.lab.load_model import READS_A_GAME, LoadModel
from grandstand.lab.sender import Answered, Sender
from grandstand.lab.tally import Latencies
from grandstand.lab.traffic import OF_PLAYER, Batch, Names, Read, Traffic

FOLLOWED_A_SECOND = 10
"""Games of all processes that are a player's best and are followed until their rank is served. Each takes several
looks, which no player would: twenty, looked at more closely, were a twentieth of all requests at 500,000 players."""

POLL_LEAST_SECONDS = 0.01
POLL_MOST_SECONDS = 0.25
POLL_GROWTH = 1.3
"""What is seen at a look may have been there since the last: up to 30 % later than it was, never sooner."""

VISIBLE_MAX_SECONDS = 30.0
ANSWER_MAX_SECONDS = 30.0
"""How long after the end of the load answers are waited for, and scores looked for."""

TICK_SECONDS = 0.002
"""What is due may be sent, and an answer be looked at, so much later. Both count into every latency."""

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


class _Followed:
    """A player whose rank is asked for until a score shows; `since` is when the batch that brought it was due."""

    __slots__ = ("score", "since", "user_id", "wait_seconds")

    def __init__(self, user_id: str, score: int, since: float) -> None:
        self.user_id, self.score, self.since = user_id, score, since
        self.wait_seconds = POLL_LEAST_SECONDS


class Generator:
    """Sends its part of a run's load, judges the replies and remembers what is to be audited."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._model = LoadModel(order.daily_players)
        self._traffic = Traffic(
            self._model, Names(order.run), order.key, authority(order.host, order.port), order.seed, order.part,
            order.parts,
        )  # fmt: skip
        self._random = random.Random(f"arrivals {order.seed} {order.part}")  # noqa: S311 - to be the same again
        self.auditor = Auditor()
        self._latencies = Latencies()
        self._reads_due: Agenda[tuple[str, str]] = Agenda()
        self._looks_due: Agenda[_Followed] = Agenda()
        self._follow_interval_seconds = order.parts / FOLLOWED_A_SECOND
        self._follow_next_at = self._tell_at = self._answered_at = 0.0
        self._followed_count = 0
        self._events = self._reads = self._errors_told = self._requests_told = 0
        self._sender = Sender(order.host, order.port, order.connections_max)

    def run(self, begin_at: float) -> Ended:
        """Send from a moment of the monotonic clock on; return when everything is answered or given up.

        The seconds that it took are those until the last answer to what was due: a server that needs longer than the
        load lasts has no higher rate than it has.
        """
        order, sender = self.order, self._sender
        peak = self._model.peak_batches_per_second / order.parts
        time.sleep(max(0.0, begin_at - time.monotonic()))
        cpu_before = time.process_time()
        self._tell_at = begin_at + 1
        with sender:
            self._send(arrivals(order.profile, peak, order.seconds, self._random), begin_at)
            ended_at = time.monotonic()
            unsent = sender.give_up_waiting() if sender.waited_seconds > order.give_up_seconds else 0
            deadline = ended_at + ANSWER_MAX_SECONDS
            while (sender.under_way or self._looks_due) and time.monotonic() < deadline:
                self._take_turn()
            unsent += sender.give_up_waiting()
            unanswered = sender.end()
        for _ in range(self._followed_count):
            # They were looked for to the end, and not seen.
            self._latencies.note("visible", VISIBLE_MAX_SECONDS)
        self._tell()
        cpu_seconds = time.process_time() - cpu_before
        return Ended(
            self.auditor.account(), unsent, unanswered, max(ended_at, self._answered_at) - begin_at, cpu_seconds,
            sender.requests,
        )  # fmt: skip

    def _send(self, due: Iterator[float], begin_at: float) -> None:
        end_at = begin_at + self.order.seconds
        note, monotonic, sender = self._latencies.note, time.monotonic, self._sender
        next_at = begin_at + next(due, self.order.seconds)
        while (now := monotonic()) < end_at or next_at < end_at or self._reads_due:
            left = _AT_ONCE
            while left and next_at <= now and next_at < end_at:
                left -= 1
                batch = self._traffic.batch()
                note("late", monotonic() - next_at)
                sender.send(batch, batch.request, next_at, self._choose(batch, next_at))
                for later_seconds, kind in self._traffic.reads_of(batch):
                    if next_at + later_seconds < end_at:
                        self._reads_due.add(next_at + later_seconds, (kind, batch.user_id))
                next_at = begin_at + next(due, self.order.seconds)
            reads = self._reads_due.take(now, _AT_ONCE)
            for due_at, (kind, user_id) in reads:
                least = self.auditor.least_score(user_id) if kind in OF_PLAYER else None
                read = self._traffic.read(kind, user_id, least)
                note("late", monotonic() - due_at)
                sender.send(read, read.request, due_at, self._read_answered)
            if sender.waited_seconds > self.order.give_up_seconds:
                return
            self._take_turn(may_wait=bool(left) and len(reads) < _AT_ONCE)

    def _take_turn(self, *, may_wait: bool = True) -> None:
        """Wait for the end of this tick; take the answers that are there, and do what follows from them."""
        if may_wait:
            time.sleep(TICK_SECONDS - time.monotonic() % TICK_SECONDS)
        self._sender.take_answers()
        now = time.monotonic()
        for _, followed in self._looks_due.take(now, _AT_ONCE):
            read = self._traffic.read("rank", followed.user_id)
            self._sender.send(read, read.request, now, partial(self._look_answered, followed))
        if now >= self._tell_at:
            self._tell_at += 1
            self._tell()

    def _choose(self, batch: Batch, due_at: float) -> Answered:
        """Return what hears of the answer to a batch: for a few that bring a player's best, who looks until it shows.

        Chosen by when they are due and not by when they are answered: of all that wait for a server that stands still,
        only one would be.
        """
        if batch.score is None or not batch.is_best or due_at < self._follow_next_at:
            return self._batch_answered
        self._follow_next_at = due_at + self._follow_interval_seconds
        return partial(self._followed_answered, _Followed(batch.user_id, batch.score, due_at))

    def _followed_answered(self, followed: _Followed, batch: Batch, status: int, body: bytes, seconds: float) -> None:
        if self._batch_answered(batch, status, body, seconds):
            self._followed_count += 1
            self._looks_due.add(time.monotonic(), followed)

    def _batch_answered(self, batch: Batch, status: int, body: bytes, seconds: float) -> bool:
        """Judge the answer; return whether the batch was acknowledged."""
        self._latencies.note("accept", seconds)
        if not self.auditor.judge_batch(batch, status, body):
            return False
        self._events += batch.events
        self._answered_at = time.monotonic()
        if batch.is_retried:
            self._sender.send(batch, batch.request, self._answered_at, self._repeat_answered)
        return True

    def _repeat_answered(self, batch: Batch, status: int, body: bytes, seconds: float) -> None:
        self._latencies.note("accept", seconds)
        self.auditor.judge_batch(batch, status, body, again=True)

    def _read_answered(self, read: Read, status: int, body: bytes, seconds: float) -> None:
        self._latencies.note(read.kind, seconds)
        errors = self.auditor.errors
        self.auditor.judge_read(read, status, body)
        if self.auditor.errors == errors:
            self._reads += 1
            self._answered_at = time.monotonic()

    def _look_answered(self, followed: _Followed, read: Read, status: int, body: bytes, _: float) -> None:
        """Look again until the score shows; the time between two looks is part of what is measured."""
        found = self.auditor.judge_read(read, status, body)
        now = time.monotonic()
        has_shown = found is not None and found >= followed.score
        if has_shown or now - followed.since >= VISIBLE_MAX_SECONDS:
            self._latencies.note("visible", now - followed.since if has_shown else VISIBLE_MAX_SECONDS)
            self._followed_count -= 1
            return
        self._looks_due.add(now + followed.wait_seconds, followed)
        followed.wait_seconds = min(POLL_MOST_SECONDS, followed.wait_seconds * POLL_GROWTH)

    def _tell(self) -> None:
        # Nothing more comes on standard input but its end: then whoever wanted to know is gone.
        if select.select([sys.stdin], [], [], 0)[0]:
            os._exit(1)
        requests, errors = self._sender.requests, self.auditor.errors
        write_frame(
            Second(
                requests - self._requests_told, self._events, self._reads, errors - self._errors_told,
                self._latencies.take(),
            )
        )  # fmt: skip
        self._requests_told, self._errors_told, self._events, self._reads = requests, errors, 0, 0


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
    write_frame(generator.run(begin_at))


if __name__ == "__main__":
    main()
