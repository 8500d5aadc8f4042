"""What a run says about the load it had: the goals it is held to, and the words for how much room is left."""

from typing import Literal

import msgspec

ACCEPT_P99_MS = 100.0
VISIBLE_P99_MS = 1_000.0
READ_P99_MS = 50.0
LAG_SECONDS = 5.0

Verdict = Literal["Excellent", "Good", "Will struggle", "Will fail"]

EXCELLENT_SHARE = 0.25
GOOD_SHARE = 0.85


class Figures(msgspec.Struct):
    """What a verdict needs. `load_share` is how much of the scarcest resource was used, 0 to 1; None when unknown."""

    accept_p99_ms: float
    visible_p99_ms: float
    read_p99_ms: float
    errors: int
    lag_seconds: float | None
    is_clean: bool
    load_share: float | None


def judge(figures: Figures) -> tuple[Verdict, list[str]]:
    """Return the verdict and, where it is not the best, why."""
    reasons = []
    if not figures.is_clean:
        reasons.append("the auditor found what is not as promised")
    if figures.errors:
        reasons.append(f"{figures.errors:,} requests failed")
    if figures.lag_seconds is not None and figures.lag_seconds > LAG_SECONDS:
        reasons.append(f"processing was {figures.lag_seconds:.1f} s behind at the end (at most {LAG_SECONDS:.0f} s)")
    if reasons:
        return "Will fail", reasons
    for name, value, most in (
        ("acknowledged", figures.accept_p99_ms, ACCEPT_P99_MS),
        ("rank visible", figures.visible_p99_ms, VISIBLE_P99_MS),
        ("reads", figures.read_p99_ms, READ_P99_MS),
    ):
        if value > most:
            reasons.append(f"{name}: p99 {value:,.0f} ms (below {most:,.0f} ms)")
    share = figures.load_share
    if share is not None and share >= GOOD_SHARE:
        reasons.append(f"{share:.0%} of the scarcest resource is used")
    if reasons:
        return "Will struggle", reasons
    if share is not None and share < EXCELLENT_SHARE:
        return "Excellent", []
    return "Good", []
