"""Decides whether a subject (a player, an address, a key) may go on, with counts that all processes share.

Until a process hears that a subject is near its limit it admits a few units at once and tells the shared count a moment
later (`RateLimit.eager_units` may be untold: four processes together stay within 2 %); otherwise it asks and waits.
Whatever is to be told or asked at one time goes in one call, and one call is under way at a time. A subject that is
blocked is refused from memory.

When it is told: that a window has begun, and what comes near to what may be untold, within TELL_SECONDS; less than
that, within TELL_FEW_SECONDS, because to tell of one unit costs as much as to tell of many.

    shared ──call fails, or takes longer than PATIENCE_SECONDS──► local
    local ──a call succeeds (tried every RETRY_SECONDS)──► shared

Local, a process counts for itself, from what it knew: the door is neither open nor shut, and a client that spreads over
n processes gets up to n times its quota. What was admitted meanwhile is told to the shared counts afterwards.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from itertools import islice

import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.operations.limited_subjects import (
    SUBJECTS_MAX,
    KnownSubjects,
    Part,
    Subject,
    begin_window,
    is_due,
    learn,
    part_of,
    seconds_left,
    verdict_on,
    wanted_by,
)
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import Charge, RateLimitStore
from grandstand.telemetry import metrics

PATIENCE_SECONDS = 1.0
"""Longest wait of a request for the shared counts. Below it lies what a busy disk takes now and then."""

RETRY_SECONDS = 1.0
TELL_SECONDS = 1.0
"""How long admitted units may wait to be told together."""

TELL_FEW_SECONDS = 5.0
"""How long few of them may wait, in a window of which the shared counts know."""

PAUSE_SECONDS = 0.002
"""Between two calls: a call costs as much as tens of subjects do, so they are few and large."""

NOTED_MAX = 2 * SUBJECTS_MAX
"""Subjects with something to tell. While Valkey is away, whoever has many addresses could make them any number."""

CALL_SUBJECTS_MAX = 500
"""Subjects of one call, which keeps the script short for whoever waits behind it."""

_log = structlog.get_logger(__name__)


class RateLimiter:
    """The limits of one process. `close` at the end."""

    def __init__(self, store: RateLimitStore, limits: RateLimits) -> None:
        self.limits = limits
        self._store = store
        self._known: dict[str, KnownSubjects] = {}
        self._noted: dict[Subject, None] = {}
        self._urgent: dict[Subject, None] = {}
        self._call: Sequence[Part] = ()
        self._teller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_local = False
        self._retry_at = 0.0
        self.times_forgotten = 0
        """How often subjects were forgotten. What `find` has returned before may be one: it has nothing free, or its
        window is over, and is not to be asked for more."""

    @property
    def is_local(self) -> bool:
        """Whether this process counts for itself because the shared counts are out of reach."""
        return self._is_local

    def admit_at_once(self, limit: RateLimit, name: str, units: int = 1) -> Verdict | None:
        """Admit a subject's units if that can be done without asking; None, and nothing is counted, if it cannot."""
        now = time.monotonic()
        subject = self.find(limit, name, now)
        left = self.take_at_once(subject, units, now)
        return None if left is None else Verdict(limit, True, left, seconds_left(subject, now))

    def find(self, limit: RateLimit, name: str, now: float) -> Subject:
        """Return what is known of a subject; `now` is monotonic. Good while `times_forgotten` is the same."""
        known = self._known.get(limit.counter)
        if known is None:
            known = self._known[limit.counter] = KnownSubjects()
        return known.find(name) or self._meet(known, limit, name, now)

    def take_at_once(self, subject: Subject, units: int, now: float) -> int | None:
        """Admit a subject's units as `admit_at_once` does; return what is left of its quota then."""
        left = subject.free - units
        if left >= 0 and now < subject.ends_at:
            subject.free = left
            return left + subject.behind_free
        return self._take_anew(subject, units, now)

    def judge(self, limit: RateLimit, name: str, units: int = 1) -> "Verdict | asyncio.Future[Verdict]":
        """Decide on a subject's units, at once where that can be done, else as a future that never fails."""
        now = time.monotonic()
        subject = self.find(limit, name, now)
        left = self.take_at_once(subject, units, now)
        if left is not None:
            return Verdict(limit, True, left, seconds_left(subject, now))
        is_over = not limit.block_seconds and subject.used + units > limit.quota
        if now < subject.ends_at and (subject.is_blocked or is_over):
            return verdict_on(subject, now, is_admitted=False)
        if self._is_local and now < self._retry_at:
            return self._judge_locally(subject, units, now)
        return self._ask(subject, units)

    async def close(self) -> None:
        """Tell what is left to tell, without waiting for a Valkey that is away."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_local:
            self._urge(list(self._noted))
        if self._teller is not None:
            await asyncio.wait((self._teller,), timeout=PATIENCE_SECONDS)
            if self._teller is not None:
                self._teller.cancel()
                await asyncio.gather(self._teller, return_exceptions=True)
                self._go_local()

    def _take_anew(self, subject: Subject, units: int, now: float) -> int | None:
        """Admit units that are not free any more, and set free what needs no further look."""
        if self._is_local:
            return None
        if now >= subject.ends_at:
            # What others count in a new window is not known: the few units of this process are the whole risk.
            begin_window(subject, now)
        subject.take_back()
        limit, used = subject.limit, subject.used
        room = min(limit.eager_units - (used - subject.units), limit.eager_until - used)
        if units > room or subject.is_blocked or subject.is_strange:
            return None
        subject.untold += units
        self._note(subject)
        if subject.is_noted:
            subject.set_free(room - units)
        return limit.quota - used - units

    def _meet(self, known: KnownSubjects, limit: RateLimit, name: str, now: float) -> Subject:
        if known.is_full:
            self.times_forgotten += 1
            forgotten = known.forget_some(now)
            for subject in forgotten:
                subject.take_back()
            if not self._is_local:
                # Whoever comes back is asked about after this has been told, or in the same call.
                self._urge([subject for subject in forgotten if subject.untold])
        subject = Subject(limit, self._store.key(limit, name))
        known.add(name, subject, now)
        return subject

    def _ask(self, subject: Subject, units: int) -> "asyncio.Future[Verdict]":
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        subject.waiting.append((units, answer))
        self._urge((subject,))
        return answer

    def _note(self, subject: Subject) -> None:
        """See to it that what was admitted is told."""
        if subject.is_noted or len(self._noted) >= NOTED_MAX:
            return
        subject.is_noted = True
        self._noted[subject] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell_due)

    def _tell_due(self) -> None:
        self._timer = None
        now = time.monotonic()
        if not self._is_local:
            self._urge([subject for subject in self._noted if is_due(subject, now)])
        if self._noted:
            self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell_due)

    def _urge(self, subjects: Sequence[Subject]) -> None:
        """Tell and ask in the next call."""
        for subject in subjects:
            self._noted.pop(subject, None)
            self._urgent[subject] = None
            subject.is_noted = True
        if self._urgent and self._teller is None:
            # It begins in the next turn of the event loop: whoever comes in this one is part of the call.
            self._teller = asyncio.create_task(self._tell_all(), name="count requests")

    async def _tell_all(self) -> None:
        try:
            while self._urgent:
                self._call = self._take_some()
                if self._call:
                    await self._tell_some()
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._teller = None

    def _take_some(self) -> list[Part]:
        taken = list(islice(self._urgent, CALL_SUBJECTS_MAX))
        for subject in taken:
            del self._urgent[subject]
        now = time.monotonic()
        parts = [part_of(subject, now) for subject in taken]
        # Nothing must not be told: it would begin a window.
        return [part for part in parts if part.spent or part.waiting]

    async def _tell_some(self) -> None:
        charges = [
            Charge(part.subject.limit, part.subject.key, part.spent, wanted_by(part) if part.waiting else 0)
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
                part.subject.untold += part.subject.under_way
                part.subject.under_way = 0
            self._urge([part.subject for part in self._call])
            self._call = ()
            await self._wait_before_retry()
            return
        finally:
            patience.cancel()
        parts, self._call = self._call, ()
        now = time.monotonic()
        for part, count in zip(parts, counts, strict=True):
            learn(part, count, now)
            part.subject.tell_at = now + TELL_FEW_SECONDS
        # What was granted and did not suffice is there for other processes.
        self._urge([part.subject for part in parts if part.subject.untold < 0])
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
                    answer.set_result(verdict)
        for subject in self._urgent:
            for units, answer in subject.waiting:
                if not answer.done():
                    answer.set_result(self._judge_locally(subject, units, now))
            subject.waiting = []

    def _judge_locally(self, subject: Subject, units: int, now: float) -> Verdict:
        limit = subject.limit
        subject.take_back()
        if now >= subject.ends_at:
            begin_window(subject, now)
            subject.under_way = 0
        if not subject.is_blocked:
            if subject.used + units <= limit.quota:
                subject.untold += units
                self._note(subject)
                return verdict_on(subject, now, is_admitted=True)
            if limit.block_seconds:
                subject.is_blocked = True
                subject.ends_at = now + limit.block_seconds
        return verdict_on(subject, now, is_admitted=False)
