"""Which time of arrival a partition of events holds, and what it is called: one place for both.

A partition holds a UTC month or a UTC day. Both kinds may stand side by side, for the setting can change: a moment
lies in one partition at most, and its name and bounds say the same.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

PartitionEvery = Literal["month", "day"]
"""What a new partition holds."""


class PartitionRange(NamedTuple):
    """A partition and the `received_at` that it holds: [starts_at, ends_at)."""

    name: str
    starts_at: datetime
    ends_at: datetime

    def holds(self, moment: datetime) -> bool:
        """Return whether events that were received at `moment` belong here."""
        return self.starts_at <= moment < self.ends_at

    def overlaps(self, other: "PartitionRange") -> bool:
        """Return whether a moment lies in both."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    @property
    def is_day(self) -> bool:
        """Whether it holds a day."""
        return self.ends_at - self.starts_at <= timedelta(days=1)


def next_month(month: date) -> date:
    """Return the first day of the month after the one in which `month` lies."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def month_at(moment: datetime) -> PartitionRange:
    """Return the partition of the UTC month in which `moment` lies."""
    first = date(moment.year, moment.month, 1)
    return between(first, next_month(first))


def day_at(moment: datetime) -> PartitionRange:
    """Return the partition of the UTC day in which `moment` lies."""
    return between(moment.date(), moment.date() + timedelta(days=1))


def between(first: date, until: date) -> PartitionRange:
    """Return the partition that holds the days from `first` to the one before `until`: a month, else a day."""
    name = f"events_{first:%Y_%m}" if until - first > timedelta(days=1) else f"events_{first:%Y_%m_%d}"
    return PartitionRange(name, _midnight(first), _midnight(until))


def find_partition(held: Iterable[PartitionRange], moment: datetime) -> PartitionRange | None:
    """Return which of the partitions holds `moment`, if any does."""
    return next((each for each in held if each.holds(moment)), None)


def choose_partition(held: Sequence[PartitionRange], moment: datetime, every: PartitionEvery) -> PartitionRange:
    """Return the partition to make for a `moment` that none holds: of a month only where the month has no days yet."""
    month = month_at(moment)
    if every == "month" and not any(each.overlaps(month) for each in held):
        return month
    return day_at(moment)


def list_replaceable(
    held: Sequence[PartitionRange], after: datetime, every: PartitionEvery
) -> list[list[PartitionRange]]:
    """Return partitions of the other kind in months that begin `after`, by month: what they hold could be cut anew."""
    months: dict[datetime, list[PartitionRange]] = {}
    for each in held:
        month = month_at(each.starts_at).starts_at
        is_ours = each == between(each.starts_at.date(), each.ends_at.date())
        if is_ours and month >= after and each.is_day != (every == "day"):
            months.setdefault(month, []).append(each)
    return list(months.values())


def list_faults(held: Sequence[PartitionRange], now: datetime) -> list[str]:
    """Return what is wrong with partitions: now or what follows has none, or a name and its bounds differ."""
    faults = [
        f"the partition {each.name} holds {each.starts_at:%Y-%m-%d} to {each.ends_at:%Y-%m-%d}"
        for each in held
        if each != between(each.starts_at.date(), each.ends_at.date())
    ]
    present = find_partition(held, now)
    if present is None:
        faults.append(f"no partition holds {now:%Y-%m-%d}")
    elif find_partition(held, present.ends_at) is None:
        faults.append(f"no partition holds {present.ends_at:%Y-%m-%d}, which follows {present.name}")
    return faults


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
