"""The runs of a recurring board: where each begins and ends, in a time zone with its daylight saving.

A period is [start, end): an event belongs to the one in which its `occurred_at` lies. Days, weeks and months begin at
local midnight, and cron periods at the local times of the expression; where a change of the clocks skips such a moment,
at the first one after it, and where it comes twice, at the first. A reset by hand cuts the period in which it falls in
two.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

BEGINNING = datetime(1800, 1, 1, tzinfo=UTC)
"""Start of the first period of a board that does not recur."""

LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Later than the start of any period."""

ALL_TIME = "all_time"
CALENDAR_PERIODS = ("hourly", "daily", "weekly", "monthly")
CRON_PREFIX = "cron:"
GRACE = timedelta(minutes=2)
"""How long after its end a period still takes events that occurred in it."""

_NAMED_MAX = 4096
"""Periods whose names are remembered: reads of a tournament name its occurrence, and a calendar is slow to ask."""

_NAME_LENGTH_MAX = len("20260131T120000.123456Z")

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_STEP = timedelta(minutes=15)
"""Every zone's offset is a multiple of this, and so is every change of one."""

_FAR = datetime(9990, 1, 1, tzinfo=UTC)
_EARLY = datetime(1801, 1, 1, tzinfo=UTC)


class Period(NamedTuple):
    """One run of a board; `end` is None while nothing is known to end it."""

    start: datetime
    end: datetime | None
    grace: timedelta = GRACE

    def takes(self, received_at: datetime) -> bool:
        """Whether an event of this period that arrived at `received_at` still counts."""
        return self.end is None or received_at < self.end + self.grace


class ScheduleError(Exception):
    """A period or time zone that cannot be; `field` is the definition's field, the message says what it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Schedule:
    """When the periods of one board begin. Remembers the last period, because events come in the order of time."""

    def __init__(self, period: str, timezone: str, resets: Sequence[datetime] = ()) -> None:
        self._period = period
        self._resets = tuple(sorted(resets))
        self._expression = period.removeprefix(CRON_PREFIX).strip() if period.startswith(CRON_PREFIX) else None
        self._zone = _zone(timezone)
        self._last: Period | None = None
        if self._expression is not None:
            _check_cron(self._expression)
        elif period != ALL_TIME and period not in CALENDAR_PERIODS:
            raise ScheduleError(
                "period", "must be all_time, hourly, daily, weekly, monthly, or 'cron: ' and five fields"
            )

    def at(self, moment: datetime) -> Period:
        """Return the period in which `moment` lies."""
        last = self._last
        if last is not None and last.start <= moment and (last.end is None or moment < last.end):
            return last
        start, end = self._scheduled(moment)
        number = bisect_right(self._resets, moment)
        if number:
            start = max(start, self._resets[number - 1])
        if number < len(self._resets):
            end = self._resets[number] if end is None else min(end, self._resets[number])
        self._last = Period(start, end)
        return self._last

    def _scheduled(self, moment: datetime) -> tuple[datetime, datetime | None]:
        if self._period == ALL_TIME:
            return BEGINNING, None
        # Calendars and zones make no sense at the ends of time, where events cannot be anyway.
        moment = min(max(moment, _EARLY), _FAR)
        if self._expression is not None:
            return self._between_ticks(self._expression, moment)
        if self._period == "hourly":
            return self._hour(moment)
        first = self._first_day(moment.astimezone(self._zone).date())
        start = self._midnight(first)
        return start, self._midnight(self._next_day(first))

    def _between_ticks(self, expression: str, moment: datetime) -> tuple[datetime, datetime]:
        # The library walks over local times, which it knows nothing of: it finds other ticks forwards than backwards
        # where it is left to change the clocks.
        forwards = CronSim(expression, moment.astimezone(self._zone).replace(tzinfo=None))
        last = next(local for local in forwards if self._first(local) > moment)
        backwards = CronSim(expression, last, reverse=True)
        return next(start for local in backwards if (start := self._first(local)) <= moment), self._first(last)

    def _first(self, local: datetime) -> datetime:
        """Return when a local time is first reached: where it is skipped, the moment at which the clocks change."""
        while True:
            moment = local.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
            if moment.astimezone(self._zone).replace(tzinfo=None) == local:
                return moment
            local += _MINUTE

    def _hour(self, moment: datetime) -> tuple[datetime, datetime]:
        local = moment.astimezone(self._zone)
        start = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        end = start + _HOUR
        if {each.astimezone(self._zone).utcoffset() for each in (start, end)} == {local.utcoffset()}:
            return start, end
        start = self._hour_start(moment)
        end = start + _HOUR
        # Shorter or longer than an hour only where the clocks change in the middle of one.
        if self._hour_start(end - _MINUTE) != start:
            end = start + _STEP
        while self._hour_start(end) == start:
            end += _STEP
        return start, self._hour_start(end)

    def _hour_start(self, moment: datetime) -> datetime:
        full = moment.astimezone(self._zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        found = []
        # The clocks may have shown the next full hour already, before they went back.
        for local in (full, full + _HOUR):
            again = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
            comes_twice = again.astimezone(self._zone).replace(tzinfo=None) == local
            found += [self._first(local), again] if comes_twice else [self._first(local)]
        return max(start for start in found if start <= moment)

    def _first_day(self, day: date) -> date:
        if self._period == "weekly":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self._period == "monthly" else day

    def _next_day(self, first: date) -> date:
        if self._period == "weekly":
            return first + timedelta(days=7)
        if self._period == "monthly":
            return date(first.year + first.month // 12, first.month % 12 + 1, 1)
        return first + timedelta(days=1)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=self._zone).astimezone(UTC)


class Windows:
    """When a tournament takes scores: in the windows of its occurrences, and at no other time."""

    def __init__(self, windows: Sequence[tuple[int, datetime, datetime]], grace: timedelta) -> None:
        self._windows = tuple(sorted(windows, key=lambda window: window[1]))
        self._starts = [window[1] for window in self._windows]
        self.grace = grace
        """How long after its end a window still takes events that occurred in it."""

    def at(self, moment: datetime) -> Period | None:
        """Return the window in which `moment` lies, or None."""
        number = bisect_right(self._starts, moment)
        if number:
            _, starts_at, ends_at = self._windows[number - 1]
            if moment < ends_at:
                return Period(starts_at, ends_at, self.grace)
        return None

    def occurrence(self, start: datetime) -> int | None:
        """Return the number of the occurrence that begins at `start`."""
        return next((number for number, starts_at, _ in self._windows if starts_at == start), None)


@lru_cache(maxsize=_NAMED_MAX)
def period_id(start: datetime) -> str:
    """Return the name of a period in URLs: its start in UTC, or `all_time` for a run that has none."""
    if start == BEGINNING:
        return ALL_TIME
    text = start.strftime("%Y%m%dT%H%M%S")
    return f"{text}.{start.microsecond:06d}Z" if start.microsecond else f"{text}Z"


def parse_period_id(text: str) -> datetime | None:
    """Return the start of the period that `text` names, or None when it names none."""
    # Clients write it, cursors at any length: a longer text names none, and is not to be remembered.
    return _start_of(text) if len(text) <= _NAME_LENGTH_MAX else None


@lru_cache(maxsize=_NAMED_MAX)
def _start_of(text: str) -> datetime | None:
    if text == ALL_TIME:
        return BEGINNING
    for form in ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S.%fZ"):
        try:
            start = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        # One period has one name: what strptime takes beyond it is none.
        return start if period_id(start) == text else None
    return None


def is_zone(name: str) -> bool:
    """Whether this is the name of an IANA time zone: one that means the same on every host."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    # Beside the zones, the folders that hold them may have the host's own zone and one that is nowhere.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, UnicodeError):
        raise ScheduleError("timezone", f"{name!r} is not a time zone; use a name such as 'Europe/Berlin'") from None


def _check_cron(expression: str) -> None:
    if len(expression.split()) != 5:
        raise ScheduleError("period", "'cron:' must be followed by five fields, such as 'cron: 0 6 * * 1'")
    try:
        end = next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
        next(CronSim(expression, end, reverse=True))
    except CronSimError as error:
        raise ScheduleError("period", f"is not a cron expression: {error}") from None
    except StopIteration:
        raise ScheduleError("period", "is a cron expression that never comes true") from None
