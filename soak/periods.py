"""When the periods of a board begin and end, and which events still count in one, written from the contract alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from soak.boards import Board

ALL_TIME = "all_time"
GRACE = timedelta(minutes=2)
"""How long after its end a period takes what occurred in it."""

BEGINNING = datetime(1800, 1, 1, tzinfo=UTC)
"""How the database writes the start of a period that has none."""

_HOUR = timedelta(hours=1)


def name_of(start: datetime) -> str:
    """Return the name by which a period is read."""
    if start == BEGINNING:
        return ALL_TIME
    fraction = f".{start.microsecond:06d}" if start.microsecond else ""
    return f"{start:%Y%m%dT%H%M%S}{fraction}Z"


def start_of(name: str) -> datetime:
    """Return when a period of this name begins."""
    if name == ALL_TIME:
        return BEGINNING
    return datetime.strptime(name, f"%Y%m%dT%H%M%S{'.%f' if '.' in name else ''}Z").replace(tzinfo=UTC)


def end_of(board: Board, start: datetime, resets: Sequence[datetime]) -> datetime | None:
    """Return when a period ends, as far as is known."""
    if board.is_hourly:
        return start + _HOUR
    return min((reset for reset in resets if reset > start), default=None)


def period_of(board: Board, occurred_at: datetime | None, resets: Sequence[datetime]) -> str:
    """Return the name of the period in which an event lies."""
    if not board.has_periods or occurred_at is None:
        return ALL_TIME
    if board.is_hourly:
        return name_of(occurred_at.replace(minute=0, second=0, microsecond=0))
    return name_of(max((reset for reset in resets if reset <= occurred_at), default=BEGINNING))


def is_late(board: Board, period: str, received_at: datetime, resets: Sequence[datetime]) -> bool:
    """Whether an event came after the grace of its period was over."""
    end = end_of(board, start_of(period), resets) if board.has_periods else None
    return end is not None and received_at >= end + GRACE


def may_lie_in(board: Board, period: str, occurred_at: datetime | None, resets: Sequence[datetime]) -> bool:
    """Whether an event may count in a period, of whose end nobody needs to know yet."""
    if not board.has_periods or occurred_at is None:
        return True
    start = start_of(period)
    end = end_of(board, start, resets)
    return start <= occurred_at and (end is None or occurred_at < end)
