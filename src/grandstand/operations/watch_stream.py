"""Says that the event stream has lost acknowledged events, at once, and writes it down as soon as PostgreSQL is there.

Several watchers may do so side by side: each says it, and a loss is written down once.
"""

import structlog

from grandstand.operations.stream_memory import StreamMemory, compare
from grandstand.storage.event_stream import EventStream
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory, StreamLoss, StreamMark
from grandstand.telemetry import metrics

_log = structlog.get_logger(__name__)


class StreamWatcher:
    """Looks at the stream of one deployment. `look` needs Valkey alone, `record` both engines."""

    def __init__(self, database: Database, stream: EventStream, history: StreamHistory, memory: StreamMemory) -> None:
        self._database = database
        self._stream = stream
        self._history = history
        self._memory = memory
        self._unwritten: list[StreamLoss] = []
        self._newest_ids: dict[str, int] | None = None

    async def look(self) -> None:
        """Look once, say what is lost, and show how much waits.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach; the next look compares with the same memory.

        """
        try:
            await self._memory.look()
        finally:
            self._tell()
        waiting = await self._stream.depth()
        metrics.STREAM_DEPTH.set(waiting.depth)
        metrics.STREAM_LAG_SECONDS.set(waiting.lag_seconds)

    async def record(self) -> None:
        """Look, compare with what PostgreSQL remembers, write down what is lost and how the stream looks now.

        Raises:
            UnavailableError, valkey.exceptions.ValkeyError: an engine is out of reach; the next call writes the same.

        """
        async with self._database.transaction() as connection:
            mark = await self._history.lock_mark(connection)
            seen = await self._memory.look()
            self._tell()
            for loss in compare(mark, seen):
                # What this process saw for itself is newer than the mark.
                if loss.reason not in {each.reason for each in self._unwritten}:
                    self._memory.note(loss)
                    self._tell()
            # Before the mark says that the stream is as it should be: readers then believe the index again.
            await self._memory.forget_stale_index()
            handled = list(self._unwritten)
            known = await self._history.newest_ids(connection)
            for loss in handled:
                # One written since the last call is another watcher's word of the same loss.
                if self._newest_ids is None or known.get(loss.reason) == self._newest_ids.get(loss.reason):
                    await self._history.add_loss(connection, loss)
            newest_ids = await self._history.newest_ids(connection) if handled else known
            current = StreamMark(seen.incarnation, seen.appended, seen.depth)
            if current != mark:
                await self._history.put_mark(connection, current)
        self._newest_ids = newest_ids
        self._unwritten = self._unwritten[len(handled) :]
        # Only now: what the book no longer tells must be written down.
        await self._stream.correct(seen)

    def _tell(self) -> None:
        for loss in self._memory.take():
            _log.error("stream_lost", reason=loss.reason, events_at_risk=loss.events_at_risk)
            metrics.STREAM_LOSSES.labels(loss.reason).inc()
            self._unwritten.append(loss)
