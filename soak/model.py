"""What every ranking must show: exactly, of what is stored for certain, and within bounds, while more is on its way."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from soak.boards import BY_KEY, Board, Worth, fed_by
from soak.happenings import Event
from soak.outlaws import Outlaws
from soak.periods import ALL_TIME, end_of, is_late, may_lie_in, period_of, start_of

BLUR = timedelta(minutes=10)
"""About how far a moved clock reaches: the jump, the grace, and what a period waits for before it is closed."""


class Ranking(NamedTuple):
    """One ranking of a board: a segment ('' for the whole) in one of its periods, by its name."""

    key: str
    segment: str = ""
    period: str = ALL_TIME


class Standing(NamedTuple):
    """One line of a ranking."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime


class Possible(NamedTuple):
    """What a player's score may be right now, from `lowest` to `highest`.

    One of `values`, or what is `held` for certain; with `values` of None any whole number.
    """

    lowest: int
    highest: int
    values: AbstractSet[int] | None
    held: int | None
    may_be_absent: bool

    def allows(self, score: int) -> bool:
        """Whether a served score can be right."""
        is_one = self.values is None or score in self.values or score == self.held
        return is_one and self.lowest <= score <= self.highest


class Waiting(NamedTuple):
    """What an event that may count already is worth."""

    score: int
    occurred_at: datetime | None


class OnTheWay:
    """What those events come to that may count in one ranking for one player already."""

    __slots__ = ("gains", "least", "losses", "most", "values")

    def __init__(self, score: int) -> None:
        self.losses = self.gains = 0
        self.least = self.most = score
        self.values: set[int] = set()
        self.add(score)

    def add(self, score: int) -> None:
        """Hear of one more."""
        self.values.add(score)
        self.least, self.most = min(self.least, score), max(self.most, score)
        self.losses += min(score, 0)
        self.gains += max(score, 0)


@dataclass
class Model:
    """Rankings of certain events (`settle`), and the events that may count already (`send`)."""

    certain: dict[Ranking, dict[str, Worth]] = field(default_factory=lambda: defaultdict(dict))
    open: dict[tuple[str, str], dict[str, dict[str, Waiting]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    outlaws: Outlaws = field(default_factory=Outlaws)
    resets: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    """When boards were reset by hand, as far as audits have found it."""
    _on_the_way: dict[Ranking, dict[str, OnTheWay]] = field(default_factory=dict)
    """What `open` comes to for those rankings that were asked for since the last audit."""
    _blurred: list[tuple[datetime, datetime]] = field(default_factory=list)
    _theirs: dict[str, list[tuple[Event, datetime]]] = field(default_factory=lambda: defaultdict(list))
    """Stored events of players who may be banned, but for those that a ban took away for good."""

    def send(self, event: Event) -> None:
        """Hear that an event is about to be sent: from now on it may count. Twice is once."""
        for board, part, worth in _worths(event):
            mine = self.open[board.key, part][event.user_id]
            if event.event_id in mine:
                continue
            mine[event.event_id] = Waiting(worth.score, event.occurred_at)
            for ranking, waiting in self._on_the_way.items():
                if (ranking.key, ranking.segment) == (board.key, part):
                    self._add(waiting, ranking, event.user_id, mine[event.event_id])

    def settle(self, event: Event, received_at: datetime) -> None:
        """Hear that an event is stored for certain: from now on it must count, once, where it came in time."""
        self._on_the_way.clear()
        for board, part, _ in _worths(event):
            mine = self.open[board.key, part].get(event.user_id, {})
            mine.pop(event.event_id, None)
            if not mine:
                self.open[board.key, part].pop(event.user_id, None)
        if event.user_id in self.outlaws.each:
            self._theirs[event.user_id].append((event, received_at))
        else:
            self._count(event, received_at)

    def settle_outlaws(self) -> None:
        """Count their stored events anew, by what is known of bans now."""
        for user_id, events in self._theirs.items():
            for entries in self.certain.values():
                entries.pop(user_id, None)
            events[:] = [each for each in events if self.outlaws.counts(user_id, each[1])]
            for event, received_at in events:
                self._count(event, received_at)

    def _count(self, event: Event, received_at: datetime) -> None:
        for board, part, worth in _worths(event):
            period = period_of(board, event.occurred_at, self.resets[board.key])
            if not is_late(board, period, received_at, self.resets[board.key]):
                entries = self.certain[Ranking(board.key, part, period)]
                held = entries.get(event.user_id)
                entries[event.user_id] = worth if held is None else board.merge(held, worth)

    def _waiting(self, ranking: Ranking) -> dict[str, OnTheWay]:
        """Return what may count in a ranking already, by player."""
        found = self._on_the_way.get(ranking)
        if found is None:
            found = self._on_the_way[ranking] = {}
            for user_id, events in self.open[ranking.key, ranking.segment].items():
                for waiting in events.values():
                    self._add(found, ranking, user_id, waiting)
        return found

    def _add(self, found: dict[str, OnTheWay], ranking: Ranking, user_id: str, waiting: Waiting) -> None:
        board = BY_KEY[ranking.key]
        if may_lie_in(board, ranking.period, waiting.occurred_at, self.resets[ranking.key]):
            mine = found.get(user_id)
            if mine is None:
                found[user_id] = OnTheWay(waiting.score)
            else:
                mine.add(waiting.score)

    def standings(self, ranking: Ranking) -> list[Standing]:
        """Return the ranking of what is certain, first rank first."""
        board = BY_KEY[ranking.key]
        lines = sorted(self.certain[ranking].items(), key=lambda line: board.place(*line))
        return [
            Standing(rank, user_id, worth.score, _known(worth.at)) for rank, (user_id, worth) in enumerate(lines, 1)
        ]

    def possible(self, ranking: Ranking, user_id: str) -> Possible | None:
        """Return what a player's score may be, or None when nobody has sent anything of this player."""
        return self._possible(ranking, user_id, self._waiting(ranking).get(user_id))

    def possible_of(self, ranking: Ranking, user_ids: Iterable[str]) -> dict[str, Possible]:
        """Return what the scores of several players may be; those are left out of whom nobody has sent anything."""
        waiting = self._waiting(ranking)
        found = {user_id: self._possible(ranking, user_id, waiting.get(user_id)) for user_id in user_ids}
        return {user_id: possible for user_id, possible in found.items() if possible is not None}

    def learn_resets(self, key: str, moments: Iterable[datetime]) -> None:
        """Hear when a board was reset, of all times."""
        self.resets[key] = list(moments)
        self._on_the_way.clear()

    def blur(self, now: datetime) -> None:
        """Hear that clocks were moved: periods that end about now may be closed early, or take what comes late."""
        self._blurred.append((now - BLUR, now + BLUR))

    def is_blurred(self, ranking: Ranking) -> bool:
        """Whether clocks were moved about the end of a period, so that who was in time is anybody's guess."""
        board = BY_KEY[ranking.key]
        if not board.has_periods:
            return False
        end = end_of(board, start_of(ranking.period), self.resets[ranking.key])
        return end is not None and any(since <= end <= until for since, until in self._blurred)

    def _possible(self, ranking: Ranking, user_id: str, on_the_way: OnTheWay | None) -> Possible | None:
        board = BY_KEY[ranking.key]
        worth = self.certain[ranking].get(user_id)
        held = None if worth is None else worth.score
        if held is None and on_the_way is None:
            return None
        is_doubtful = self.outlaws.is_doubtful(user_id)
        may_be_absent = held is None or is_doubtful
        if board.operator in ("sum", "count"):
            bases = {held or 0} | ({0} if is_doubtful else set())
            lowest = min(bases) + (on_the_way.losses if on_the_way else 0)
            highest = max(bases) + (on_the_way.gains if on_the_way else 0)
            if may_be_absent and board.operator == "count":
                lowest = 1
            return Possible(lowest, highest, None, held, may_be_absent)
        known = [] if held is None else [held]
        if on_the_way is None:
            return Possible(min(known), max(known), frozenset(), held, may_be_absent)
        lowest, highest = min([on_the_way.least, *known]), max([on_the_way.most, *known])
        if held is not None and board.operator == "best" and not is_doubtful:
            # It never becomes worse.
            lowest, highest = (max(lowest, held), highest) if board.sign < 0 else (lowest, min(highest, held))
        return Possible(lowest, highest, on_the_way.values, held, may_be_absent)

    def totals(self, ranking: Ranking) -> tuple[int, int]:
        """Return the least and the most players that the ranking may have right now."""
        certain = self.certain[ranking].keys()
        least = sum(not self.outlaws.is_doubtful(user_id) for user_id in certain)
        return least, len(certain | self._waiting(ranking).keys())

    def rank_bounds(self, ranking: Ranking, user_id: str, score: int) -> tuple[int, int]:
        """Return the best and the worst rank that a player with this score may have right now."""
        board = BY_KEY[ranking.key]
        mine = board.sign * score
        waiting = self._waiting(ranking)
        best = worst = 1
        for other in self.certain[ranking].keys() | waiting.keys():
            possible = self._possible(ranking, other, waiting.get(other))
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
    return BY_KEY[ranking.key]


def _worths(event: Event) -> Iterator[tuple[Board, str, Worth]]:
    for board in fed_by(event.event_type):
        worth = board.worth(event)
        if worth is not None:
            for part in board.parts(event):
                yield board, part, worth


def _known(at: datetime | None) -> datetime:
    assert at is not None
    return at
