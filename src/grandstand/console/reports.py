"""What players did, ready to be shown: rows as the API has them, and charts of the same numbers.

Each report asks the operation that the API asks, so that the console cannot tell another story.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from grandstand.api.parameters import Query
from grandstand.console.charts import SERIES_MAX, Chart, Line
from grandstand.console.forms import FormField
from grandstand.domain.local_days import LocalDays
from grandstand.operations.analytics_views import Cohort, DayOverview, DaySessions, EventBucket, FunnelStep
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.report_questions import STEPS_MAX

_RETURNS = {"day_1": "after 1 day", "day_7": "after 7 days", "day_30": "after 30 days"}
_PERCENT = 100
_MINUTE_SECONDS = 60
STEPS = tuple(f"step_{number}" for number in range(1, STEPS_MAX + 1))


class Report(NamedTuple):
    """Rows of one struct, which is what the table, the CSV file and the charts are made of."""

    timezone: str
    kind: type[msgspec.Struct]
    rows: Sequence[Any]
    charts: Sequence[Chart]
    as_of: datetime
    is_complete: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: no row, or only days and steps without anybody."""
        if self.kind is Cohort:
            # Players of whom nobody came back are something.
            return not self.rows
        return not any(value for chart in self.charts for _, values in chart.series for value in values)


class ReportPage(NamedTuple):
    """A page of analytics: its name, what can be asked, and what answers."""

    title: str
    about: str
    fields: tuple[FormField, ...]
    read: Callable[[AnalyticsReader, Query], Awaitable[Report]]
    labels: dict[str, str]
    """Columns by the fields of the rows."""


async def _players(reader: AnalyticsReader, query: Query) -> Report:
    found = await reader.overview(query.span())
    days = [_day(row.date) for row in found.days]
    active: list[Line] = [
        (label, [float(getattr(row, name)) for row in found.days])
        for name, label in (("mau", "of 30 days"), ("wau", "of 7 days"), ("dau", "of the day"))
    ]
    new: list[Line] = [("New players", [float(row.new_users) for row in found.days])]
    charts = Chart("Active players", "line", days, active), Chart("New players", "bar", days, new)
    return Report(found.timezone, DayOverview, found.days[::-1], charts, found.as_of)


async def _retention(reader: AnalyticsReader, query: Query) -> Report:
    found = await reader.retention(query.span(), query.text("by"))
    rows = found.cohorts
    days = _every_day(sorted({row.cohort for row in rows}))
    if query.text("by") is None:
        lines = [(label, _weighted(rows, days, name)) for name, label in _RETURNS.items()]
    else:
        sizes: dict[str | None, int] = defaultdict(int)
        for row in rows:
            sizes[row.group] += row.size
        largest = sorted(sizes, key=lambda group: -sizes[group])[:SERIES_MAX]
        lines = [
            (_group(group), _weighted([row for row in rows if row.group == group], days, "day_1")) for group in largest
        ]
    title = "Share that came back, in percent" + ("" if query.text("by") is None else ", a day later")
    return Report(
        found.timezone, Cohort, rows, (Chart(title, "line", [_day(day) for day in days], lines),), found.as_of
    )


def typed_steps(query: Query) -> list[str]:
    """Return the steps of a funnel that were filled in; spaces that were pasted along are none of theirs."""
    return [step for name in STEPS if (step := (query.text(name) or "").strip())]


async def _funnel(reader: AnalyticsReader, query: Query) -> Report:
    steps = typed_steps(query)
    # A field that was left empty comes as an empty text, which is no number.
    within = None if query.text("within_seconds") is None else query.integer("within_seconds")
    body = {"steps": steps, "within_seconds": within, "from": query.text("from"),
            "to": query.text("to"), "timezone": query.text("timezone")}  # fmt: skip
    found = await reader.funnel(msgspec.json.encode(body))
    labels = [f"{number}. {step.event_type}" for number, step in enumerate(found.steps, start=1)]
    chart = Chart("Players by the step that they reached", "bar", labels,
                  [("Players", [float(step.users) for step in found.steps])])  # fmt: skip
    return Report(query.text("timezone") or "UTC", FunnelStep, found.steps, (chart,), found.as_of, found.is_complete)


async def _events(reader: AnalyticsReader, query: Query) -> Report:
    found = await reader.stats(query.span(), query.text("interval") or "day", query.text("event_type"))
    zone = query.text("timezone") or "UTC"
    totals: dict[str, int] = defaultdict(int)
    counts: dict[tuple[datetime, str], int] = {}
    for row in found.buckets:
        totals[row.event_type] += row.events
        counts[row.start, row.event_type] = row.events
    largest = sorted(totals, key=lambda name: -totals[name])[:SERIES_MAX]
    starts = sorted({row.start for row in found.buckets})
    if query.text("interval") == "hour":
        starts = _every_hour(starts)
        labels = [f"{start.astimezone(ZoneInfo(zone)):%d %b %H:%M}" for start in starts]
    else:
        days = _every_day([start.astimezone(ZoneInfo(zone)).date() for start in starts])
        labels = [_day(day) for day in days]
        starts = LocalDays(days[0], days[-1], ZoneInfo(zone)).bounds()[1] if days else []
    lines: list[Line] = [(name, [float(counts.get((start, name), 0)) for start in starts]) for name in largest]
    return Report(zone, EventBucket, found.buckets[::-1], (Chart("Events", "line", labels, lines),), found.as_of)


async def _sessions(reader: AnalyticsReader, query: Query) -> Report:
    found = await reader.sessions(query.span())
    days = [_day(row.date) for row in found.days]
    minutes = [None if row.mean_seconds is None else round(row.mean_seconds / _MINUTE_SECONDS, 1) for row in found.days]
    charts = (
        Chart("Sessions", "bar", days, [("Sessions", [float(row.sessions) for row in found.days])]),
        Chart("Mean length in minutes", "area", days, [("Minutes", minutes)]),
    )
    return Report(found.timezone, DaySessions, found.days[::-1], charts, found.as_of, found.is_complete)


def _weighted(rows: Sequence[Cohort], days: Sequence[date], name: str) -> list[float | None]:
    """Return the share of all cohorts of each day that came back, in percent; None where that is not known yet."""
    sizes: dict[date, int] = defaultdict(int)
    returned: dict[date, float] = {}
    for row in rows:
        share = getattr(row, name)
        if share is not None:
            sizes[row.cohort] += row.size
            returned[row.cohort] = returned.get(row.cohort, 0.0) + share * row.size
    return [round(_PERCENT * returned[day] / sizes[day], 1) if sizes[day] else None for day in days]


def _every_day(days: Sequence[date]) -> list[date]:
    """Return the days from the first to the last: what lies between, and has nothing, has its place in a chart."""
    return list(LocalDays(days[0], days[-1], ZoneInfo("UTC"))) if days else []


def _every_hour(starts: Sequence[datetime]) -> list[datetime]:
    """Return the hours from the first to the last."""
    count = (starts[-1] - starts[0]) // timedelta(hours=1) + 1 if starts else 0
    return [starts[0] + timedelta(hours=number) for number in range(count)]


def _day(day: date) -> str:
    return f"{day:%d %b}"


def _group(group: str | None) -> str:
    return "(none)" if group is None else group[:40]


_SPAN = (
    FormField("from", "From", "day", "Included; empty for the usual time"),
    FormField("to", "To", "day", "Included; empty for today"),
    FormField("timezone", "Time zone", hint="Where days begin, such as Europe/Berlin; empty for UTC"),
)
PAGES: dict[str, ReportPage] = {
    "players": ReportPage(
        "Players",
        "Distinct players of each day and of the 7 and 30 days that end with it.",
        _SPAN,
        _players,
        {"date": "Day", "dau": "Of the day", "wau": "Of 7 days", "mau": "Of 30 days", "new_users": "New",
         "events": "Events", "games": "Games"},
    ),
    "retention": ReportPage(
        "Retention",
        "Of the players whose first event came on a day, the share that came back 1, 7 and 30 days later.",
        (*_SPAN, FormField("by", "Groups by", hint="A payload field of the first event, such as country")),
        _retention,
        {"cohort": "First day", "group": "Group", "size": "Players", "day_1": "After 1 day", "day_7": "After 7 days",
         "day_30": "After 30 days"},
    ),
    "funnel": ReportPage(
        "Funnel",
        "How many players took each step, each after the one before.",
        (*_SPAN, FormField("within_seconds", "Within seconds", "integer", "From the first step to the last")),
        _funnel,
        {"event_type": "Step", "users": "Players", "share": "Of the first step"},
    ),
    "events": ReportPage(
        "Events",
        "Events and the players who sent them, by type.",
        (*_SPAN, FormField("interval", "By", "select", choices=("day", "hour")), FormField("event_type", "Event type")),
        _events,
        {"start": "From", "event_type": "Event type", "events": "Events", "users": "Players"},
    ),
    "sessions": ReportPage(
        "Sessions",
        "Events of a player with pauses of up to 30 minutes are one session, on the day on which it began.",
        _SPAN,
        _sessions,
        {"date": "Day", "sessions": "Sessions", "users": "Players", "mean_seconds": "Mean length"},
    ),
}  # fmt: skip
"""Pages of analytics by their name in the address."""
