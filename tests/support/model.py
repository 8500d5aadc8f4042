"""What every board must show, worked out the slow and obvious way from the events. Shares no code with the product.

A board is its events, sorted: each concept is a few lines here. Buckets alone are not worked out but checked by what
must hold of any placing (`tests.support.world`).
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

LIMIT = 2**53 - 1
GRACE = timedelta(minutes=2)
FIRST = datetime(1800, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Standing(NamedTuple):
    rank: int
    user_id: str
    score: int
    achieved_at: datetime


class Row(NamedTuple):
    """A line of a board with everything that is shown of it."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime
    metadata: Any
    tier: Any


NOTHING = object()
"""What a board without `keep`, or without `tiers`, shows of them."""


def standings(board: Any, events: Iterable[Any]) -> list[Standing]:
    """The whole of a board that has one period, first rank first."""
    return [Standing(*row[:4]) for row in rows(board, events)]


def rows(board: Any, events: Iterable[Any], segment: str | None = None) -> list[Row]:
    """A board (or one segment of it) made of these events. `board` has the fields of a definition."""
    counted: dict[str, list[tuple[datetime, Any, int, Any]]] = defaultdict(list)
    for event in {event.id: event for event in events}.values():
        payload = json.loads(bytes(event.payload))
        value = value_of(board, event.event_type, payload)
        if value is not None and (segment is None or segment_of(board, payload) == segment):
            counted[event.user_id].append((event.occurred_at, event.id, value, payload))
    sign = -1 if board.order == "desc" else 1
    lines = []
    for user_id, values in counted.items():
        score, at, payload = _result(board, sorted(values, key=lambda value: value[:2]), sign)
        ties = [] if board.operator in ("sum", "count") else _ties(board, payload)
        kept = {name: value for name in board.keep if (value := at_path(payload, name)) is not None}
        lines.append(((sign * score, ties, at, user_id.encode()), user_id, score, at, kept if board.keep else NOTHING))
    lines.sort(key=lambda line: line[0])
    return [
        Row(rank, user_id, score, at, kept, tier_of(board, rank, score, len(lines)))
        for rank, (_, user_id, score, at, kept) in enumerate(lines, start=1)
    ]


def value_of(board: Any, event_type: str, payload: Any) -> int | None:
    """What one event is worth on a board; None when it does not count. Direct writes are told by the caller."""
    is_direct = event_type == "grandstand.score"
    if not is_direct and (event_type != board.event_type or not _meets(board.where, payload)):
        return None
    value = payload.get("score") if is_direct else None if board.field is None else at_path(payload, board.field)
    if board.operator == "count":
        return None if value is None and (is_direct or board.field is not None) else 1
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or abs(value) > LIMIT:
        return None
    low = -LIMIT if board.min_score is None else board.min_score
    high = LIMIT if board.max_score is None else board.max_score
    return int(value) if low <= value <= high else None


def segment_of(board: Any, payload: Any) -> str | None:
    value = None if board.segment_by is None else at_path(payload, board.segment_by)
    if isinstance(value, (bool, int)):
        value = json.dumps(value)
    return value if isinstance(value, str) and 0 < len(value) <= 64 else None


def tier_of(board: Any, rank: int, score: int, total: int) -> Any:
    if not board.tiers:
        return NOTHING
    for tier in board.tiers:
        if tier.top_percent is not None:
            reached = rank <= math.ceil(Fraction(repr(tier.top_percent)) * total / 100)
        else:
            reached = score >= tier.min_score if board.order == "desc" else score <= tier.min_score
        if reached:
            return tier.id
    return None


def percentile(rank: int, total: int) -> float:
    return 100 * sum(1 for other in range(1, total + 1) if other >= rank) / total


def period_of(board: Any, moment: datetime, resets: Iterable[datetime] = ()) -> tuple[datetime, datetime | None]:
    """The period in which a moment lies: between the last beginning at or before it and the first one after it."""
    if board.period == "all_time":
        start, end = FIRST, None
    else:
        start, end = _calendar(board.period, board.timezone, moment.replace(second=0, microsecond=0))
    before, after = [at for at in resets if at <= moment], [at for at in resets if at > moment]
    return max([start, *before]), min([*([] if end is None else [end]), *after], default=None)


def is_late(end: datetime | None, received_at: datetime) -> bool:
    return end is not None and received_at >= end + GRACE


@lru_cache(maxsize=10_000)
def _calendar(period: str, timezone: str, minute: datetime) -> tuple[datetime, datetime]:
    # Clocks show the same quarters of an hour everywhere.
    step = MINUTE if period.startswith("cron:") else 15 * MINUTE
    start = FIRST + (minute - FIRST) // step * step
    end = start + step
    while not _begins(period, timezone, start, step):
        start -= step
    while not _begins(period, timezone, end, step):
        end += step
    return start, end


@lru_cache(maxsize=500_000)
def _begins(period: str, timezone: str, moment: datetime, step: timedelta) -> bool:
    """Whether a period begins at this moment: the local day, week or month was another one a step before; or the clocks
    show a full hour or have just skipped one."""
    zone = ZoneInfo(timezone)
    now, before = moment.astimezone(zone), (moment - step).astimezone(zone)
    if period.startswith("cron:"):
        return _ticks(period.removeprefix("cron:").split(), now)
    if period == "hourly":
        has_skipped = now.replace(tzinfo=None) - before.replace(tzinfo=None) > step
        return now.minute == 0 or (has_skipped and now.hour != before.hour)
    if now.date() == before.date():
        return False
    return period == "daily" or (period == "weekly" and now.weekday() == 0) or (period == "monthly" and now.day == 1)


def _ticks(fields: list[str], now: datetime) -> bool:
    """Minutes, hours and days of the week, each `*`, `*/n` or a list of numbers; for zones without changes."""
    wanted = zip(fields, (now.minute, now.hour, now.day, now.month, now.isoweekday() % 7), strict=True)
    return all(
        field == "*" or (value % int(field[2:]) == 0 if field.startswith("*/") else str(value) in field.split(","))
        for field, value in wanted
    )


def _result(board: Any, values: list[tuple[datetime, Any, int, Any]], sign: int) -> tuple[int, datetime, Any]:
    """Score, `achieved_at` and the payload that set them, of one user's (time, id, value, payload) in order of time."""
    last_at, _, last, payload = values[-1]
    if board.operator == "latest":
        return last, last_at, payload
    if board.operator == "best":
        at, _, value, payload = min(values, key=lambda item: (sign * item[2], _ties(board, item[3]), *item[:2]))
        return value, at, payload
    return max(-LIMIT, min(LIMIT, sum(value for _, _, value, _ in values))), last_at, payload


def _ties(board: Any, payload: Any) -> list[tuple[int, float]]:
    found = [(at_path(payload, item.field), -1 if item.order == "desc" else 1) for item in board.tie_breaks]
    return [
        (1, 0.0) if isinstance(value, bool) or not isinstance(value, (int, float)) else (0, sign * float(value))
        for value, sign in found
    ]


def _meets(where: Any, payload: Any) -> bool:
    for path, wanted in (where or {}).items():
        found = at_path(payload, path)
        if isinstance(found, bool) != isinstance(wanted, bool) or found != wanted:
            return False
    return True


def at_path(payload: Any, path: str) -> Any:
    for name in path.split("."):
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload
