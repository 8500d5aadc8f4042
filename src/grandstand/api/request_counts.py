"""Counts requests by route and status: in plain numbers first, which are handed to the metrics together.

Counting into four series costs several microseconds a request, most of it for locks and for the files that processes
share; a page from memory costs little more in all.
"""

import asyncio
from bisect import bisect_left

from grandstand.telemetry.metrics import FAST_SECONDS, HTTP_REQUEST_SECONDS, HTTP_REQUESTS, flush_pending, note_pending

FLUSH_SECONDS = 0.25
"""Longest time until what requests have counted is seen by other processes; this one's own `/metrics` always has it."""


class RequestCounts:
    """The counts of one process. Routes are templates and statuses are few, so their number is bounded."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, int], _Tally] = {}
        self._timer: asyncio.TimerHandle | None = None
        note_pending(self)

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one request; called in the event loop."""
        tally = self._tallies.get((route, status))
        if tally is None:
            tally = self._tallies[route, status] = _Tally(route, status)
        tally.seconds += seconds
        tally.counts[bisect_left(FAST_SECONDS, seconds)] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, flush_pending)

    def flush(self) -> None:
        """Hand what was counted to the metrics."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for tally in self._tallies.values():
            tally.flush()


class _Tally:
    __slots__ = ("_counter", "_histogram", "counts", "seconds")

    def __init__(self, route: str, status: int) -> None:
        self._counter = HTTP_REQUESTS.labels(route, str(status))
        self._histogram = HTTP_REQUEST_SECONDS.labels(route)
        self._clear()

    def _clear(self) -> None:
        self.counts = [0] * (len(FAST_SECONDS) + 1)
        self.seconds = 0.0

    def flush(self) -> None:
        if any(self.counts):
            self._counter.inc(sum(self.counts))
            self._histogram.add(self.counts, self.seconds)
            self._clear()
