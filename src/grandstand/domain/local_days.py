"""Days of a time zone, and how UTC hours make them up. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.periods import is_zone

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
EARLIEST_DAY = date(1900, 1, 3)
LATEST_DAY = date(8999, 12, 1)
"""Days that can be asked for; their neighbours can be computed in every zone."""


def read_zone(name: str | None) -> ZoneInfo:
    """Return a time zone by its IANA name; UTC when there is none.

    Raises:
        InvalidError: there is no such zone; the error names `timezone`.
    """
    if name is None:
        return ZoneInfo("UTC")
    if not is_zone(name):
        raise InvalidError([FieldError("timezone", "must be an IANA time zone such as 'Europe/Berlin'")])
    return ZoneInfo(name)


class LocalDays:
    """The days from `first` to `last`, both included, of a zone."""

    def __init__(self, first: date, last: date, zone: ZoneInfo) -> None:
        self.first = first
        self.last = last
        self.zone = zone

    @property
    def is_utc(self) -> bool:
        """Whether the days are those of UTC."""
        return self.zone.key == "UTC"

    def around(self, before: int = 0, after: int = 0) -> "LocalDays":
        """Return the same days with so many before and after them."""
        return LocalDays(self.first - before * _DAY, self.last + after * _DAY, self.zone)

    def __iter__(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + number * _DAY

    def start_of(self, day: date) -> datetime:
        """Return the moment at which a day begins, in UTC: the first after a midnight that clocks skip."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def bounds(self) -> tuple[list[date], list[datetime], list[datetime]]:
        """Return each day, when it begins, and when it ends."""
        days = list(self)
        starts = [self.start_of(day) for day in days]
        return days, starts, [*starts[1:], self.start_of(self.last + _DAY)]

    def check_whole_hours(self) -> None:
        """Make sure that every day is made of whole UTC hours.

        Raises:
            InvalidError: a day begins within one; the error names `timezone`.
        """
        _, starts, ends = self.bounds()
        if any(moment.minute or moment.second for moment in (*starts, ends[-1])):
            message = "must differ from UTC by whole hours: what is asked for is counted by the hour"
            raise InvalidError([FieldError("timezone", message)])

    def parts(self) -> tuple[list[date], list[date], list[int]]:
        """Return days, the UTC days that each shares hours with, and those hours: bit n for hour n."""
        found: dict[tuple[date, date], int] = {}
        for day, starts_at, ends_at in zip(*self.bounds(), strict=True):
            moment = starts_at
            while moment < ends_at:
                key = (day, moment.date())
                found[key] = found.get(key, 0) | 1 << moment.hour
                moment += _HOUR
        return [day for day, _ in found], [utc_day for _, utc_day in found], list(found.values())
