"""Takes events in: judges them, writes the valid ones to the stream, and answers only when they are durable there.

Group commit: while one write to the stream is under way, requests queue up and share the next. A durable write costs
about the same for one event as for hundreds, so small requests do not pay it each; where many come, they gather for a
moment (`write_pace.py`).
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from grandstand import clock
from grandstand.domain.errors import (
    FieldError,
    ForbiddenError,
    GrandstandError,
    InvalidError,
    StreamFullError,
    UnavailableError,
)
from grandstand.domain.event_signatures import SignatureCheck
from grandstand.domain.events import Accepted, EventLimits, Rejection, judge, read_batch
from grandstand.domain.payloads import ScorePaths
from grandstand.operations.write_pace import WritePace
from grandstand.settings import Settings
from grandstand.storage.event_streams import EventStreams
from grandstand.telemetry import metrics, traces

GROUP_EVENTS_MAX = 1000
"""Events of one stream write, unless a single request brings more."""

GROUP_BYTES_MAX = 1_048_576
SHARING_REQUESTS = 16
"""Requests that make a second write worth it: while the stream syncs one, the process answers and reads the others'."""

WAITING_EVENTS_MAX = 50_000
WAITING_BYTES_MAX = 67_108_864
"""What may wait for the stream in one process; beyond it callers are told to come back."""

RETRY_AFTER_SECONDS = 1
_WRITES_AT_ONCE = 2
"""To each stream that is written to."""

Admit = Callable[[int], Awaitable[None]]
Tell = Callable[[Exception | None], None]
"""Is told once what became of a request's events: None, and they are durable, or why they are not taken."""

_accepted_high = metrics.EVENTS_ACCEPTED.labels("high")
_accepted_low = metrics.EVENTS_ACCEPTED.labels("low")
_waiting = metrics.STAGE_WAITING.labels("append")
_log = structlog.get_logger(__name__)


class Receipt(NamedTuple):
    """What became of a request's events."""

    accepted: int
    rejected: list[Rejection]


class Judged(msgspec.Struct):
    """A request's events, of which some are valid, before they are written."""

    outcome: Accepted
    size_bytes: int
    received_at: datetime
    valid: int
    """How many are valid."""

    @property
    def receipt(self) -> Receipt:
        """What the sender is told once they are written."""
        return Receipt(self.valid, self.outcome.rejected)


class _Request(msgspec.Struct, eq=False):
    judged: Judged
    tell: Tell
    is_gone: Callable[[], bool]
    trace: bytes


class EventIntake:
    """Takes the events of one process. `score_fields` says which payload paths are scores, by event type, right now."""

    def __init__(
        self, streams: EventStreams, settings: Settings, score_fields: Callable[[], Mapping[str, ScorePaths]]
    ) -> None:
        self._streams = streams
        self._settings = settings
        self._score_fields = score_fields
        self._limits = self._limits_with({})
        self._queue: deque[_Request] = deque()
        self._waiting_events = 0
        self._waiting_bytes = 0
        self._writers: set[asyncio.Task[None]] = set()
        # Not the size of that set: a task leaves it a moment after it has looked at the queue for the last time.
        self._writing = 0
        self._pace = WritePace()
        self._timer: asyncio.TimerHandle | None = None
        self._writes_max = _WRITES_AT_ONCE * settings.event_streams
        self._is_away = False
        self._was_waiting = False
        self._read_batch = traces.spanned("validate", read_batch)
        self._write_in_span = traces.spanned_async("append", self.write)

    async def accept(
        self,
        body: bytes,
        only_user_id: str | None = None,
        admit: Admit | None = None,
        signatures: SignatureCheck | None = None,
    ) -> Receipt:
        """Take a request's events. With `only_user_id`, those of other users are rejected as `forbidden_user`.

        `admit` is told how many are valid, and raises when they are too many for the sender; `signatures` checks those
        of a player's session.

        Raises:
            MalformedError: the body cannot be read.
            InvalidError: no event is valid; the error carries `rejected`.
            ForbiddenError: every event is another user's.
            TooLargeError: too many events; nothing is taken.
            StreamFullError: as much waits as may wait; nothing is taken.
            UnavailableError: the stream is out of reach, or too much waits for it; nothing is taken.

        """
        judged = self.judge(body, only_user_id, signatures)
        if admit is not None:
            await admit(judged.valid)
        await self._write_in_span(judged)
        return judged.receipt

    def judge(self, body: bytes, only_user_id: str | None = None, signatures: SignatureCheck | None = None) -> Judged:
        """Judge a request's events: the first half of `accept`, for `write`.

        Raises:
            MalformedError, InvalidError, ForbiddenError, TooLargeError: as for `accept`.
        """
        received_at = clock.now()
        outcome = self._read_batch(body, self._current_limits(), received_at, only_user_id, signatures)
        if outcome.rejected:
            _count_rejected(outcome.rejected)
            if not outcome.high and not outcome.low:
                raise _none_valid(outcome.rejected)
        return Judged(outcome, len(body), received_at, len(outcome.high) + len(outcome.low))

    def write(self, judged: Judged) -> "asyncio.Future[None]":
        """Hand the valid events of a request in: the second half of `accept`. They are durable once the future is done.

        Raises:
            UnavailableError: as for `hand_in`; the future raises what else `accept` raises.
        """
        done = asyncio.get_running_loop().create_future()
        self.hand_in(judged, partial(_resolve, done), done.cancelled)
        return done

    def hand_in(self, judged: Judged, tell: Tell, is_gone: Callable[[], bool] = bool) -> None:
        """Hand the valid events of a request in, as `write` does; `tell` is told what became of them, never at once.

        A request that `is_gone` before its write begins is left out, and nobody is told.

        Raises:
            UnavailableError: too much waits, or the stream is known to be out of reach; `tell` is told what else
                `accept` raises.
        """
        count, size_bytes = judged.valid, judged.size_bytes
        if self._is_away and self._writing:
            # One write at a time finds out whether the stream is back; nobody else waits for its time-out.
            metrics.EVENTS_REFUSED.labels("unavailable").inc(count)
            raise UnavailableError("Events cannot be taken right now; send them again.")
        if self._queue and (
            self._waiting_events + count > WAITING_EVENTS_MAX or self._waiting_bytes + size_bytes > WAITING_BYTES_MAX
        ):
            metrics.EVENTS_REFUSED.labels("busy").inc(count)
            raise UnavailableError(
                "Too many events wait for the stream; send these again.", retry_after=RETRY_AFTER_SECONDS
            )
        if self._queue or self._writing:
            self._pace.gathered += 1
        self._queue.append(_Request(judged, tell, is_gone, traces.current()))
        self._waiting_events += count
        self._waiting_bytes += size_bytes
        self._begin_if_due()

    def _begin_if_due(self, *, is_left: bool = False) -> None:
        """Begin a write of what waits, now if it is worth it beside others, else when the pause is over.

        What a write that ended has left waits for no other one, which may hang.
        """
        if not self._is_worth_a_write():
            if self._timer is not None or (self._writing and not is_left):
                return
            left_seconds = self._pace.next_at - time.monotonic()
            if left_seconds > 0:
                self._timer = asyncio.get_running_loop().call_later(left_seconds, self._begin)
                return
        elif self._writing >= self._writes_max:
            return
        self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writing += 1
        writer = asyncio.create_task(self._write_waiting(), name="write events", context=traces.OUTSIDE)
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)

    def _is_worth_a_write(self) -> bool:
        """Whether what waits is enough for a write of its own beside the one that is under way."""
        return self._waiting_events >= GROUP_EVENTS_MAX or len(self._queue) >= SHARING_REQUESTS

    async def accept_lines(self, lines: Sequence[bytes]) -> Receipt:
        """Take history: one event a line, of any age. The `index` of a rejection counts from 0 within this call.

        Raises:
            StreamFullError: as much waits as may wait; nothing of this call is taken.
            UnavailableError: the stream is out of reach; send these again, with ids.

        """
        received_at = clock.now()
        limits = self._current_limits()
        history = EventLimits(len(lines), limits.payload_max_bytes, None, None, limits.score_fields)
        outcome = judge(lines, history, received_at)
        judged = Judged(outcome, sum(map(len, lines)), received_at, len(outcome.high) + len(outcome.low))
        _count_rejected(outcome.rejected)
        if judged.valid:
            await self.write(judged)
        return judged.receipt

    async def close(self) -> None:
        """Wait until everything that was handed in is written or refused."""
        while self._timer is not None or self._writers:
            if self._timer is not None:
                # Nobody else comes. A write that ends may leave some to the next one, too.
                self._begin()
            await asyncio.wait(self._writers)

    async def _write_waiting(self) -> None:
        try:
            while self._queue:
                group = self._take_group()
                if group:
                    self._pace.begin(time.monotonic())
                    await self._write_group(group)
                    if not self._is_worth_a_write() and time.monotonic() < self._pace.next_at:
                        break
        finally:
            self._writing -= 1
            if self._queue:
                self._begin_if_due(is_left=True)

    async def _write_group(self, group: list[_Request]) -> None:
        high = [event for request in group for event in request.judged.outcome.high]
        low = [event for request in group for event in request.judged.outcome.low]
        problem: Exception | None = None
        try:
            if self._waiting_events or self._was_waiting:
                # Most writes leave nobody behind, and saying so again costs as much as the first time.
                self._was_waiting = self._waiting_events > 0
                _waiting.set(self._waiting_events)
            with metrics.timed("append"):
                await self._streams.append(high, low, group[0].judged.received_at, _traces_of(group))
            self._is_away = False
        except StreamFullError as error:
            problem = error
        except GrandstandError as error:
            problem = error
            self._is_away = True
            self._refuse_waiting(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting requests must hear of it
            problem = error
            _log.exception("stream_write_failed", events=len(high) + len(low))
        except asyncio.CancelledError:
            problem = UnavailableError("The server is stopping; send the events again.")
            _settle(group, problem)
            self._refuse_waiting(problem)
            raise
        if problem is None:
            _count_accepted(len(high), len(low))
        # Not now: the next group leaves first, and the answers of this one are written while the stream syncs it.
        asyncio.get_running_loop().call_soon(_settle, group, problem)

    def _refuse_waiting(self, problem: GrandstandError) -> None:
        """Answer all that wait in the queue: nothing of theirs was sent."""
        waiting = [*self._queue]
        self._queue.clear()
        self._waiting_events = self._waiting_bytes = 0
        _waiting.set(0)
        _settle(waiting, problem)

    def _take_group(self) -> list[_Request]:
        """Take whole requests from the front of the queue, up to the limits of a group; gone clients' drop out."""
        group: list[_Request] = []
        events = size_bytes = 0
        while self._queue:
            request = self._queue[0]
            count, own_bytes = request.judged.valid, request.judged.size_bytes
            if group and (events + count > GROUP_EVENTS_MAX or size_bytes + own_bytes > GROUP_BYTES_MAX):
                break
            self._queue.popleft()
            self._waiting_events -= count
            self._waiting_bytes -= own_bytes
            if request.is_gone():
                continue
            events += count
            size_bytes += own_bytes
            group.append(request)
        return group

    def _current_limits(self) -> EventLimits:
        score_fields = self._score_fields()
        if score_fields is not self._limits.score_fields:
            self._limits = self._limits_with(score_fields)
        return self._limits

    def _limits_with(self, score_fields: Mapping[str, ScorePaths]) -> EventLimits:
        return EventLimits(
            batch_max=self._settings.max_batch,
            payload_max_bytes=self._settings.payload_max_bytes,
            past=timedelta(days=self._settings.event_past_limit_days),
            future=timedelta(seconds=self._settings.event_future_limit_seconds),
            score_fields=score_fields,
        )


def _traces_of(group: list[_Request]) -> tuple[bytes, bytes]:
    """Return what the blocks of high and of low priority name of the requests that they hold."""
    if not traces.is_on():
        return traces.NO_TRACE, traces.NO_TRACE
    return (
        traces.join([request.trace for request in group if request.judged.outcome.high]),
        traces.join([request.trace for request in group if request.judged.outcome.low]),
    )


def _settle(group: list[_Request], problem: Exception | None) -> None:
    for request in group:
        if request.is_gone():
            continue
        try:
            request.tell(None if problem is None else _own(problem, request.judged.valid))
        except Exception:  # noqa: BLE001 - the others of the group must hear of theirs
            _log.exception("answer_failed")


def _own(problem: Exception, events: int) -> Exception:
    """Return the problem of one request: the same object raised in many tasks would mix up their tracebacks."""
    if isinstance(problem, StreamFullError):
        metrics.EVENTS_REFUSED.labels("full").inc(events)
        return StreamFullError(problem.detail)
    if isinstance(problem, UnavailableError):
        metrics.EVENTS_REFUSED.labels("unavailable").inc(events)
        return UnavailableError(problem.detail, retry_after=problem.retry_after)
    return problem


def _resolve(done: "asyncio.Future[None]", problem: Exception | None) -> None:
    if problem is None:
        done.set_result(None)
    else:
        done.set_exception(problem)


def _none_valid(rejected: list[Rejection]) -> GrandstandError:
    if all(rejection.code == "forbidden_user" for rejection in rejected):
        return ForbiddenError("This credential may only send events of its own user.", accepted=0, rejected=rejected)
    problem = InvalidError([FieldError(f"events[{item.index}]", item.message) for item in rejected])
    problem.extra |= {"accepted": 0, "rejected": rejected}
    return problem


def _count_accepted(high: int, low: int) -> None:
    if high:
        _accepted_high.inc(high)
    if low:
        _accepted_low.inc(low)
    metrics.STREAM_WRITE_EVENTS.observe(high + low)


def _count_rejected(rejected: list[Rejection]) -> None:
    for code, count in Counter(rejection.code for rejection in rejected).items():
        metrics.EVENTS_REJECTED.labels(code).inc(count)
