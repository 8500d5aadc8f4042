"""The operations of analytics in the document."""

from typing import Any

from grandstand.api.schema.parts import (
    BODY_PROBLEMS,
    OPERATORS,
    Json,
    answer,
    body,
    content,
    operation,
    problems,
    query,
)
from grandstand.operations.analytics_views import EventStats, FunnelView, Overview, Retention, SessionStats
from grandstand.operations.count_reports import COHORT_DAYS_MAX, DAYS_MAX, HOURS_MAX_DAYS, OVERVIEW_DAYS_MAX
from grandstand.operations.report_questions import EVENT_DAYS_MAX, STEPS_MAX, WITHIN_SECONDS_MAX

ANALYTICS_SERVED = (EventStats, Overview, Retention, FunnelView, SessionStats)
"""The structs that these operations serve."""

_TYPE: Json = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,50}$"}
_TEXT: Json = {"type": "string", "minLength": 1}

ANALYTICS_SCHEMAS: Json = {
    "FunnelRequest": {
        "type": "object",
        "title": "FunnelRequest",
        "required": ["steps"],
        "additionalProperties": False,
        "properties": {
            "steps": {"type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": _TYPE},
            "within_seconds": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": WITHIN_SECONDS_MAX,
                "description": "How long after the first step the last may come; no limit when missing.",
            },
            "from": {"type": ["string", "null"], "description": "A date or an RFC 3339 time."},
            "to": {"type": ["string", "null"], "description": "A date, included, or an RFC 3339 time, excluded."},
            "timezone": {"type": ["string", "null"], "description": "Of dates; UTC when missing."},
        },
    }
}

_BUCKET: Json = {"start": "2026-01-31T12:00:00Z", "event_type": "game_ended", "events": 42, "users": 17}
_STATS: Json = {"buckets": [_BUCKET], "as_of": "2026-01-31T12:00:00Z"}
_DAY: Json = {
    "date": "2026-01-31", "dau": 17, "wau": 60, "mau": 144, "new_users": 3, "events": 420, "games": 97,
}  # fmt: skip
_COHORT: Json = {
    "cohort": "2026-01-01", "group": "iphone", "size": 40, "day_1": 0.4, "day_7": 0.225, "day_30": None,
}  # fmt: skip
_STEP: Json = {"event_type": "game_started", "users": 120, "share": 1.0}
_SESSIONS: Json = {"date": "2026-01-31", "sessions": 29, "users": 17, "mean_seconds": 512.4}
_PROBLEMS = ("unauthorized", "forbidden", "unavailable", "report_being_counted")
_COUNTED = "Counts follow events within a second or so, and late events change them."
_ANSWER: Json = {"timezone": "UTC", "as_of": "2026-01-31T12:00:00Z"}


def _span(days: int, usual: str) -> list[Json]:
    return [
        query("from", _TEXT, f"A date or an RFC 3339 time, {days} days before `to` at most. {usual}", "2026-01-01"),
        query("to", _TEXT, "A date, included, or an RFC 3339 time, excluded; now when missing.", "2026-01-31"),
        query("timezone", _TEXT, "IANA name of the zone whose days are meant; UTC when missing.", "Europe/Berlin"),
    ]


def _table(description: str, schema: str, example: Any, row: Json) -> Json:
    found = answer(description, schema, example)
    lines = [",".join(row), ",".join("" if value is None else str(value) for value in row.values()), ""]
    found["content"] |= content({"type": "string"}, "\r\n".join(lines), "text/csv")
    return {"200": found}


ANALYTICS: Json = {
    "/api/events/stats": {
        "get": operation(
            "readEventStats",
            "Analytics",
            "Count events and users by hour or day",
            OPERATORS,
            _table("Whole hours or days that the range touches.", "EventStats", _STATS, _BUCKET)
            | problems("invalid", *_PROBLEMS),
            description=f"{_COUNTED} {HOURS_MAX_DAYS} days of hours at most, {DAYS_MAX} of days.",
            parameters=[
                *_span(DAYS_MAX, "A day before `to` (of hours) or 30 (of days) when missing."),
                query("interval", {"type": "string", "enum": ["hour", "day"], "default": "hour"}, "Size of a bucket."),
                query("event_type", _TYPE, "Only this one.", "game_ended"),
            ],
        )
    },
    "/api/analytics/overview": {
        "get": operation(
            "readOverview",
            "Analytics",
            "Count users and events by day",
            OPERATORS,
            _table("Every day that the range touches.", "Overview", _ANSWER | {"days": [_DAY]}, _DAY)
            | problems("invalid", *_PROBLEMS),
            description=f"`wau` and `mau` are the distinct users of the 7 and 30 days that end with the day; `games` "
            f"are events `game_ended`. {_COUNTED}",
            parameters=_span(OVERVIEW_DAYS_MAX, "30 days before `to` when missing."),
        )
    },
    "/api/analytics/retention": {
        "get": operation(
            "readRetention",
            "Analytics",
            "Say how many users came back",
            OPERATORS,
            _table("Cohorts by day and group.", "Retention", _ANSWER | {"cohorts": [_COHORT]}, _COHORT)
            | problems("invalid", *_PROBLEMS),
            description="A cohort are the users whose first event came on a day. Shares were seen exactly 1, 7 and 30 "
            "days later; null while that day is not over.",
            parameters=[
                *_span(COHORT_DAYS_MAX, "30 days before `to` when missing."),
                query("by", _TEXT, "Group by this payload field of the first event.", "platform"),
            ],
        )
    },
    "/api/analytics/sessions": {
        "get": operation(
            "readSessions",
            "Analytics",
            "Count sessions by day",
            OPERATORS,
            _table(
                "Every day that the range touches.",
                "SessionStats",
                {"timezone": "UTC", "days": [_SESSIONS], "is_complete": True, "as_of": "2026-01-31T12:00:00Z"},
                _SESSIONS,
            )
            | problems("invalid", *_PROBLEMS),
            description="A session are events of a user with no more than 30 minutes between them; it counts on the "
            "day on which it begins. Read from the stored events.",
            parameters=_span(EVENT_DAYS_MAX, "7 days before `to` when missing."),
        )
    },
    "/api/analytics/funnel": {
        "post": operation(
            "readFunnel",
            "Analytics",
            "Count users by the step of a funnel that they reached",
            OPERATORS,
            _table(
                "Steps in their order.",
                "FunnelView",
                {"steps": [_STEP], "is_complete": True, "as_of": "2026-01-31T12:00:00Z"},
                _STEP,
            )
            | problems(*BODY_PROBLEMS, *_PROBLEMS),
            description=f"Each step is an event after that of the step before. {EVENT_DAYS_MAX} days at most, 7 when "
            "nothing is said. Read from the stored events.",
            requestBody=body(
                "FunnelRequest",
                {
                    "usual": {
                        "steps": ["game_started", "game_ended", "purchase"],
                        "within_seconds": 3600,
                        "from": "2026-01-01",
                        "to": "2026-01-31",
                    }
                },
            ),
        )
    },
}
