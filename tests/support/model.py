"""What every board must show, worked out the slow and obvious way from the events. Shares no code with the product."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

LIMIT = 2**53 - 1


class Standing(NamedTuple):
    rank: int
    user_id: str
    score: int
    achieved_at: datetime


def standings(board: Any, events: Iterable[Any]) -> list[Standing]:
    """The whole board, first rank first. `board` has the fields of a definition, events those of an event."""
    counted: dict[str, list[tuple[datetime, Any, int]]] = defaultdict(list)
    for event in {event.id: event for event in events}.values():
        if (
            event.event_type == board.event_type
            and (value := value_of(board, json.loads(bytes(event.payload)))) is not None
        ):
            counted[event.user_id].append((event.occurred_at, event.id, value))
    rows = [(user_id, *_result(board, sorted(values))) for user_id, values in counted.items()]
    sign = -1 if board.order == "desc" else 1
    rows.sort(key=lambda row: (sign * row[1], row[2], row[0].encode()))
    return [Standing(rank, *row) for rank, row in enumerate(rows, start=1)]


def value_of(board: Any, payload: Any) -> int | None:
    """What one event is worth on a board; None when it does not count."""
    for path, wanted in (board.where or {}).items():
        found = _at(payload, path)
        if isinstance(found, bool) != isinstance(wanted, bool) or found != wanted:
            return None
    if board.field is None:
        return 1
    value = _at(payload, board.field)
    if board.operator == "count":
        return None if value is None else 1
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or abs(value) > LIMIT:
        return None
    low = -LIMIT if board.min_score is None else board.min_score
    high = LIMIT if board.max_score is None else board.max_score
    return int(value) if low <= value <= high else None


def _result(board: Any, values: list[tuple[datetime, Any, int]]) -> tuple[int, datetime]:
    """Score and `achieved_at` of one user from the (time, id, value) in the order of time."""
    scores = [value for _, _, value in values]
    latest_at = values[-1][0]
    if board.operator == "latest":
        return scores[-1], latest_at
    if board.operator == "best":
        best = max(scores) if board.order == "desc" else min(scores)
        return best, next(at for at, _, value in values if value == best)
    return max(-LIMIT, min(LIMIT, sum(scores))), latest_at


def _at(payload: Any, path: str) -> Any:
    for name in path.split("."):
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload
