"""What one process knows of those whom it counts, how a window begins, and how the shared counts change all that."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.storage.rate_limits import Count

SUBJECTS_MAX = 20_000
"""Subjects of one limit that a process remembers; of those forgotten the shared count knows."""

_FORGOTTEN_SHARE = 8
"""One in so many is forgotten when there are too many: each time all are looked through, which has to be seldom."""


@dataclass(slots=True, eq=False)
class Subject:
    """What this process knows of a subject. Times are of the monotonic clock.

    Until `ends_at`, `free` units may be admitted without a look at anything else: `free` is all that changes then, and
    together with `behind_free` it is what the subject has left. Whatever else changes takes that back first
    (`take_back`).

    `under_way` is what the call that is under way tells of the window that runs here, or will have to if it fails.
    `tell_at` is when what is untold is to be told at the latest; `is_noted`, whether somebody will see to it.
    `is_strange` says that it may have been counted, or blocked, in a window that this process has forgotten: nothing is
    admitted before the shared count has been asked.
    """

    limit: RateLimit
    key: bytes
    free: int = 0
    behind_free: int = 0
    ends_at: float = 0.0
    units: int = 0
    is_blocked: bool = False
    under_way: int = 0
    tell_at: float = 0.0
    is_noted: bool = False
    is_strange: bool = False
    waiting: "list[tuple[int, asyncio.Future[Verdict]]]" = field(default_factory=list)
    _granted: int = 0
    """What is untold and what is free."""

    @property
    def untold(self) -> int:
        """Units that were admitted and of which the shared count has not been told."""
        return self._granted - self.free

    @untold.setter
    def untold(self, units: int) -> None:
        self._granted = units + self.free

    def set_free(self, units: int) -> None:
        """Let so many units be admitted until `ends_at`."""
        self._granted += units - self.free
        self.free = units
        self.behind_free = self.limit.quota - self.used - units

    def take_back(self) -> None:
        """Let nothing be admitted any more without a look."""
        self._granted -= self.free
        self.free = 0

    @property
    def used(self) -> int:
        """Units as far as they are known here: counted by all, and admitted since."""
        return self.units + self.untold + self.under_way


class KnownSubjects:
    """The subjects of one limit that a process remembers, SUBJECTS_MAX at most."""

    def __init__(self) -> None:
        self._by_name: dict[str, Subject] = {}
        self._strange_until = 0.0

    @property
    def is_full(self) -> bool:
        """Whether some must be forgotten before one more is added."""
        return len(self._by_name) >= SUBJECTS_MAX

    def find(self, name: str) -> Subject | None:
        """Return what is known of a subject."""
        return self._by_name.get(name)

    def add(self, name: str, subject: Subject, now: float) -> None:
        """Remember one more. Until all windows of those forgotten are over, it may be one of them."""
        self._by_name[name] = subject
        if now < self._strange_until:
            subject.is_strange, subject.ends_at = True, self._strange_until

    def forget_some(self, now: float) -> Sequence[Subject]:
        """Forget all whose window is over; if these are few, whoever was met first, too, and who is blocked last.

        Returns those of them whose window or block is not over.
        """
        counted: list[str] = []
        blocked: list[str] = []
        for name, subject in list(self._by_name.items()):
            if subject.ends_at <= now:
                del self._by_name[name]
            else:
                (blocked if subject.is_blocked else counted).append(name)
        too_many = len(self._by_name) - (SUBJECTS_MAX - SUBJECTS_MAX // _FORGOTTEN_SHARE)
        forgotten = [self._by_name.pop(name) for name in [*counted, *blocked][: max(0, too_many)]]
        self._strange_until = max([self._strange_until, *(subject.ends_at for subject in forgotten)])
        return forgotten


@dataclass(slots=True, eq=False)
class Part:
    """One subject's part of a call: what is told and asked."""

    subject: Subject
    spent: int
    waiting: "list[tuple[int, asyncio.Future[Verdict]]]"


def wanted_by(part: Part) -> int:
    """Return the units that wait for an answer."""
    return sum(units for units, _ in part.waiting)


def part_of(subject: Subject, now: float) -> Part:
    """Take what is to be told and asked of a subject into a call; of a window that is over nothing is to be told."""
    subject.take_back()
    part = Part(subject, subject.untold if now < subject.ends_at else 0, subject.waiting)
    subject.under_way = part.spent
    subject.untold, subject.waiting = 0, []
    subject.is_noted = False
    return part


def begin_window(subject: Subject, now: float) -> None:
    """Begin to count anew: what is untold of the window that is over stays so, and the new one is told of soon."""
    subject.take_back()
    subject.units, subject.untold, subject.is_blocked, subject.is_strange = 0, 0, False, False
    subject.ends_at = now + subject.limit.window_seconds
    subject.tell_at = 0.0


def is_due(subject: Subject, now: float) -> bool:
    """Whether what is untold is to be told now, by its age or because it is much of what may be untold."""
    return now >= subject.tell_at or subject.untold >= subject.limit.told_soon_units


def learn(part: Part, count: Count, now: float) -> None:
    """Take what the shared count says, and answer who waited for it, in the order in which they came."""
    subject, limit = part.subject, part.subject.limit
    units_now, granted, left_seconds = count
    is_over = units_now > limit.quota
    subject.take_back()
    subject.units = limit.quota if is_over else units_now
    subject.under_way = 0
    subject.ends_at = now + left_seconds
    subject.is_blocked, subject.is_strange = is_over, False
    if not part.waiting:
        return
    left = limit.quota - subject.used
    for units, answer in part.waiting:
        is_admitted = units <= granted
        granted -= units if is_admitted else 0
        if not answer.done():
            # Of what was granted and did not suffice nothing is left to whoever is blocked for that.
            remaining = 0 if is_over else max(0, left + granted)
            answer.set_result(Verdict(limit, is_admitted, remaining, seconds_left(subject, now)))
    if granted and not is_over:
        # Granted to somebody who wanted more: the others may have it.
        subject.untold -= granted


def verdict_on(subject: Subject, now: float, *, is_admitted: bool) -> Verdict:
    """Return a verdict by what is known here."""
    remaining = max(0, subject.limit.quota - subject.used) if not subject.is_blocked else 0
    return Verdict(subject.limit, is_admitted, remaining, seconds_left(subject, now))


def seconds_left(subject: Subject, now: float) -> int:
    """Return the whole seconds, 1 at least, until the subject has its quota again."""
    return max(1, math.ceil(subject.ends_at - now))
