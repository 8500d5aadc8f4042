"""How events become scores. Each fold gives the same result for every order and grouping of the same events.

A `Tally` gathers one batch: at most one value a (ranking, user), which the database then combines with what it has.
"""

from datetime import datetime
from typing import NamedTuple

from grandstand.domain.leaderboards import Operator, Order


class Value(NamedTuple):
    """What a set of events comes to for one user.

    `score` is exact and unclamped; `tie_key` (see `ranking.tie_key`) and `metadata` (JSON) are those of the event
    `event_id`: the one that set the score, or the latest where scores add up.
    """

    score: int
    tie_key: bytes
    achieved_at: datetime
    event_id: str
    metadata: str | None


def combine(operator: Operator, order: Order, one: Value, other: Value) -> Value:
    """Return what two disjoint sets of events come to together."""
    if operator == "best":
        if one.score != other.score:
            return one if (one.score > other.score) is (order == "desc") else other
        return min(one, other, key=lambda value: _best_key(order, value))
    later = max(one, other, key=lambda value: (value.achieved_at, value.event_id))
    if operator == "latest":
        return later
    return later._replace(score=one.score + other.score)


def _best_key(order: Order, value: Value) -> tuple[int, bytes, datetime, str]:
    score = -value.score if order == "desc" else value.score
    return score, value.tie_key, value.achieved_at, value.event_id


class Tally:
    """The values of one batch for one ranking."""

    __slots__ = ("operator", "order", "values")

    def __init__(self, operator: Operator, order: Order) -> None:
        self.operator = operator
        self.order = order
        self.values: dict[str, Value] = {}

    def add(self, user_id: str, value: Value) -> None:
        """Count one event of `user_id`."""
        held = self.values.get(user_id)
        self.values[user_id] = value if held is None else combine(self.operator, self.order, held, value)
