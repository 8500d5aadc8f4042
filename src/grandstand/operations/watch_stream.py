"""Says that an event stream has lost acknowledged events, at once, and writes it down as soon as PostgreSQL is there.

Several watchers may do so side by side: each says it, and a loss is written down once.
"""

import time

import structlog

from grandstand.operations.stream_memory import StreamMemory, compare
from grandstand.storage.event_stream import StreamDepth
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory, StreamLoss, StreamMark
from grandstand.telemetry import metrics

_log = structlog.get_logger(__name__)


class StreamWatcher:
    """Looks at the streams of one deployment. `look` needs Valkey alone, `record` both engines."""

    def __init__(self, database: Database, streams: EventStreams, history: StreamHistory, memory: StreamMemory) -> None:
        self._database = database
        self._streams = streams
        self._history = history
        self._memory = memory
        self._unwritten: list[StreamLoss] = []
        self._newest_ids: dict[tuple[int, str], int] | None = None
        self._depths: dict[int, StreamDepth] = {}
        self._seen_at: dict[int, float] = {}

    async def look(self) -> None:
        """Look once, say what is lost, and show how much waits: in a stream out of reach what did when last seen.

        Raises:
            valkey.exceptions.ValkeyError: a stream is out of reach; the next look compares with the same memory.

        """
        try:
            await self._memory.look()
        finally:
            self._tell()
            await self._show()

    async def _show(self) -> None:
        found = await self._streams.depths()
        now = time.monotonic()
        self._depths |= found
        self._seen_at |= dict.fromkeys(found, now)
        # What waits out of reach gets older, too.
        lags = [
            depth.lag_seconds + now - self._seen_at[number] if depth.depth else 0.0
            for number, depth in self._depths.items()
        ]
        metrics.STREAM_DEPTH.set(sum(depth.depth for depth in self._depths.values()))
        metrics.STREAM_LAG_SECONDS.set(max(lags, default=0.0))

    async def record(self) -> None:
        """Look, compare with what PostgreSQL remembers, write down what is lost and how the streams look now.

        Raises:
            UnavailableError, valkey.exceptions.ValkeyError: an engine is out of reach; the next call writes the same.
                Of streams within reach everything is written.

        """
        async with self._database.transaction() as connection:
            marks = await self._history.lock_marks(connection)
            self._streams.know(marks.keys())
            seen, problem = await self._memory.look_each()
            self._tell()
            for loss in compare(marks, seen):
                # What this process saw for itself is newer than the mark.
                if _key(loss) not in map(_key, self._unwritten):
                    self._memory.note(loss)
                    self._tell()
            # Before the marks say that the streams are as they should be: readers then believe the index again.
            await self._memory.forget_stale_index()
            handled = list(self._unwritten)
            known = await self._history.newest_ids(connection)
            for loss in handled:
                # One written since the last call is another watcher's word of the same loss.
                if self._newest_ids is None or known.get(_key(loss)) == self._newest_ids.get(_key(loss)):
                    await self._history.add_loss(connection, loss)
            newest_ids = await self._history.newest_ids(connection) if handled else known
            for number, one in seen.items():
                current = StreamMark(one.incarnation, one.appended, one.depth)
                if current != marks.get(number):
                    await self._history.put_mark(connection, number, current)
        self._newest_ids = newest_ids
        self._unwritten = self._unwritten[len(handled) :]
        for number, one in seen.items():
            # Only now: what the book no longer tells must be written down.
            await self._streams[number].correct(one)
        if problem is not None:
            raise problem

    def _tell(self) -> None:
        for loss in self._memory.take():
            _log.error("stream_lost", reason=loss.reason, events_at_risk=loss.events_at_risk, event_stream=loss.stream)
            metrics.STREAM_LOSSES.labels(loss.reason).inc()
            self._unwritten.append(loss)


def _key(loss: StreamLoss) -> tuple[int, str]:
    return loss.stream, loss.reason
