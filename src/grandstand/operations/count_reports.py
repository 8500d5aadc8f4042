"""Counts the answer to a question of analytics, from the rollups or from the stored events, in one snapshot."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from grandstand import clock
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.funnels import Funnel
from grandstand.domain.local_days import LocalDays
from grandstand.operations.analytics_views import (
    Answer,
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
from grandstand.operations.report_questions import EVENT_DAYS_MAX, Question
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.postgres import Connection

HOURS_MAX_DAYS = 31
DAYS_MAX = 366
COHORT_DAYS_MAX = 92
OVERVIEW_DAYS_MAX = 92
ROWS_MAX = 50_000
GAP = timedelta(minutes=30)
"""The longest pause between two events of one session."""

_SHARE_DIGITS = 4
_RETURNS = (1, 7, 30)


@dataclass(frozen=True)
class Plan:
    """How a question is answered, and what that costs. For one use, soon: a range may end now.

    `reads_events`: from the stored events, else from the rollups. `looks_at` are the moments between which every event
    may cost something; None when the cost follows from the number of days alone, as it also does for UTC days in
    `kept`, where they are kept.
    """

    read: "Callable[[AnalyticsStore, Connection[Any]], Awaitable[Answer]]"
    reads_events: bool = False
    looks_at: tuple[datetime, datetime] | None = None
    kept: LocalDays | None = None

    async def begin(self, connection: "Connection[Any]") -> None:
        """Come first in the snapshot: what is about to leave the stored events must not be missed."""
        if self.reads_events:
            await EventLog().hold(connection)

    async def count_events(self, store: AnalyticsStore, connection: "Connection[Any]") -> int:
        """Return how many events what is read follows from: no more rows are looked at than a few times that."""
        if self.looks_at is None or await _are_kept(store, connection, self.kept):
            return 0
        return await store.count_events(connection, *self.looks_at)


def plan(question: Question) -> Plan:
    """Return how a question is answered.

    Raises:
        InvalidError: it cannot be asked; names what is wrong.
    """
    question.check()
    return _PLANS[question.kind](question)


def _plan_stats(question: Question) -> Plan:
    grain, event_type, rows_max = question.interval, question.event_type, ROWS_MAX + 1
    span = question.span.read(
        usual_days=1 if grain == "hour" else 30, longest_days=HOURS_MAX_DAYS if grain == "hour" else DAYS_MAX
    )
    days = span.days()
    if grain == "day":
        days.check_whole_hours()

    async def read(store: AnalyticsStore, connection: "Connection[Any]") -> EventStats:
        if grain == "hour":
            starts_at = span.starts_at.replace(minute=0, second=0, microsecond=0)
            rows = await store.buckets(connection, "hour", starts_at, span.ends_at, event_type, rows_max)
        elif days.is_utc:
            starts_at, ends_at = _ends(days)
            rows = await store.buckets(connection, "day", starts_at, ends_at, event_type, rows_max)
        else:
            rows = await store.days(connection, days, event_type, rows_max)
        _check_rows(rows, "from", "or name an event_type")
        return EventStats([EventBucket(*row) for row in rows], clock.now())

    return Plan(read, looks_at=None if grain == "hour" or days.is_utc else _ends(days))


def _plan_overview(question: Question) -> Plan:
    days = question.span.read(usual_days=30, longest_days=OVERVIEW_DAYS_MAX).days()
    lead = days.around(before=29)
    lead.check_whole_hours()

    async def read(store: AnalyticsStore, connection: "Connection[Any]") -> Overview:
        totals = {row["day"]: row for row in await store.totals(connection, days)}
        if await _are_kept(store, connection, kept):
            active = await store.kept_active(connection, days.first, days.last)
            new = await store.kept_cohorts(connection, days.first, days.last)
        else:
            active = await store.active(connection, lead, days.first)
            new = await store.new_users(connection, days)
        new_by_day = {row["day"]: row["size"] for row in new}
        return Overview(
            days.zone.key,
            [
                DayOverview(
                    row["day"], row["dau"], row["wau"], row["mau"], new_by_day.get(row["day"], 0),
                    totals[row["day"]]["events"], totals[row["day"]]["games"],
                )
                for row in active
            ],
            clock.now(),
        )  # fmt: skip

    kept = lead if days.is_utc else None
    return Plan(read, looks_at=_ends(lead), kept=kept)


def _plan_retention(question: Question) -> Plan:
    days = question.span.read(usual_days=30, longest_days=COHORT_DAYS_MAX).days()
    reach = days.around(after=max(_RETURNS))
    reach.check_whole_hours()
    path = [] if question.by is None else question.by.split(".")

    async def read(store: AnalyticsStore, connection: "Connection[Any]") -> Retention:
        if await _are_kept(store, connection, kept):
            rows = await store.kept_cohorts(connection, days.first, days.last)
        else:
            rows = await store.cohorts(connection, days, reach, path, ROWS_MAX + 1)
        _check_rows(rows, "by", "or name a field with fewer values")
        today = clock.now().astimezone(days.zone).date()
        return Retention(days.zone.key, [_cohort(row, today) for row in rows], clock.now())

    kept = reach if days.is_utc and not path else None
    return Plan(read, looks_at=_ends(days), kept=kept)


def _plan_sessions(question: Question) -> Plan:
    days = question.span.read(usual_days=7, longest_days=EVENT_DAYS_MAX).days()

    async def read(store: AnalyticsStore, connection: "Connection[Any]") -> SessionStats:
        found = {row["number"]: row for row in await store.sessions(connection, days, GAP)}
        has_left = await store.has_left(connection, days.start_of(days.first) - timedelta(days=1))
        counted = [_sessions(day, found.get(number)) for number, day in enumerate(days, start=1)]
        return SessionStats(days.zone.key, counted, not has_left, clock.now())

    return Plan(read, reads_events=True, looks_at=_ends(days))


def _plan_funnel(question: Question) -> Plan:
    span = question.span.read(usual_days=7, longest_days=EVENT_DAYS_MAX)
    within = None if question.within_seconds is None else timedelta(seconds=question.within_seconds)

    async def read(store: AnalyticsStore, connection: "Connection[Any]") -> FunnelView:
        funnel = Funnel(question.steps, within)
        async for rows in store.steps(connection, sorted(set(question.steps)), span.starts_at, span.ends_at):
            for user_id, event_type, occurred_at in rows:
                funnel.add(user_id, event_type, occurred_at)
        funnel.finish()
        first = funnel.users[0]
        steps = [
            FunnelStep(event_type, users, round(users / first, _SHARE_DIGITS) if first else 0.0)
            for event_type, users in zip(question.steps, funnel.users, strict=True)
        ]
        has_left = await store.has_left(connection, span.starts_at - timedelta(days=1))
        return FunnelView(steps, not has_left, clock.now())

    return Plan(read, reads_events=True, looks_at=(span.starts_at, span.ends_at))


_PLANS: dict[str, Callable[[Question], Plan]] = {
    "stats": _plan_stats,
    "overview": _plan_overview,
    "retention": _plan_retention,
    "sessions": _plan_sessions,
    "funnel": _plan_funnel,
}


def _ends(days: LocalDays) -> tuple[datetime, datetime]:
    _, starts, ends = days.bounds()
    return starts[0], ends[-1]


async def _are_kept(store: AnalyticsStore, connection: "Connection[Any]", days: LocalDays | None) -> bool:
    return days is not None and await store.are_kept(connection, days.first, days.last)


def _check_rows(rows: Sequence[Any], field: str, advice: str) -> None:
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
