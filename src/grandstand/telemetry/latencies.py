"""How long requests take right now, from the histograms that Prometheus is served."""

import math
from collections import deque
from collections.abc import Callable, Mapping

from grandstand.telemetry.metrics import HTTP_REQUEST_SECONDS
from grandstand.telemetry.shared_series import read_series

LOOKS = 12
"""A percentile is of what happened since so many looks ago."""

_P99 = 0.99
_MILLISECONDS = 1000

Counts = dict[float, float]
"""Requests that took at most so many seconds."""


class LatencyWatch:
    """Computes the 99th percentile of groups of routes over the last `LOOKS` looks."""

    def __init__(self, groups: Mapping[str, Callable[[str], bool]]) -> None:
        """Watch `groups`: each says which routes belong to it."""
        self._groups = groups
        self._seen: deque[dict[str, Counts]] = deque(maxlen=LOOKS + 1)

    def look(self) -> dict[str, float | None]:
        """Look once, and return the percentile of each group in milliseconds; None where nothing was asked."""
        self._seen.append(self._count())
        first, last = self._seen[0], self._seen[-1]
        return {name: _p99_ms(first[name], last[name]) for name in self._groups}

    def _count(self) -> dict[str, Counts]:
        counts: dict[str, Counts] = {name: {} for name in self._groups}
        for sample in read_series(HTTP_REQUEST_SECONDS, "histogram"):
            if not sample.name.endswith("_bucket"):
                continue
            for name, belongs in self._groups.items():
                if belongs(sample.labels["route"]):
                    limit = float(sample.labels["le"])
                    counts[name][limit] = counts[name].get(limit, 0.0) + sample.value
        return counts


def _p99_ms(before: Counts, now: Counts) -> float | None:
    """Return the percentile of what came between two counts; within a bucket times are taken to be spread evenly."""
    limits = sorted(now)
    counts = [now[limit] - before.get(limit, 0.0) for limit in limits]
    if not counts or counts[-1] <= 0:
        return None
    wanted = _P99 * counts[-1]
    low_limit, low_count = 0.0, 0.0
    for limit, count in zip(limits, counts, strict=True):
        if count >= wanted:
            if math.isinf(limit):
                break
            share = (wanted - low_count) / (count - low_count) if count > low_count else 1.0
            return _MILLISECONDS * (low_limit + share * (limit - low_limit))
        low_limit, low_count = limit, count
    return _MILLISECONDS * low_limit
