"""The boards of the workload and, written from the contract alone, what an event is worth on each and who is ahead."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from soak.happenings import DIRECT, Event

Operator = Literal["best", "latest", "sum", "count"]
COUNTRIES = ("se", "jp", "br")
_MISSING_TIE = (1, 0)


class Worth(NamedTuple):
    """What events come to for one player. `at` is None only for a direct write whose time is not known yet."""

    score: int
    tie: tuple[int, int]
    at: datetime | None
    event_id: str


@dataclass(frozen=True)
class Board:
    """One definition. A `is_season` board is reset by hand now and then."""

    key: str
    operator: Operator
    event_type: str
    field: str | None
    order: Literal["desc", "asc"] = "desc"
    where: tuple[tuple[str, Any], ...] = ()
    segment_by: str | None = None
    tie_break: str | None = None
    is_hourly: bool = False
    is_season: bool = False

    @property
    def has_periods(self) -> bool:
        """Whether what is served depends on the moment."""
        return self.is_hourly or self.is_season

    @property
    def sign(self) -> int:
        """Factor that makes a smaller number the better one."""
        return -1 if self.order == "desc" else 1

    def definition(self) -> dict[str, Any]:
        """Return the body that creates it."""
        body: dict[str, Any] = {
            "event_type": self.event_type,
            "field": self.field,
            "operator": self.operator,
            "order": self.order,
            "where": dict(self.where) or None,
            "segment_by": self.segment_by,
            "period": "hourly" if self.is_hourly else "all_time",
        }
        if self.tie_break is not None:
            body["tie_breaks"] = [{"field": self.tie_break, "order": "desc"}]
        return body

    def worth(self, event: Event) -> Worth | None:
        """Return what one event is worth here; None when it does not count."""
        if event.event_type == DIRECT:
            if event.payload.get("leaderboard") != self.key:
                return None
            value = event.payload.get("score")
        else:
            if event.event_type != self.event_type:
                return None
            if self.where and any(event.payload.get(name) != wanted for name, wanted in self.where):
                return None
            value = 1 if self.field is None else event.payload.get(self.field)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        tie = _MISSING_TIE
        if self.tie_break is not None and isinstance(event.payload.get(self.tie_break), int):
            tie = (0, -event.payload[self.tie_break])
        return Worth(value, tie, event.occurred_at, event.event_id)

    def parts(self, event: Event) -> tuple[str, ...]:
        """Return the parts that the event counts in: the whole (''), and its segment."""
        segment = event.payload.get(self.segment_by) if self.segment_by else None
        return ("", segment) if isinstance(segment, str) and segment else ("",)

    def merge(self, one: Worth, other: Worth) -> Worth:
        """Return what both come to together."""
        assert one.at is not None
        assert other.at is not None
        if self.operator == "best":
            return min(one, other, key=lambda worth: (self.sign * worth.score, *worth[1:]))
        later = max(one, other, key=lambda worth: worth[2:])
        if self.operator == "latest":
            return later
        return later._replace(score=one.score + other.score)

    def place(self, user_id: str, worth: Worth) -> tuple[Any, ...]:
        """Return the key by which players are sorted, the first ahead."""
        tie = worth.tie if self.operator in ("best", "latest") else _MISSING_TIE
        return (self.sign * worth.score, tie, worth.at, user_id.encode())


BOARDS = (
    Board("global", "best", "game_ended", "score"),
    Board("soak-coins", "sum", "coins_found", "coins"),
    Board("soak-ranked", "count", "game_ended", None, where=(("mode", "ranked"),)),
    Board("soak-rating", "latest", "rating_changed", "rating", order="asc"),
    Board("soak-laps", "best", "lap_done", "seconds", order="asc", segment_by="country", tie_break="style"),
    Board("soak-direct", "sum", "never_sent", "score", order="asc"),
    Board("soak-hourly", "best", "game_ended", "score", is_hourly=True),
    Board("soak-season", "sum", "coins_found", "coins", is_season=True),
)
SEASON = "soak-season"
BY_KEY = {board.key: board for board in BOARDS}
_BY_TYPE = {
    event_type: tuple(board for board in BOARDS if board.event_type == event_type)
    for event_type in {board.event_type for board in BOARDS}
}


def fed_by(event_type: str) -> tuple[Board, ...]:
    """Return the boards on which events of a type may be worth something."""
    return BOARDS if event_type == DIRECT else _BY_TYPE.get(event_type, ())
