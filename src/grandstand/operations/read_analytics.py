"""Answers what players did: counts by hour and day from the rollups, sessions and funnels from the stored events."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import date, timedelta
from typing import Any, Literal, TypeVar, cast

import msgspec

from grandstand import clock
from grandstand.domain.definitions import is_path
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import is_event_type
from grandstand.domain.funnels import Funnel
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.local_days import read_zone
from grandstand.domain.time_ranges import TimeRange, read_range
from grandstand.operations.analytics_views import (
    Cohort,
    DayOverview,
    DaySessions,
    EventBucket,
    EventStats,
    FunnelStep,
    FunnelView,
    Overview,
    Retention,
    SessionStats,
)
from grandstand.operations.answer_cache import AnswerCache
from grandstand.operations.route_reads import Reads
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.postgres import Connection, Database

HOURS_MAX_DAYS = 31
DAYS_MAX = 366
COHORT_DAYS_MAX = 92
OVERVIEW_DAYS_MAX = 92
EVENT_DAYS_MAX = 31
STEPS_MAX = 10
WITHIN_SECONDS_MAX = EVENT_DAYS_MAX * 86_400
ROWS_MAX = 50_000
GAP = timedelta(minutes=30)
"""The longest pause between two events of one session."""

_AT_ONCE = 2
"""Questions that one process asks the stored events at the same time: each may read millions of rows."""

_KEPT_ROWS_MAX = 100_000
"""Rows of all answers that are kept together: some ten MB."""

_SHARE_DIGITS = 4
_RETURNS = (1, 7, 30)
T = TypeVar("T")


class FunnelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Steps in their order, and how long after the first the last may come."""

    steps: list[str]
    within_seconds: int | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    timezone: str | None = None


class Span(msgspec.Struct):
    """The texts of `from`, `to` and `timezone` as they came."""

    from_: str | None = None
    to: str | None = None
    timezone: str | None = None

    @property
    def texts(self) -> tuple[str | None, ...]:
        """What tells two of them apart."""
        return self.from_, self.to, self.timezone

    def read(self, *, usual_days: int, longest_days: int) -> TimeRange:
        """Return the range.

        Raises:
            InvalidError: see `read_range`.
        """
        return read_range(
            self.from_, self.to, read_zone(self.timezone), clock.now(),
            usual=timedelta(days=usual_days), longest=timedelta(days=longest_days),
        )  # fmt: skip


class AnalyticsReader:
    """Answers for one process, from a replica where one is fresh.

    All raise `InvalidError` for what cannot be asked, and `UnavailableError` when PostgreSQL is away or too slow. An
    answer is kept for up to the age that is given, and who asks the same meanwhile shares it: each is computed once in
    that time, however many look at a page.
    """

    def __init__(self, database: Database | Reads, store: AnalyticsStore, *, age_max_seconds: float = 0.0) -> None:
        self._database = database
        self._store = store
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._cache: AnswerCache[Hashable, Any] = AnswerCache(
            "analytics", age_max_seconds=age_max_seconds, weight_max=_KEPT_ROWS_MAX, weigh=_rows_of
        )

    async def stats(self, span: Span, interval: str | None, event_type: str | None) -> EventStats:
        """Return events and users by hour or day (whole ones, those that the range touches) and event type."""
        return await self._keep(
            ("stats", *span.texts, interval, event_type), lambda: self._stats(span, interval, event_type)
        )

    async def overview(self, span: Span) -> Overview:
        """Return the days that the range touches, whatever time of the day it begins or ends."""
        return await self._keep(("overview", *span.texts), lambda: self._overview(span))

    async def retention(self, span: Span, by: str | None) -> Retention:
        """Return cohorts by the day of the first event and, with `by`, a field of its payload."""
        return await self._keep(("retention", *span.texts, by), lambda: self._retention(span, by))

    async def sessions(self, span: Span) -> SessionStats:
        """Return sessions by the day on which they began."""
        return await self._keep(("sessions", *span.texts), lambda: self._sessions(span))

    async def funnel(self, body: bytes) -> FunnelView:
        """Return how many users took each step of a funnel; see `Funnel` for what a step is."""
        return await self._keep(("funnel", body), lambda: self._funnel(body))

    async def _keep(self, asked: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        # No change is announced, and none need be: the age is what is promised.
        answer: T = await self._cache.get(asked, lambda: True, load)
        return answer

    async def _stats(self, span: Span, interval: str | None, event_type: str | None) -> EventStats:
        if interval not in (None, "hour", "day"):
            raise InvalidError([FieldError("interval", "must be hour or day")])
        if event_type is not None and not is_event_type(event_type):
            raise InvalidError([FieldError("event_type", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -")])
        grain = cast("Literal['hour', 'day']", interval or "hour")
        span_ = span.read(
            usual_days=1 if grain == "hour" else 30, longest_days=HOURS_MAX_DAYS if grain == "hour" else DAYS_MAX
        )
        days = span_.days()
        if grain == "day":
            days.check_whole_hours()

        async def read(connection: "Connection[Any]") -> Sequence[Any]:
            if grain == "hour":
                starts_at = span_.starts_at.replace(minute=0, second=0, microsecond=0)
                return await self._store.buckets(connection, "hour", starts_at, span_.ends_at, event_type, ROWS_MAX + 1)
            if days.is_utc:
                starts_at, ends_at = days.start_of(days.first), days.bounds()[2][-1]
                return await self._store.buckets(connection, "day", starts_at, ends_at, event_type, ROWS_MAX + 1)
            return await self._store.days(connection, days, event_type, ROWS_MAX + 1)

        rows = await self._database.read(read, in_snapshot=True)
        _check_rows(rows, "from", "or name an event_type")
        return EventStats([EventBucket(*row) for row in rows])

    async def _overview(self, span: Span) -> Overview:
        days = span.read(usual_days=30, longest_days=OVERVIEW_DAYS_MAX).days()
        lead = days.around(before=29)
        lead.check_whole_hours()

        async def read(connection: "Connection[Any]") -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
            totals = await self._store.totals(connection, days)
            if days.is_utc and await self._store.are_kept(connection, lead.first, lead.last):
                active = await self._store.kept_active(connection, days.first, days.last)
                return totals, active, await self._store.kept_cohorts(connection, days.first, days.last)
            active = await self._store.active(connection, lead, days.first)
            return totals, active, await self._store.new_users(connection, days)

        totals, active, new = await self._database.read(read, in_snapshot=True)
        totals_by_day = {row["day"]: row for row in totals}
        new_by_day = {row["day"]: row["size"] for row in new}
        return Overview(
            days.zone.key,
            [
                DayOverview(
                    row["day"], row["dau"], row["wau"], row["mau"], new_by_day.get(row["day"], 0),
                    totals_by_day[row["day"]]["events"], totals_by_day[row["day"]]["games"],
                )
                for row in active
            ],
        )  # fmt: skip

    async def _retention(self, span: Span, by: str | None) -> Retention:
        if by is not None and not is_path(by):
            raise InvalidError([FieldError("by", "must be a dotted path inside the payload")])
        days = span.read(usual_days=30, longest_days=COHORT_DAYS_MAX).days()
        reach = days.around(after=max(_RETURNS))
        reach.check_whole_hours()
        path = [] if by is None else by.split(".")

        async def read(connection: "Connection[Any]") -> Sequence[Any]:
            if not path and days.is_utc and await self._store.are_kept(connection, reach.first, reach.last):
                return await self._store.kept_cohorts(connection, days.first, days.last)
            return await self._store.cohorts(connection, days, reach, path, ROWS_MAX + 1)

        rows = await self._database.read(read, in_snapshot=True)
        _check_rows(rows, "by", "or name a field with fewer values")
        today = clock.now().astimezone(days.zone).date()
        return Retention(days.zone.key, [_cohort(row, today) for row in rows])

    async def _sessions(self, span: Span) -> SessionStats:
        days = span.read(usual_days=7, longest_days=EVENT_DAYS_MAX).days()

        async def read(connection: "Connection[Any]") -> tuple[dict[int, Any], bool]:
            await EventLog().hold(connection)
            found = {row["number"]: row for row in await self._store.sessions(connection, days, GAP)}
            return found, await self._store.has_left(connection, days.start_of(days.first) - timedelta(days=1))

        async with self._turns:
            found, has_left = await self._database.read(read, in_snapshot=True)
        return SessionStats(
            days.zone.key, [_sessions(day, found.get(number)) for number, day in enumerate(days, start=1)], not has_left
        )

    async def _funnel(self, body: bytes) -> FunnelView:
        request = decode_body(body, FunnelRequest)
        _check_funnel(request)
        span = Span(request.from_, request.to, request.timezone)
        range_ = span.read(usual_days=7, longest_days=EVENT_DAYS_MAX)
        within = None if request.within_seconds is None else timedelta(seconds=request.within_seconds)

        async def read(connection: "Connection[Any]") -> tuple[Funnel, bool]:
            funnel = Funnel(request.steps, within)
            await EventLog().hold(connection)
            types = sorted(set(request.steps))
            async for rows in self._store.steps(connection, types, range_.starts_at, range_.ends_at):
                for user_id, event_type, occurred_at in rows:
                    funnel.add(user_id, event_type, occurred_at)
            return funnel, await self._store.has_left(connection, range_.starts_at - timedelta(days=1))

        async with self._turns:
            funnel, has_left = await self._database.read(read, in_snapshot=True)
        funnel.finish()
        first = funnel.users[0]
        steps = [
            FunnelStep(event_type, users, round(users / first, _SHARE_DIGITS) if first else 0.0)
            for event_type, users in zip(request.steps, funnel.users, strict=True)
        ]
        return FunnelView(steps, not has_left)


def _rows_of(_: Hashable, answer: object) -> int:
    """Return about how many rows are kept with an answer."""
    rows = [getattr(answer, name, ()) for name in ("buckets", "days", "cohorts", "steps")]
    return 1 + sum(len(each) for each in rows)


def _check_funnel(request: FunnelRequest) -> None:
    errors = []
    if not 1 <= len(request.steps) <= STEPS_MAX:
        errors.append(FieldError("steps", f"must be 1 to {STEPS_MAX} event types"))
    errors += [
        FieldError(f"steps[{number}]", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -")
        for number, event_type in enumerate(request.steps[:STEPS_MAX])
        if not is_event_type(event_type)
    ]
    if request.within_seconds is not None and not 1 <= request.within_seconds <= WITHIN_SECONDS_MAX:
        errors.append(FieldError("within_seconds", f"must be between 1 and {WITHIN_SECONDS_MAX}"))
    if errors:
        raise InvalidError(errors)


def _check_rows(rows: Any, field: str, advice: str) -> None:
    if len(rows) > ROWS_MAX:
        raise InvalidError([FieldError(field, f"gives more than {ROWS_MAX} rows: ask for less time, {advice}")])


def _cohort(row: Any, today: date) -> Cohort:
    shares = [
        round(row[f"day_{after}"] / row["size"], _SHARE_DIGITS) if row["day"] + timedelta(days=after) < today else None
        for after in _RETURNS
    ]
    return Cohort(row["day"], row["label"], row["size"], *shares)


def _sessions(day: date, row: Any) -> DaySessions:
    if row is None:
        return DaySessions(day, 0, 0, None)
    return DaySessions(day, row["sessions"], row["users"], round(row["seconds"], 1))
