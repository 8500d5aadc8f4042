"""Keeps what people watch: how many events came in and how far processing is behind, for the last ten minutes.

One look every few seconds serves every open overview of the process: watching costs the same for one browser or fifty.
"""

from collections import deque
from datetime import datetime
from typing import NamedTuple

from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.storage.event_streams import EventStreams
from grandstand.telemetry.latencies import LatencyWatch

LOOK_SECONDS = 5.0
_KEPT = 120


class Look(NamedTuple):
    """The streams at one moment. `events_per_second` is the mean since the look before; None where that is unknown.

    The percentiles are of the requests of the last minute, in milliseconds; None without any.
    """

    at: datetime
    appended: int
    depth: int
    lag_seconds: float
    events_per_second: float | None
    accept_p99_ms: float | None = None
    read_p99_ms: float | None = None


class LoadWatch:
    """Looks at the streams for one process; `look` is called by a loop."""

    def __init__(self, streams: EventStreams, latencies: LatencyWatch) -> None:
        """`latencies` knows the groups `accept` and `read`."""
        self._streams = streams
        self._latencies = latencies
        self._looks: deque[Look] = deque(maxlen=_KEPT)

    @property
    def looks(self) -> list[Look]:
        """What was seen, the oldest first; looks while a stream was away are missing."""
        return list(self._looks)

    async def look(self) -> None:
        """Look once."""
        try:
            seen, waiting = await self._streams.inspect(), await self._streams.depth()
        except (ValkeyError, OSError, UnavailableError):
            return
        appended = 0
        for one in seen.values():
            if isinstance(one, Exception):
                return
            appended += one.appended
        now, rate = clock.now(), None
        if self._looks:
            last = self._looks[-1]
            seconds = (now - last.at).total_seconds()
            if seconds > 0 and appended >= last.appended:
                rate = (appended - last.appended) / seconds
        took = self._latencies.look()
        self._looks.append(Look(now, appended, waiting.depth, waiting.lag_seconds, rate, took["accept"], took["read"]))
