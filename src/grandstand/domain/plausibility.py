"""Plausibility: what of a board's events no honest game can have sent. Such events are kept apart, not thrown away.

Bounds of one event depend on that event alone, so they do not mind the order in which events arrive. Rates count what a
player has had in a minute before: how many events of a minute count is the same in any order, which of them is not.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec

from grandstand.domain.errors import FieldError
from grandstand.domain.scores import SCORE_MAX, look_up

QuarantineReason = Literal[
    "unsigned",
    "score_too_low",
    "score_too_high",
    "duration_missing",
    "duration_too_short",
    "gain_too_high",
    "too_many_events",
]
"""Why an event is kept apart; also a label of the metric `grandstand_scores_unranked`."""

QuarantineStatus = Literal["held", "released", "rejected"]
QUARANTINE_STATUSES: tuple[QuarantineStatus, ...] = get_args(QuarantineStatus)
QUARANTINE_REASONS: tuple[QuarantineReason, ...] = get_args(QuarantineReason)

DURATION_MAX_SECONDS = 366 * 86_400.0
EVENTS_MAX = 1_000_000
_MINUTE_SECONDS = 60


class Plausibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One board's bounds; None is no bound, and is left out where a definition is written."""

    score_min: int | None = None
    score_max: int | None = None
    duration_field: str | None = None
    duration_min_seconds: float | None = None
    gain_per_minute_max: int | None = None
    events_per_minute_max: int | None = None
    signed: bool | None = None

    @property
    def has_rates(self) -> bool:
        """Whether what a player had in the same minute matters, too."""
        return self.events_per_minute_max is not None or self.gain_max is not None

    @property
    def gain_max(self) -> int | None:
        """The most that a player's events of one minute may bring together; None where events tell their durations."""
        return self.gain_per_minute_max if self.duration_field is None else None


class Minute:
    """What a player's events of one minute that count come to so far."""

    __slots__ = ("events", "gain")

    def __init__(self, events: int, gain: int) -> None:
        self.events = events
        self.gain = gain

    def judge(self, rules: Plausibility, score: int) -> QuarantineReason | None:
        """Take one more event in, or say why it is too much; what is too much takes up no room."""
        gain = self.gain + max(score, 0)
        if rules.events_per_minute_max is not None and self.events >= rules.events_per_minute_max:
            return "too_many_events"
        if rules.gain_max is not None and gain > max(rules.gain_max, self.gain):
            return "gain_too_high"
        self.events += 1
        self.gain = gain
        return None


def judge_alone(
    rules: Plausibility, score: int, payload: Any, *, lacks_signature: bool = False
) -> QuarantineReason | None:
    """Say which bound an event breaks by itself, whatever else there is."""
    if rules.signed and lacks_signature:
        return "unsigned"
    if rules.score_min is not None and score < rules.score_min:
        return "score_too_low"
    if rules.score_max is not None and score > rules.score_max:
        return "score_too_high"
    if rules.duration_field is None:
        return None
    duration_seconds = look_up(payload, tuple(rules.duration_field.split(".")))
    if isinstance(duration_seconds, bool) or not isinstance(duration_seconds, int | float) or duration_seconds < 0:
        return "duration_missing"
    if rules.duration_min_seconds is not None and duration_seconds < rules.duration_min_seconds:
        return "duration_too_short"
    if rules.gain_per_minute_max is not None and score > 0:
        # A longer duration than any game has would explain any score.
        counted_seconds = min(duration_seconds, DURATION_MAX_SECONDS)
        if score * _MINUTE_SECONDS > rules.gain_per_minute_max * counted_seconds:
            return "gain_too_high"
    return None


def check_plausibility(rules: Plausibility, operator: str) -> Iterator[FieldError]:
    """Yield what is wrong with bounds, but for the form of `duration_field`."""
    if rules in (Plausibility(), Plausibility(signed=False)):
        yield FieldError("plausibility", "must name a rule; leave it out for none")
    for name in ("score_min", "score_max"):
        value: int | None = getattr(rules, name)
        if value is not None and abs(value) > SCORE_MAX:
            yield FieldError(f"plausibility.{name}", f"must lie within ±{SCORE_MAX}")
    if rules.score_min is not None and rules.score_max is not None and rules.score_min > rules.score_max:
        yield FieldError("plausibility.score_max", "must not be below score_min")
    yield from _check_duration(rules)
    most = rules.events_per_minute_max
    if most is not None and not 1 <= most <= EVENTS_MAX:
        yield FieldError("plausibility.events_per_minute_max", f"must be between 1 and {EVENTS_MAX}")
    if rules.gain_per_minute_max is not None:
        if operator not in ("best", "sum"):
            message = "needs the operator best or sum: other scores are no gain of one event"
            yield FieldError("plausibility.gain_per_minute_max", message)
        elif not 1 <= rules.gain_per_minute_max <= SCORE_MAX:
            yield FieldError("plausibility.gain_per_minute_max", f"must be between 1 and {SCORE_MAX}")


def _check_duration(rules: Plausibility) -> Iterator[FieldError]:
    least = rules.duration_min_seconds
    if least is not None:
        if rules.duration_field is None:
            yield FieldError("plausibility.duration_field", "is needed by duration_min_seconds")
        if not math.isfinite(least) or not 0 < least <= DURATION_MAX_SECONDS:
            message = f"must be above 0 and at most {DURATION_MAX_SECONDS:.0f}"
            yield FieldError("plausibility.duration_min_seconds", message)
    elif rules.duration_field is not None and rules.gain_per_minute_max is None:
        yield FieldError("plausibility.duration_field", "needs duration_min_seconds or gain_per_minute_max")
