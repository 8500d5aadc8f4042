"""What a batch of events comes to: for each board, period and part a tally of scores."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from grandstand.domain.event_model import StreamedEvent
from grandstand.domain.folding import Tally, Value
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.periods import Period
from grandstand.domain.plausibility import QuarantineReason
from grandstand.domain.rankings import RankingName, segment_part
from grandstand.domain.scores import UnrankedError, UnrankedReason
from grandstand.domain.scoring import DIRECT_EVENT_TYPE
from grandstand.operations.catalog import LeaderboardCatalog, ScoredBoard

LATE: UnrankedReason = "late"
"""Reason why an event is not ranked: its period had ended, and the grace was over when it arrived."""

OUTSIDE: UnrankedReason = "outside_tournament"
"""Reason why an event is not ranked: it occurred before the tournament's start or after its end."""

REMOVED: UnrankedReason = "removed"
"""Reason why an event is not ranked: it arrived before its user was taken off the board."""

Removals = Mapping[tuple[int, str], datetime]
"""When (leaderboard, user) pairs were removed last."""

Held = Mapping[tuple[int, str], QuarantineReason]
"""Why events are quarantined, by (leaderboard, event)."""

Delivered = tuple[StreamedEvent, datetime]
"""An event and when it was received."""

_PIECE_BYTES = 262_144
"""Payloads that are decoded together. Decoded they may take 25 times as much memory, and a batch may be large."""

_decode_together = msgspec.json.Decoder(list[Any]).decode


@dataclass(slots=True)
class Scored:
    """The tallies of a batch, and how many values boards could not rank, by (leaderboard key, reason)."""

    tallies: dict[RankingName, "RankingTally"] = field(default_factory=dict)
    candidates: dict[RankingName, "Candidates"] = field(default_factory=dict)
    unranked: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: dict[Leaderboard, tuple[Period, Tally]] = field(default_factory=dict)
    """Where the last event of each board without segments counted: most of a batch count in the same period."""


class Attempt(NamedTuple):
    """One scoring event of a tournament that asks to count."""

    user_id: str
    value: Value


class Candidates(NamedTuple):
    """What asks to count in one occurrence of a tournament."""

    target: ScoredBoard
    ended_at: datetime | None
    attempts: list[Attempt]


class RankingTally:
    """The tally of one ranking, with the board it belongs to and the end of its period."""

    __slots__ = ("board", "ended_at", "tally")

    def __init__(self, board: Leaderboard, ended_at: datetime | None) -> None:
        self.board = board
        self.ended_at = ended_at
        self.tally = Tally(board.definition.operator, board.definition.order)


def score_events(
    catalog: LeaderboardCatalog,
    events: Sequence[Delivered],
    removals: Removals | None = None,
    held: Held | None = None,
) -> Scored:
    """Score (event, received_at) pairs on every board that they feed, but for what is removed or held."""
    scored = Scored()
    feeding = _feeding(catalog, events)
    payloads = _decode_payloads([event.payload for event, _ in feeding])
    for (event, received_at), payload in zip(feeding, payloads, strict=True):
        for target in catalog.fed_by(event.event_type, payload):
            if removals and is_removed(target.board, event, received_at, removals):
                scored.unranked[target.board.key, REMOVED] += 1
                continue
            if held and (reason := held.get((target.board.leaderboard_id, event.id))) is not None:
                scored.unranked[target.board.key, reason] += 1
                continue
            score_event(scored, target, event, payload, received_at)
    return scored


def _feeding(catalog: LeaderboardCatalog, events: Sequence[Delivered]) -> list[Delivered]:
    """Return the events that may feed a board: others need not have their payload decoded. Types are few."""
    types = {event_type for event_type in {event.event_type for event, _ in events} if catalog.takes(event_type)}
    return [each for each in events if each[0].event_type in types]


def _decode_payloads(payloads: Sequence[msgspec.Raw]) -> Iterator[Any]:
    ends = list(accumulate(map(len, payloads)))
    start = done_bytes = 0
    while start < len(payloads):
        end = max(start + 1, bisect_right(ends, done_bytes + _PIECE_BYTES))
        yield from _decode_together(b"[" + b",".join(payloads[start:end]) + b"]")
        start, done_bytes = end, ends[end - 1]


def is_removed(board: Leaderboard, event: StreamedEvent, received_at: datetime, removals: Removals) -> bool:
    """Whether an event arrived before its user was taken off the board."""
    removed_at = removals.get((board.leaderboard_id, event.user_id))
    return removed_at is not None and received_at <= removed_at


def score_event(
    scored: Scored, target: ScoredBoard, event: StreamedEvent, payload: object, received_at: datetime
) -> None:
    """Score one event, whose payload is decoded, on one board that it feeds."""
    board, rule = target.board, target.rule
    try:
        value, period = value_of(target, event, payload, received_at)
    except UnrankedError as error:
        scored.unranked[board.key, error.reason] += 1
        return
    last = scored.last.get(board)
    if last is not None and last[0] is period:
        # Of nearly every event, and its name need not be made again.
        last[1].add(event.user_id, value)
        return
    name = RankingName(board.leaderboard_id, board.epoch, period.start)
    if target.tournament is not None:
        # Whether it counts depends on who takes part and on earlier attempts: the transaction decides.
        candidates = scored.candidates.setdefault(name, Candidates(target, period.end, []))
        candidates.attempts.append(Attempt(event.user_id, value))
        return
    tally = _add(scored, name, board, period.end, event.user_id, value)
    if not rule.has_segments:
        scored.last[board] = period, tally
        return
    segment = rule.segment(payload)
    if segment is not None:
        part = name._replace(part=segment_part(segment))
        _add(scored, part, board, period.end, event.user_id, value)


def value_of(target: ScoredBoard, event: StreamedEvent, payload: object, received_at: datetime) -> tuple[Value, Period]:
    """Return what an event comes to on a board that it feeds, and the period in which it does.

    Raises:
        UnrankedError: the board cannot rank it.
    """
    board = target.board
    value = target.rule.value(payload, event.occurred_at, event.id, is_direct=event.event_type == DIRECT_EVENT_TYPE)
    period = board.period_at(event.occurred_at)
    if period is None:
        # Of a board that is no tournament's, the time before its epoch is archived.
        raise UnrankedError(LATE if board.windows is None else OUTSIDE)
    if period.end is not None and not period.takes(received_at):
        raise UnrankedError(LATE)
    return value, period


def _add(
    scored: Scored, name: RankingName, board: Leaderboard, ended_at: datetime | None, user_id: str, value: Value
) -> Tally:
    target = scored.tallies.get(name)
    if target is None:
        target = scored.tallies[name] = RankingTally(board, ended_at)
    target.tally.add(user_id, value)
    return target.tally
