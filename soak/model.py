"""What every ranking must show: exactly, of what is stored for certain, and within bounds, while more is on its way."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from soak.boards import BOARDS, BY_KEY, Board, Worth
from soak.happenings import Event

Ranking = tuple[str, str]
"""A board's key and a segment ('' for the whole)."""


class Standing(NamedTuple):
    """One line of a ranking."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime


class Possible(NamedTuple):
    """What a player's score may be right now. `values` of None: any whole number from `lowest` to `highest`."""

    lowest: int
    highest: int
    values: frozenset[int] | None
    may_be_absent: bool

    def allows(self, score: int) -> bool:
        """Whether a served score can be right."""
        return score in self.values if self.values is not None else self.lowest <= score <= self.highest


@dataclass
class Model:
    """Rankings of certain events (`settle`), and the events that may count already (`send`)."""

    certain: dict[Ranking, dict[str, Worth]] = field(default_factory=lambda: defaultdict(dict))
    open: dict[Ranking, dict[str, dict[str, int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    def send(self, event: Event) -> None:
        """Hear that an event is about to be sent: from now on it may count. Twice is once."""
        for board in BOARDS:
            worth = board.worth(event)
            if worth is not None:
                for part in board.parts(event):
                    self.open[board.key, part][event.user_id][event.event_id] = worth.score

    def settle(self, event: Event) -> None:
        """Hear that an event is stored for certain: from now on it must count, once."""
        for board in BOARDS:
            worth = board.worth(event)
            if worth is None:
                continue
            for part in board.parts(event):
                ranking = (board.key, part)
                mine = self.open[ranking].get(event.user_id, {})
                mine.pop(event.event_id, None)
                if not mine:
                    self.open[ranking].pop(event.user_id, None)
                held = self.certain[ranking].get(event.user_id)
                self.certain[ranking][event.user_id] = worth if held is None else board.merge(held, worth)

    def standings(self, ranking: Ranking) -> list[Standing]:
        """Return the ranking of what is certain, first rank first."""
        board = BY_KEY[ranking[0]]
        lines = sorted(self.certain[ranking].items(), key=lambda line: board.place(*line))
        return [
            Standing(rank, user_id, worth.score, _known(worth.at)) for rank, (user_id, worth) in enumerate(lines, 1)
        ]

    def possible(self, ranking: Ranking, user_id: str) -> Possible | None:
        """Return what a player's score may be, or None when nobody has sent anything of this player."""
        board = BY_KEY[ranking[0]]
        held = self.certain[ranking].get(user_id)
        on_the_way = list(self.open[ranking].get(user_id, {}).values()) if user_id in self.open[ranking] else []
        if held is None and not on_the_way:
            return None
        if board.operator in ("sum", "count"):
            base = held.score if held else 0
            lowest, highest = (base + sum(way for way in on_the_way if (way > 0) is up) for up in (False, True))
            if held is None and board.operator == "count":
                lowest = 1
            return Possible(lowest, highest, None, held is None)
        values = set(on_the_way)
        if held is not None:
            if board.operator == "best":
                values = {value for value in values if board.sign * value <= board.sign * held.score}
            values.add(held.score)
        return Possible(min(values), max(values), frozenset(values), held is None)

    def totals(self, ranking: Ranking) -> tuple[int, int]:
        """Return the least and the most players that the ranking may have right now."""
        certain = self.certain[ranking]
        return len(certain), len(certain.keys() | self.open[ranking].keys())

    def rank_bounds(self, ranking: Ranking, user_id: str, score: int) -> tuple[int, int]:
        """Return the best and the worst rank that a player with this score may have right now."""
        board = BY_KEY[ranking[0]]
        mine = board.sign * score
        best = worst = 1
        for other in self.certain[ranking].keys() | self.open[ranking].keys():
            possible = self.possible(ranking, other)
            if other == user_id or possible is None:
                continue
            ends = sorted((board.sign * possible.lowest, board.sign * possible.highest))
            best += not possible.may_be_absent and ends[1] < mine
            worst += ends[0] <= mine
        return best, worst

    def rankings(self) -> list[Ranking]:
        """Return every ranking that has a certain entry."""
        return [ranking for ranking, entries in self.certain.items() if entries]


def board_of(ranking: Ranking) -> Board:
    """Return the board of a ranking."""
    return BY_KEY[ranking[0]]


def _known(at: datetime | None) -> datetime:
    assert at is not None
    return at
