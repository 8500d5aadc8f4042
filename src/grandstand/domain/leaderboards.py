"""Leaderboards: the definition of one, and what is derived from it once for the hot path."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from grandstand.domain.periods import Period, Schedule, Windows
from grandstand.domain.plausibility import Plausibility

Operator = Literal["best", "latest", "sum", "count"]
Order = Literal["desc", "asc"]
Visibility = Literal["public", "private"]
Scalar = str | int | float | bool | None

GLOBAL_KEY = "global"
TOURNAMENT_PREFIX = "tournament:"
"""Keys of the boards of tournaments begin with it; no board's key that comes from outside has a colon."""


class TieBreak(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload field of the event that set the score, compared where scores are equal."""

    field: str
    order: Order = "desc"


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named part of a board: those ranked within the top `top_percent`, or with at least (`asc`: at most) a score."""

    id: str
    top_percent: float | None = None
    min_score: int | None = None


class LeaderboardDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One board's rules, as `PUT /api/leaderboards/{key}` takes them; `definitions.check_definition` holds them."""

    event_type: str
    operator: Operator
    title: str | None = None
    field: str | None = None
    where: dict[str, Scalar] | None = None
    order: Order = "desc"
    period: str = "all_time"
    timezone: str = "UTC"
    visibility: Visibility = "public"
    min_score: int | None = None
    max_score: int | None = None
    segment_by: str | None = None
    keep: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    bucket_size: int | None = None
    tie_breaks: tuple[TieBreak, ...] = ()
    plausibility: Plausibility | None = None

    def rules(self) -> tuple[Any, ...]:
        """Return the part that decides scores and places; boards whose rules differ cannot share entries.

        Plausibility is none of it: it is judged once, when an event is processed, and what was decided stays.
        """
        # In Python True == 1, in JSON they differ; 1 and 1.0 are one number in both.
        where = tuple(sorted((path, isinstance(value, bool), value) for path, value in (self.where or {}).items()))
        return (
            self.event_type, self.operator, self.field, where, self.order, self.period, self.timezone, self.min_score,
            self.max_score, self.segment_by, self.keep, self.bucket_size, self.tie_breaks,
        )  # fmt: skip


GLOBAL_DEFINITION = LeaderboardDefinition(event_type="game_ended", field="score", operator="best", title="Global")
"""The board that exists from the first start."""


class Leaderboard:
    """A board as it is kept. Its entries stand in rankings: one for each period, segment and bucket of an epoch.

    The epoch changes when a replay swaps in entries made by other rules.
    """

    __slots__ = (
        "began_at", "definition", "direction", "epoch", "key", "leaderboard_id", "pending", "resets", "revision",
        "schedule", "tie_bytes", "windows",
    )  # fmt: skip

    def __init__(
        self,
        leaderboard_id: int,
        key: str,
        definition: LeaderboardDefinition,
        epoch: int,
        revision: int,
        resets: Sequence[datetime] = (),
        pending: "Leaderboard | None" = None,
        windows: Windows | None = None,
        began_at: datetime | None = None,
    ) -> None:
        self.leaderboard_id = leaderboard_id
        self.key = key
        self.definition = definition
        self.epoch = epoch
        self.revision = revision
        self.resets = tuple(resets)
        self.pending = pending
        """The same board under the rule and epoch of a replay that is under way: events feed both."""
        self.began_at = began_at
        """Where its epoch begins: what occurred before belongs to periods that were archived under earlier rules."""
        cuts = self.resets if began_at is None else (*self.resets, began_at)
        self.schedule = Schedule(definition.period, definition.timezone, cuts)
        self.windows = windows
        """For the board of a tournament: when it takes scores."""
        self.direction = -1 if definition.order == "desc" else 1
        """The factor that makes a lower product the better one."""
        self.tie_bytes = 8 * len(definition.tie_breaks)
        """Length of the tie keys of its entries."""

    def period_at(self, moment: datetime) -> Period | None:
        """Return the period in which `moment` lies; None before the epoch, and while a tournament takes no scores."""
        if self.windows is not None:
            return self.windows.at(moment)
        return None if self.began_at is not None and moment < self.began_at else self.schedule.at(moment)


def tournament_key(tournament_id: str) -> str:
    """Return the key of the board that holds a tournament's scores."""
    return TOURNAMENT_PREFIX + tournament_id


def path_of(field: str) -> tuple[str, ...]:
    """Return the names along a dotted path."""
    return tuple(field.split("."))
