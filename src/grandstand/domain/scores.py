"""Scores: exact integers, and how one is found in the payload of an event."""

from decimal import Decimal
from typing import Any, Literal

SCORE_MAX = 2**53 - 1
"""Largest |score|: exact in JSON numbers and in the doubles of a sorted set."""

UnrankedReason = Literal[
    "missing_field", "not_a_number", "not_an_integer", "out_of_range", "below_min_score", "above_max_score", "late",
    "too_many_segments", "removed",
    "outside_tournament", "not_joined", "tournament_full", "attempts_exhausted", "player_banned",
]  # fmt: skip
"""Why a board does not rank an event that feeds it: a label of the metric `grandstand_scores_unranked`.

Reasons of plausibility (`QuarantineReason`) are labels beside these."""


class UnrankedError(Exception):
    """The event belongs to the board but has no value that the board can rank; `reason` is a metric label."""

    def __init__(self, reason: UnrankedReason) -> None:
        super().__init__(reason)
        self.reason: UnrankedReason = reason


class InexactFloat(float):
    """The double next to a number that none equals, such as 1.00000000000000000001: no integer, whatever it is near."""

    def is_integer(self) -> bool:
        """Return False: a score is rejected and not rounded."""
        return False


def read_float(text: str) -> float:
    """Return a JSON number that has a fraction or an exponent; an `InexactFloat` where an integer is only near it."""
    value = float(text)
    return InexactFloat(value) if value.is_integer() and Decimal(text) != value else value


def look_up(payload: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a dotted path inside a decoded payload, or None when any part of it is missing."""
    value = payload
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def read_score(value: object) -> int:
    """Return the score that a payload value stands for. A float counts when it equals an integer (JSON `5.0`).

    Raises:
        UnrankedError: the value is missing, no number, a fraction, or beyond ±`SCORE_MAX`.

    """
    if type(value) is int and -SCORE_MAX <= value <= SCORE_MAX:
        return value
    if value is None:
        raise UnrankedError("missing_field")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnrankedError("not_a_number")
    if isinstance(value, float):
        if not value.is_integer():
            raise UnrankedError("not_an_integer")
        value = int(value)
    if not -SCORE_MAX <= value <= SCORE_MAX:
        raise UnrankedError("out_of_range")
    return value
