"""What a board must show for a file of events, computed from the contract alone: nothing of Grandstand is used here."""

import gzip
import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

Event = dict[str, Any]


class Expected(NamedTuple):
    """One entry as it must be served."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime


def read_events(path: Path) -> list[Event]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def count_by_type(events: list[Event]) -> dict[str, int]:
    return dict(Counter(event["event_type"] for event in events))


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ranking(events: list[Event], definition: dict[str, Any]) -> list[Expected]:
    """Return the whole board: order by score, then who reached it first, then `user_id` (bytes)."""
    counted: dict[str, list[tuple[int, datetime, str]]] = defaultdict(list)
    for event in events:
        payload = event["payload"]
        if event["event_type"] != definition["event_type"]:
            continue
        if any(payload.get(name) != value for name, value in (definition.get("where") or {}).items()):
            continue
        field = definition.get("field")
        score = 1 if field is None or definition["operator"] == "count" else payload.get(field)
        if isinstance(score, int | float) and score == int(score):
            counted[event["user_id"]].append((int(score), time_of(event["occurred_at"]), event["id"]))
    is_descending = definition.get("order", "desc") == "desc"
    standing = []
    for user_id, values in counted.items():
        score, achieved_at = _fold(definition["operator"], values, is_descending=is_descending)
        standing.append((-score if is_descending else score, achieved_at, user_id.encode(), score))
    return [
        Expected(rank, user.decode(), score, achieved_at)
        for rank, (_, achieved_at, user, score) in enumerate(sorted(standing), start=1)
    ]


def _fold(operator: str, values: list[tuple[int, datetime, str]], *, is_descending: bool) -> tuple[int, datetime]:
    if operator == "best":
        best = (max if is_descending else min)(score for score, _, _ in values)
        return best, min(moment for score, moment, _ in values if score == best)
    if operator == "latest":
        score, moment, _ = max(values, key=lambda value: (value[1], value[2]))
        return score, moment
    return sum(score for score, _, _ in values), max(moment for _, moment, _ in values)
