"""What one event is worth on one board: the definition made ready for the hot path."""

from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.folding import Value
from grandstand.domain.leaderboards import LeaderboardDefinition, path_of
from grandstand.domain.ranking import tie_key
from grandstand.domain.scores import UnrankedError, look_up, read_score

DIRECT_EVENT_TYPE = "grandstand.score"
"""Type of the events that stand for direct writes: payload `{"leaderboard": key, "leaderboard_id": id, "score": n}`."""

SEGMENT_LENGTH_MAX = 64

# An `InexactFloat` is no type that it knows.
_encode = msgspec.json.Encoder(enc_hook=float).encode


def is_direct_write_to(payload: Any, key: str, leaderboard_id: int) -> bool:
    """Whether a direct write is to this board, and not to an earlier one of the same key."""
    return bool(payload.get("leaderboard") == key and payload.get("leaderboard_id", leaderboard_id) == leaderboard_id)


class ScoringRule:
    """The rule of one definition."""

    __slots__ = ("_keep", "_max_score", "_min_score", "_operator", "_path", "_segment_path", "_tie_breaks", "_where")

    def __init__(self, definition: LeaderboardDefinition) -> None:
        self._operator = definition.operator
        self._min_score, self._max_score = definition.min_score, definition.max_score
        self._path = None if definition.field is None else path_of(definition.field)
        self._where = tuple((path_of(path), value) for path, value in (definition.where or {}).items())
        self._keep = tuple((field, path_of(field)) for field in definition.keep)
        self._tie_breaks = tuple((path_of(item.field), item.order) for item in definition.tie_breaks)
        self._segment_path = None if definition.segment_by is None else path_of(definition.segment_by)

    def belongs(self, payload: Any) -> bool:
        """Whether an event of the board's type with this payload meets every condition of `where`."""
        return all(is_same(look_up(payload, path), wanted) for path, wanted in self._where)

    def value(self, payload: Any, occurred_at: datetime, event_id: str, *, is_direct: bool = False) -> Value:
        """Return what an event comes to; a direct write has its score at `score`, whatever the board's field is.

        Raises:
            UnrankedError: the payload holds no value this board can rank.
        """
        return Value(
            self._score(payload, is_direct=is_direct),
            tie_key(payload, self._tie_breaks) if self._tie_breaks else b"",
            occurred_at,
            event_id,
            self._metadata(payload) if self._keep else None,
        )

    @property
    def has_segments(self) -> bool:
        """Whether events may belong to a segment beside the whole board."""
        return self._segment_path is not None

    def segment(self, payload: Any) -> str | None:
        """Return the segment an event belongs to beside the whole board; None for none."""
        if self._segment_path is None:
            return None
        value = look_up(payload, self._segment_path)
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, int):
            value = str(value)
        if isinstance(value, str) and 0 < len(value) <= SEGMENT_LENGTH_MAX and "\x00" not in value:
            return value
        return None

    def _score(self, payload: Any, *, is_direct: bool) -> int:
        if is_direct:
            found = look_up(payload, ("score",))
        elif self._path is None:
            return 1
        else:
            found = look_up(payload, self._path)
        if self._operator == "count":
            if found is None:
                raise UnrankedError("missing_field")
            return 1
        score = read_score(found)
        if self._min_score is not None and score < self._min_score:
            raise UnrankedError("below_min_score")
        if self._max_score is not None and score > self._max_score:
            raise UnrankedError("above_max_score")
        return score

    def _metadata(self, payload: Any) -> str:
        found = {field: look_up(payload, path) for field, path in self._keep}
        return _encode({field: value for field, value in found.items() if value is not None}).decode()


def is_same(found: Any, wanted: Any) -> bool:
    """Whether two JSON scalars are the same: numbers by value (1 and 1.0), but true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)
