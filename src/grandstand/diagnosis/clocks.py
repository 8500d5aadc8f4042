"""Clocks: periods, tournaments and leases are judged by several machines' time."""

from datetime import datetime, timedelta

from grandstand.diagnosis.advice import Advice, judged

SKEW_MAX_SECONDS = 1.0


def look_at_clock(check: str, there: datetime, asked_at: datetime, answered_at: datetime) -> Advice:
    """Judge another machine's clock by what it said between two moments of ours."""
    ahead_seconds = max((there - answered_at) / timedelta(seconds=1), (asked_at - there) / timedelta(seconds=1), 0.0)
    return judged(
        check,
        ahead_seconds <= SKEW_MAX_SECONDS,
        f"Its clock and ours differ by {ahead_seconds:.1f} s." if ahead_seconds else "Its clock agrees with ours.",
        "Let both machines take their time from NTP (chrony, systemd-timesyncd).",
    )
