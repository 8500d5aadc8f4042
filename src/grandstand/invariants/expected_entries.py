"""What an entry must be, given every value that counts for it: each operator in its plainest form."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from grandstand.domain.folding import Value
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.domain.scores import SCORE_MAX


class Expected(NamedTuple):
    """The fields of an entry that follow from events; `metadata` is decoded."""

    score: int
    total: int | None
    tie_key: bytes
    achieved_at: datetime
    event_id: str
    metadata: Any


def expected_entry(definition: LeaderboardDefinition, values: Sequence[Value]) -> Expected:
    """Return the entry that these values come to."""
    in_time = sorted(values, key=lambda value: (value.achieved_at, value.event_id))
    if definition.operator in ("sum", "count"):
        total = sum(value.score for value in values)
        chosen = in_time[-1]
        return _entry(chosen, max(-SCORE_MAX, min(SCORE_MAX, total)), total)
    if definition.operator == "latest":
        return _entry(in_time[-1], in_time[-1].score, None)
    # In the order of time already: of equal ones the earliest stays in front.
    sign = -1 if definition.order == "desc" else 1
    best = sorted(in_time, key=lambda value: (sign * value.score, value.tie_key))[0]
    return _entry(best, best.score, None)


def stored_entry(row: Any) -> Expected:
    """Return a stored entry in the same form."""
    total = None if row["total"] is None else int(row["total"])
    return Expected(
        row["score"], total, row["tie_key"], row["achieved_at"], str(row["event_id"]), _metadata(row["metadata"])
    )


def could_be(definition: LeaderboardDefinition, values: Sequence[Value], entry: Expected) -> bool:
    """Whether an entry may come from some of these values, when it is not known which of them were taken."""
    if definition.operator in ("sum", "count"):
        gains = sum(value.score for value in values if value.score > 0)
        losses = sum(value.score for value in values if value.score < 0)
        is_one = any(value.event_id == entry.event_id and value.achieved_at == entry.achieved_at for value in values)
        return is_one and entry.total is not None and losses <= entry.total <= gains
    return any(_entry(value, value.score, None) == entry for value in values)


def _entry(value: Value, score: int, total: int | None) -> Expected:
    return Expected(score, total, value.tie_key, value.achieved_at, value.event_id, _metadata(value.metadata))


def _metadata(text: str | None) -> Any:
    # As objects: the database keeps an event's payload in an order and a spelling of its own.
    return None if text is None else msgspec.json.decode(text)
