"""Rankings: the ordered sets that a board consists of, one for each period and each part of it."""

from datetime import datetime
from typing import Literal, NamedTuple

RankingState = Literal["live", "closed", "archived", "dropped"]

WHOLE = ""
"""The part of a ranking that is the whole board."""


class RankingName(NamedTuple):
    """What a ranking is of. Sorting names gives every worker one order of locks."""

    leaderboard_id: int
    epoch: int
    started_at: datetime
    part: str = WHOLE


RankingPart = tuple[int, int, str]
"""A part of a board in one epoch, whatever the period: (leaderboard id, epoch, part)."""


class Ranking(NamedTuple):
    """A ranking as it is kept; `total` is known once it is archived."""

    ranking_id: int
    name: RankingName
    ended_at: datetime | None
    state: RankingState
    total: int | None


def segment_part(segment: str) -> str:
    """Return the part that holds one segment."""
    return f"s:{segment}"


def bucket_part(bucket: int) -> str:
    """Return the part that holds one bucket; they count from 1."""
    return f"b:{bucket}"
