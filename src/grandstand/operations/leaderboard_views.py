"""What reads of a board return; field names are those of the HTTP contract."""

from datetime import datetime
from typing import Any

import msgspec


class RankedEntry(msgspec.Struct, kw_only=True):
    """One player's place on a board. `metadata` and `tier` are there when the board keeps or has some."""

    rank: int
    user_id: str
    display_name: str | None = None
    score: int
    achieved_at: datetime
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    tier: str | msgspec.UnsetType | None = msgspec.UNSET


class Page(msgspec.Struct, kw_only=True):
    """A stretch of a board. `user` is present when a user was named: that player's own entry, or null."""

    leaderboard: str
    period: str
    period_ends_at: datetime | None
    segment: str | msgspec.UnsetType = msgspec.UNSET
    bucket: int | msgspec.UnsetType = msgspec.UNSET
    total: int
    as_of: datetime
    user: RankedEntry | msgspec.UnsetType | None = msgspec.UNSET
    entries: list[RankedEntry]
    next_cursor: str | None


class UserRank(msgspec.Struct, kw_only=True):
    """One player's rank; `percentile` is the share, in percent, of ranked players that the player is at or above.

    `bucket` is there on boards with buckets: the one that the player is in.
    """

    rank: int
    user_id: str
    display_name: str | None = None
    score: int
    achieved_at: datetime
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    tier: str | msgspec.UnsetType | None = msgspec.UNSET
    total: int
    percentile: float
    leaderboard: str
    period: str
    period_ends_at: datetime | None
    segment: str | msgspec.UnsetType = msgspec.UNSET
    bucket: int | msgspec.UnsetType = msgspec.UNSET


class Lookup(msgspec.Struct, kw_only=True):
    """The ranks of several players, in the order of ranks, and who of them is not ranked, in the order asked for."""

    leaderboard: str
    period: str
    period_ends_at: datetime | None
    segment: str | msgspec.UnsetType = msgspec.UNSET
    bucket: int | msgspec.UnsetType = msgspec.UNSET
    total: int
    as_of: datetime
    entries: list[RankedEntry]
    not_ranked: list[str]


class PeriodView(msgspec.Struct, kw_only=True):
    """A period that has ended; `?period={id}` reads it."""

    id: str
    started_at: datetime | None
    ended_at: datetime | None
    total: int


class PeriodList(msgspec.Struct, kw_only=True):
    """The periods of a board that have ended, newest first."""

    periods: list[PeriodView]
    next_cursor: str | None
