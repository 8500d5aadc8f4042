"""The parameters `from` and `to`, and the limits of what lies between them. Pure.

Either is a date, which stands for the whole day, or an RFC 3339 time. A range begins with `from` and ends before a time
`to`, or with the end of a day `to`.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import AwareTime
from grandstand.domain.local_days import EARLIEST_DAY, LATEST_DAY, LocalDays

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


class TimeRange(NamedTuple):
    """[`starts_at`, `ends_at`), in UTC, asked for in a zone."""

    starts_at: datetime
    ends_at: datetime
    zone: ZoneInfo

    def days(self) -> LocalDays:
        """Return the days that the range touches."""
        last = (self.ends_at - _INSTANT).astimezone(self.zone).date()
        return LocalDays(self.starts_at.astimezone(self.zone).date(), last, self.zone)


def read_range(
    from_: str | None, to: str | None, zone: ZoneInfo, now: datetime, *, usual: timedelta, longest: timedelta
) -> TimeRange:
    """Return the range that was asked for: up to now, and `usual` long, unless told otherwise.

    Raises:
        InvalidError: a text is neither a date nor a time, or the range is empty or longer than `longest`.
    """
    ends_at = now if to is None else _read("to", to, zone, is_end=True)
    starts_at = ends_at - usual if from_ is None else _read("from", from_, zone, is_end=False)
    if starts_at >= ends_at:
        raise InvalidError([FieldError("from", "must be earlier than to")])
    # An hour more, for a day on which clocks are set back.
    if ends_at - starts_at > longest + timedelta(hours=1):
        raise InvalidError([FieldError("from", f"must be {_words(longest)} before to at most")])
    return TimeRange(starts_at, ends_at, zone)


def _read(name: str, text: str, zone: ZoneInfo, *, is_end: bool) -> datetime:
    try:
        if _DATE.match(text):
            day = date.fromisoformat(text)
            if EARLIEST_DAY <= day <= LATEST_DAY:
                return LocalDays(day, day, zone).start_of(day + _DAY if is_end else day)
        else:
            # A plus sign that nobody encoded has become a space.
            moment = msgspec.convert(text.replace(" ", "+"), AwareTime).astimezone(UTC)
            if EARLIEST_DAY <= moment.date() <= LATEST_DAY:
                return moment
    except (msgspec.ValidationError, ValueError, OverflowError):
        message = "must be a date like 2026-01-31 or an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z"
        raise InvalidError([FieldError(name, message)]) from None
    raise InvalidError([FieldError(name, f"must lie between {EARLIEST_DAY} and {LATEST_DAY}")])


def _words(length: timedelta) -> str:
    return f"{length.days} days"
