"""Decides whether a subject (a player, an address, a key) may go on, with counts that all processes share.

What is known of a subject is kept for a moment. While it is far from its limit a process admits a few units at once and
tells the shared count a moment later (`RateLimit.eager_units`: all processes together stay within 2 %); otherwise it
asks and waits. Whatever is to be told or asked at one time goes in one call, and one call is under way at a time. A
subject that is blocked is refused from memory.

    shared ──call fails, or takes longer than PATIENCE_SECONDS──► local
    local ──a call succeeds (tried every RETRY_SECONDS)──► shared

Local, a process counts for itself, from what it knew: the door is neither open nor shut, and a client that spreads over
n processes gets up to n times its quota. What was admitted meanwhile is told to the shared counts afterwards.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.settings import Settings
from grandstand.storage.rate_limits import Charge, Count, RateLimitStore
from grandstand.telemetry import metrics

PATIENCE_SECONDS = 1.0
"""Longest wait of a request for the shared counts. Below it lies what a busy disk takes now and then."""

RETRY_SECONDS = 1.0
TELL_SECONDS = 1.0
"""How long admitted units may wait to be told together, while nobody waits for an answer."""

PAUSE_SECONDS = 0.002
"""Between two calls: a call costs as much as tens of subjects do, so they are few and large."""

FRESH_SECONDS = 5.0
"""Age at which a count is too old to admit anything by it."""

SUBJECTS_MAX = 20_000
"""Subjects of one limit that a process remembers; of those forgotten the shared count knows."""

CALL_SUBJECTS_MAX = 500
"""Subjects of one call, which keeps the script short for whoever waits behind it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits in force; None is no limit."""

    player: RateLimit | None
    player_events: RateLimit | None
    player_address: RateLimit | None
    client: RateLimit | None
    anonymous: RateLimit | None
    server: RateLimit | None

    @classmethod
    def of(cls, settings: Settings) -> "RateLimits":
        """Return the limits that the settings name."""

        def limit(counter: str, quota: int, name: str = "default") -> RateLimit | None:
            window, block = settings.rate_limit_window_seconds, settings.rate_limit_block_seconds
            return RateLimit(name, counter, quota, window, block) if quota else None

        return cls(
            player=limit("player", settings.rate_limit_player_requests),
            player_events=limit("events", settings.rate_limit_player_events, "events"),
            player_address=limit("players", settings.rate_limit_address_player_requests, "address"),
            client=limit("client", settings.rate_limit_client_requests),
            anonymous=limit("anonymous", settings.rate_limit_anonymous_requests),
            server=limit("server", settings.rate_limit_server_requests),
        )


@dataclass(slots=True, eq=False)
class _Subject:
    """What this process knows of a subject. Times are of the monotonic clock."""

    limit: RateLimit
    key: bytes
    units: int = 0
    ends_at: float = 0.0
    learned_at: float = 0.0
    is_blocked: bool = False
    untold: int = 0
    under_way: int = 0
    waiting: "list[tuple[int, asyncio.Future[Verdict]]]" = field(default_factory=list)

    @property
    def used(self) -> int:
        return self.units + self.untold + self.under_way


@dataclass(slots=True, eq=False)
class _Part:
    """One subject's part of a call: what is told and asked, and what was admitted meanwhile without an answer."""

    subject: _Subject
    spent: int
    waiting: "list[tuple[int, asyncio.Future[Verdict]]]"
    admitted: int = 0


class RateLimiter:
    """The limits of one process. `close` at the end."""

    def __init__(self, store: RateLimitStore, limits: RateLimits) -> None:
        self.limits = limits
        self._store = store
        self._subjects: dict[str, dict[str, _Subject]] = {}
        self._to_tell: dict[_Subject, None] = {}
        self._call: Sequence[_Part] = ()
        self._teller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_local = False
        self._retry_at = 0.0

    @property
    def is_local(self) -> bool:
        """Whether this process counts for itself because the shared counts are out of reach."""
        return self._is_local

    def judge(self, limit: RateLimit, name: str, units: int = 1) -> "Verdict | asyncio.Future[Verdict]":
        """Decide on a subject's units, at once where that can be done, else as a future that never fails."""
        now = time.monotonic()
        subjects = self._subjects.get(limit.counter)
        subject = None if subjects is None else subjects.get(name)
        if subject is None:
            subject = self._remember(limit, name)
        elif now < subject.ends_at:
            if subject.is_blocked:
                return _verdict(subject, now, is_admitted=False)
            if not limit.block_seconds and subject.units + units > limit.quota:
                return _verdict(subject, now, is_admitted=False)
            if (
                not self._is_local
                and now < subject.learned_at + FRESH_SECONDS
                and (new := subject.untold + subject.under_way + units) <= limit.eager_units
                and subject.units + new <= limit.eager_until
            ):
                subject.untold += units
                self._to_tell[subject] = None
                if self._timer is None and self._teller is None:
                    self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)
                # This is the hot path: nothing is computed twice.
                return Verdict(limit, True, limit.quota - subject.units - new, math.ceil(subject.ends_at - now))
        if self._is_local and now < self._retry_at:
            return self._judge_locally(subject, units, now)
        return self._ask(subject, units)

    async def close(self) -> None:
        """Tell what is left to tell, without waiting for a Valkey that is away."""
        if self._timer is not None:
            self._timer.cancel()
        if self._to_tell and not self._is_local:
            self._tell()
        if self._teller is not None:
            await asyncio.wait((self._teller,), timeout=PATIENCE_SECONDS)
            if self._teller is not None:
                self._teller.cancel()
                await asyncio.gather(self._teller, return_exceptions=True)
                self._go_local()

    def _remember(self, limit: RateLimit, name: str) -> _Subject:
        subjects = self._subjects.setdefault(limit.counter, {})
        if len(subjects) >= SUBJECTS_MAX:
            del subjects[next(iter(subjects))]
        subject = subjects[name] = _Subject(limit, self._store.key(limit, name))
        return subject

    def _ask(self, subject: _Subject, units: int) -> "asyncio.Future[Verdict]":
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        subject.waiting.append((units, answer))
        self._to_tell[subject] = None
        self._tell()
        return answer

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._teller is None:
            # It begins in the next turn of the event loop: whoever comes in this one is part of the call.
            self._teller = asyncio.create_task(self._tell_all(), name="count requests")

    async def _tell_all(self) -> None:
        try:
            while self._to_tell:
                self._call = [_part_of(subject) for subject in self._take_some()]
                await self._tell_some()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._teller = None

    def _take_some(self) -> list[_Subject]:
        taken = list(self._to_tell)[:CALL_SUBJECTS_MAX]
        for subject in taken:
            del self._to_tell[subject]
        return taken

    async def _tell_some(self) -> None:
        charges = [
            Charge(part.subject.limit, part.subject.key, part.spent, _wanted(part) if part.waiting else 0)
            for part in self._call
        ]
        patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._go_local)
        try:
            counts = await self._store.charge(charges)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if not isinstance(error, UnavailableError):
                _log.exception("requests_not_counted")
            self._go_local()
            for part in self._call:
                # Whether it was counted is not known; what is told twice is better than what is never told.
                part.subject.untold += part.spent + part.admitted
                part.subject.under_way = 0
                if part.subject.untold:
                    self._to_tell[part.subject] = None
            self._call = ()
            await self._wait_before_retry()
            return
        finally:
            patience.cancel()
        parts, self._call = self._call, ()
        now = time.monotonic()
        for part, count in zip(parts, counts, strict=True):
            _learn(part, count, now)
        if self._is_local:
            self._is_local = False
            _log.info("rate_limits_shared_again")

    async def _wait_before_retry(self) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        await asyncio.sleep(RETRY_SECONDS)

    def _go_local(self) -> None:
        """Count alone from now on, and answer everybody who waits."""
        if not self._is_local:
            self._is_local = True
            metrics.RATE_LIMITS_LOCAL.inc()
            _log.warning("rate_limits_local", reason="the shared counts are out of reach or slow")
        now = time.monotonic()
        # Until the call that is under way ends, nobody waits for another one.
        self._retry_at = math.inf
        for part in self._call:
            for units, answer in part.waiting:
                if not answer.done():
                    verdict = self._judge_locally(part.subject, units, now)
                    if verdict.is_admitted:
                        # Of this the call tells, if it arrives.
                        part.subject.untold -= units
                        part.subject.under_way += units
                        part.admitted += units
                    answer.set_result(verdict)
        for subject in self._to_tell:
            for units, answer in subject.waiting:
                if not answer.done():
                    answer.set_result(self._judge_locally(subject, units, now))
            subject.waiting = []

    def _judge_locally(self, subject: _Subject, units: int, now: float) -> Verdict:
        limit = subject.limit
        if now >= subject.ends_at:
            subject.units, subject.is_blocked = 0, False
            subject.untold = subject.under_way = 0
            subject.ends_at = now + limit.window_seconds
        if not subject.is_blocked:
            if subject.used + units <= limit.quota:
                subject.untold += units
                self._to_tell[subject] = None
                return _verdict(subject, now, is_admitted=True)
            if limit.block_seconds:
                subject.is_blocked = True
                subject.ends_at = now + limit.block_seconds
        return _verdict(subject, now, is_admitted=False)


def _wanted(part: _Part) -> int:
    return sum(units for units, _ in part.waiting)


def _part_of(subject: _Subject) -> _Part:
    part = _Part(subject, subject.untold, subject.waiting)
    subject.under_way = subject.untold
    subject.untold, subject.waiting = 0, []
    return part


def _learn(part: _Part, count: Count, now: float) -> None:
    """Take what the shared count says, and answer who waited for it, in the order in which they came."""
    subject, limit = part.subject, part.subject.limit
    units_now, granted, left_seconds = count
    is_over = units_now > limit.quota
    subject.units = limit.quota if is_over else units_now
    subject.under_way = 0
    subject.learned_at = now
    subject.ends_at = now + left_seconds
    subject.is_blocked = is_over
    if not part.waiting:
        return
    left = limit.quota - subject.used if not is_over else 0
    for units, answer in part.waiting:
        is_admitted = units <= granted
        granted -= units if is_admitted else 0
        if not answer.done():
            answer.set_result(Verdict(limit, is_admitted, max(0, left + granted), _seconds(subject, now)))
    if granted and not is_over:
        # Granted to somebody who wanted more: the others may have it.
        subject.untold -= granted


def _verdict(subject: _Subject, now: float, *, is_admitted: bool) -> Verdict:
    remaining = max(0, subject.limit.quota - subject.used) if not subject.is_blocked else 0
    return Verdict(subject.limit, is_admitted, remaining, _seconds(subject, now))


def _seconds(subject: _Subject, now: float) -> int:
    return max(1, math.ceil(subject.ends_at - now))
