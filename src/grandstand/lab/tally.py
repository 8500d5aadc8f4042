"""Latencies as HDR histograms: in steps of ten microseconds up to two minutes, exact to three digits."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

_MICROSECONDS_MAX = 120_000_000
_STEP_MICROSECONDS = 10
"""Measured latencies are rounded up to so much: what reports show, and few enough values to be entered together."""

_STEPS_A_SECOND = 1_000_000 / _STEP_MICROSECONDS


def histogram() -> HdrHistogram:
    """Return an empty histogram."""
    return HdrHistogram(1, _MICROSECONDS_MAX, 3)


def percentile_ms(found: HdrHistogram | None, percent: float) -> float | None:
    """Return a percentile in milliseconds, to a hundredth; None when nothing was recorded."""
    if found is None or not found.get_total_count():
        return None
    return round(float(found.get_value_at_percentile(percent)) / 1000, 2)


class Latencies:
    """What one process measures, by name. Noting costs next to nothing; `take` puts it into histograms, all at once."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, name: str, seconds: float) -> None:
        """Note one latency."""
        self._seconds[name].append(seconds)

    def take(self) -> dict[str, bytes]:
        """Return what was noted since the last time as encoded histograms, to be sent elsewhere."""
        noted, self._seconds = self._seconds, defaultdict(list)
        taken = {}
        for name, many in noted.items():
            found = histogram()
            for steps, count in Counter([int(seconds * _STEPS_A_SECOND) for seconds in many]).items():
                found.record_value(min(_MICROSECONDS_MAX, (steps + 1) * _STEP_MICROSECONDS), count)
            taken[name] = found.encode()
        return taken


class Tally:
    """Histograms by name, put together from what processes measured."""

    def __init__(self) -> None:
        self.histograms: dict[str, HdrHistogram] = {}

    def add(self, encoded: dict[str, bytes]) -> None:
        """Add what a process measured."""
        for name, code in encoded.items():
            if name not in self.histograms:
                self.histograms[name] = histogram()
            self.histograms[name].decode_and_add(code)

    def merged(self, names: Iterable[str]) -> HdrHistogram | None:
        """Return the sum of some; None when nothing was recorded."""
        whole = None
        for name in names:
            if name in self.histograms:
                whole = whole or histogram()
                whole.add(self.histograms[name])
        return whole

    def p_ms(self, name: str, percent: float) -> float | None:
        """Return a percentile in milliseconds; None when nothing was recorded."""
        return percentile_ms(self.histograms.get(name), percent)

    def count(self, name: str) -> int:
        """Return how many were recorded."""
        found = self.histograms.get(name)
        return int(found.get_total_count()) if found is not None else 0
