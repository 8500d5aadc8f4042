"""What a run says about the load it had: the goals it is held to, and the words for how much room is left."""

from collections.abc import Sequence
from typing import Literal

import msgspec

ACCEPT_P99_MS = 100.0
VISIBLE_P99_MS = 1_000.0
READ_P99_MS = 50.0
LAG_SECONDS = 1.0
"""Age of the oldest waiting event in the last seconds that still counts as keeping up."""

LAG_GROWTH_MAX = 0.02
"""Seconds that the lag may grow in a second of the load: above it, it is not flat."""

LAG_FLAT_SECONDS = 0.25
"""A lag that ends below this did not grow, whatever its slope: one late batch in a short run is no trend."""

LATE_P99_MS = 25.0
"""Lateness of the generator itself beyond which a goal that is missed may have been missed by it."""

Word = Literal["Excellent", "Good", "Will struggle", "Will fail"]
Verdict = Word | Literal["Not measured"]

EXCELLENT_SHARE = 0.25
GOOD_SHARE = 0.85


class Figures(msgspec.Struct):
    """What a verdict needs. `load_share` is how much of the scarcest resource was used, 0 to 1; None when unknown.

    A percentile is None when there was nothing to measure it of, `lag_seconds` when the server did not tell it.
    """

    accept_p99_ms: float | None
    visible_p99_ms: float | None
    read_p99_ms: float | None
    errors: int
    unsent: int
    lag_seconds: float | None
    lag_growth: float
    late_p99_ms: float
    is_clean: bool
    load_share: float | None


def judge(figures: Figures) -> tuple[Verdict, list[str]]:
    """Return the verdict and, where it is not the best, why."""
    if not figures.is_clean:
        return "Will fail", ["the auditor found what is not as promised"]
    failed, missed = _failed(figures), _missed(figures)
    if (failed or missed) and figures.late_p99_ms > LATE_P99_MS:
        # Lateness is in every latency, so goals that are met are met all the same.
        late = f"the generator itself was late: p99 {figures.late_p99_ms:,.0f} ms (at most {LATE_P99_MS:.0f} ms)"
        return "Not measured", [late, *failed, *missed]
    if failed:
        return "Will fail", failed
    share = figures.load_share
    if share is not None and share >= GOOD_SHARE:
        missed.append(f"{share:.0%} of the scarcest resource is used")
    if missed:
        return "Will struggle", missed
    nothing = [
        f"{name}: the load was too small or too short for any" for name, value, _ in _goals(figures) if value is None
    ]
    if figures.lag_seconds is None:
        nothing.append("lag: the server told none at the end")
    if nothing:
        return "Not measured", nothing
    return ("Excellent" if share is not None and share < EXCELLENT_SHARE else "Good"), []


def is_sustained(figures: Figures) -> bool:
    """Return whether the load can go on like this: every goal is met, nothing failed, nothing piles up."""
    return figures.is_clean and not _failed(figures) and not _missed(figures)


def word_for(share: float) -> Word:
    """Return the word for a load that is such a share of the capacity, which is a load that held."""
    if share < EXCELLENT_SHARE:
        return "Excellent"
    if share < GOOD_SHARE:
        return "Good"
    return "Will struggle" if share <= 1 else "Will fail"


def growth(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of a line through points, by least squares; 0 for fewer than three."""
    if len(points) < 3:
        return 0.0
    mean_x, mean_y = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _failed(figures: Figures) -> list[str]:
    reasons = []
    if figures.unsent:
        reasons.append(f"{figures.unsent:,} requests waited so long for a connection that the run was ended early")
    if figures.errors:
        reasons.append(f"{figures.errors:,} requests failed")
    if figures.lag_seconds is not None and figures.lag_seconds > LAG_SECONDS:
        reasons.append(f"processing was {figures.lag_seconds:.1f} s behind at the end (at most {LAG_SECONDS:.0f} s)")
    if figures.lag_growth > LAG_GROWTH_MAX and (figures.lag_seconds or 0.0) > LAG_FLAT_SECONDS:
        reasons.append(f"the lag grew by {figures.lag_growth:.2f} s a second")
    return reasons


def _goals(figures: Figures) -> tuple[tuple[str, float | None, float], ...]:
    return (
        ("acknowledged", figures.accept_p99_ms, ACCEPT_P99_MS),
        ("rank visible", figures.visible_p99_ms, VISIBLE_P99_MS),
        ("reads", figures.read_p99_ms, READ_P99_MS),
    )


def _missed(figures: Figures) -> list[str]:
    return [
        f"{name}: p99 {value:,.0f} ms (below {most:,.0f} ms)"
        for name, value, most in _goals(figures)
        if value is not None and value >= most
    ]
