"""What the analytics routes serve. `as_of` says when it was counted."""

from datetime import date, datetime

import msgspec


class EventBucket(msgspec.Struct):
    """An event type in an hour or day."""

    start: datetime
    event_type: str
    events: int
    users: int


class EventStats(msgspec.Struct):
    """Buckets in which something happened, by start and event type."""

    buckets: list[EventBucket]
    as_of: datetime


class DayOverview(msgspec.Struct):
    """A day: distinct users of it (`dau`) and of the 7 and 30 days that end with it, and what happened."""

    date: date
    dau: int
    wau: int
    mau: int
    new_users: int
    events: int
    games: int


class Overview(msgspec.Struct):
    """Days in their order, those on which nothing happened included."""

    timezone: str
    days: list[DayOverview]
    as_of: datetime


class Cohort(msgspec.Struct):
    """Users whose first event came on the day `cohort` and said `group`; shares are null until their day is over."""

    cohort: date
    group: str | None
    size: int
    day_1: float | None
    day_7: float | None
    day_30: float | None


class Retention(msgspec.Struct):
    """Cohorts by day and group."""

    timezone: str
    cohorts: list[Cohort]
    as_of: datetime


class FunnelStep(msgspec.Struct):
    """Users who came as far as this step; `share` of those who took the first."""

    event_type: str
    users: int
    share: float


class FunnelView(msgspec.Struct):
    """Steps in their order. Not `is_complete`: events of the time have left PostgreSQL and are not counted."""

    steps: list[FunnelStep]
    is_complete: bool
    as_of: datetime


class DaySessions(msgspec.Struct):
    """Sessions that began on a day; `mean_seconds` is null when there was none."""

    date: date
    sessions: int
    users: int
    mean_seconds: float | None


class SessionStats(msgspec.Struct):
    """Days in their order. Not `is_complete`: events of the time have left PostgreSQL and are not counted."""

    timezone: str
    days: list[DaySessions]
    is_complete: bool
    as_of: datetime


Answer = EventStats | Overview | Retention | FunnelView | SessionStats
