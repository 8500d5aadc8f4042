"""Latencies as HDR histograms: microseconds up to two minutes, exact to three digits."""

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

_MICROSECONDS_MAX = 120_000_000


def histogram() -> HdrHistogram:
    """Return an empty histogram."""
    return HdrHistogram(1, _MICROSECONDS_MAX, 3)


class Tally:
    """Histograms by name."""

    def __init__(self) -> None:
        self.histograms: dict[str, HdrHistogram] = {}

    def record(self, name: str, seconds: float) -> None:
        """Record one latency."""
        found = self.histograms.get(name)
        if found is None:
            found = self.histograms[name] = histogram()
        found.record_value(min(_MICROSECONDS_MAX, max(1, int(seconds * 1e6))))

    def add(self, encoded: dict[str, bytes]) -> None:
        """Add what another tally recorded."""
        for name, code in encoded.items():
            if name not in self.histograms:
                self.histograms[name] = histogram()
            self.histograms[name].decode_and_add(code)

    def encoded(self) -> dict[str, bytes]:
        """Return the histograms to be sent elsewhere."""
        return {name: found.encode() for name, found in self.histograms.items()}

    def merged(self, names: Iterable[str]) -> HdrHistogram | None:
        """Return the sum of some; None when nothing was recorded."""
        whole = None
        for name in names:
            if name in self.histograms:
                whole = whole or histogram()
                whole.add(self.histograms[name])
        return whole

    def p_ms(self, name: str, percent: float) -> float:
        """Return a percentile in milliseconds; 0 when nothing was recorded."""
        found = self.histograms.get(name)
        return float(found.get_value_at_percentile(percent)) / 1000 if found is not None else 0.0

    def count(self, name: str) -> int:
        """Return how many were recorded."""
        found = self.histograms.get(name)
        return int(found.get_total_count()) if found is not None else 0
