"""Notices when the event stream has lost acknowledged events, and says so.

The stream is the only thing in Valkey that exists nowhere else. It loses events when somebody deletes it, flushes the
server, restores it from older data, or fails over to a replica that lagged. Valkey itself cannot know that, so what was
last seen is kept in PostgreSQL, and the number of blocks beside the blocks.
"""

import structlog

from grandstand.storage.event_stream import EventStream, Inspection
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory, StreamMark
from grandstand.telemetry import metrics

Loss = tuple[str, int]
"""Why events are missing, and how many are known to be at risk: what came in since the last look is not among them."""

VANISHED = "vanished"
WENT_BACK = "went_back"
BLOCKS_MISSING = "blocks_missing"

_log = structlog.get_logger(__name__)


class StreamWatcher:
    """Looks at the stream of one deployment; several may do so side by side, and a loss is noticed by one."""

    def __init__(self, database: Database, stream: EventStream, history: StreamHistory) -> None:
        self._database = database
        self._stream = stream
        self._history = history

    async def watch(self) -> None:
        """Look once.

        Raises:
            UnavailableError, valkey.exceptions.ValkeyError: an engine is out of reach; the next look compares with the
                same mark.

        """
        async with self._database.transaction() as connection:
            mark = await self._history.lock_mark(connection)
            seen = await self._stream.inspect()
            losses = find_losses(mark, seen)
            for reason, events in losses:
                # First of all: what the stream says of missing blocks, it says once.
                _log.error("stream_lost", reason=reason, events_at_risk=events, blocks_missing=seen.lost_blocks)
                metrics.STREAM_LOSSES.labels(reason).inc()
                await self._history.add_loss(connection, reason, events)
            current = StreamMark(seen.incarnation, seen.appended, seen.depth)
            if current != mark:
                await self._history.put_mark(connection, current)


def find_losses(mark: StreamMark | None, seen: Inspection) -> list[Loss]:
    """Return what the stream has lost since the mark was made."""
    losses: list[Loss] = []
    if mark is not None and mark.incarnation != seen.incarnation:
        losses.append((VANISHED, mark.depth))
    elif mark is not None and seen.appended < mark.appended:
        losses.append((WENT_BACK, mark.appended - seen.appended))
    if seen.lost_blocks or seen.lost_events:
        losses.append((BLOCKS_MISSING, seen.lost_events))
    return losses
