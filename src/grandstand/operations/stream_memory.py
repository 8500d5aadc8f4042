"""What one process remembers of the event stream, so that it notices losses from Valkey's side alone.

The stream is the only thing in Valkey that exists nowhere else. It loses events when somebody deletes it, flushes the
server, restores it from older data, or fails over to a replica that lagged. Valkey itself cannot know that, so every
process that looks keeps what it last saw, PostgreSQL keeps it for those that start later, and the book of the stream
keeps the number of blocks beside the blocks.
"""

import asyncio
from collections import deque

from grandstand import clock
from grandstand.storage.changes import Changes
from grandstand.storage.event_stream import EventStream, Inspection
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.stream_history import StreamLoss, StreamMark

VANISHED = "vanished"
WENT_BACK = "went_back"
BLOCKS_MISSING = "blocks_missing"

_KEPT_MAX = 100
"""Losses that nobody has taken yet: in a process without a watcher they only serve to show the newest."""


class StreamMemory:
    """Looks at the stream and compares it with what this process saw before.

    Where the stream has gone back in time the rank indexes beside it have, too: they are removed before anything else.
    """

    def __init__(self, stream: EventStream, index: RankingIndex, changes: Changes) -> None:
        self._stream = stream
        self._index = index
        self._changes = changes
        self._lock = asyncio.Lock()
        self._last: StreamMark | None = None
        self._missing = (0, 0)
        self._noticed: deque[StreamLoss] = deque(maxlen=_KEPT_MAX)
        self.newest: StreamLoss | None = None
        """The newest loss that this process has noticed."""
        self.is_index_stale = False
        """Whether rank indexes are still to be removed; nothing may be served from them."""
        self.index_losses = 0
        """Losses after which what was read from the rank index before is not to be served."""

    async def look(self) -> Inspection:
        """Look once; what is lost since the last look of this process is there to `take`.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach; the next look compares with the same memory.

        """
        # One at a time: of two looks the older could be taken for a stream that went back.
        async with self._lock:
            seen = await self._stream.inspect()
            missing = (seen.lost_blocks, seen.lost_events)
            found = compare(self._last, seen)
            if missing[0] > self._missing[0] or missing[1] > self._missing[1]:
                found.append(_loss(BLOCKS_MISSING, max(0, missing[1] - self._missing[1])))
            self._last, self._missing = StreamMark(seen.incarnation, seen.appended, seen.depth), missing
            for loss in found:
                self.note(loss)
            await self.forget_stale_index()
        return seen

    def note(self, loss: StreamLoss) -> None:
        """Take in a loss; whoever does calls `forget_stale_index` before it says or writes that all is known."""
        self.newest = loss
        self._noticed.append(loss)
        if loss.reason != BLOCKS_MISSING:
            self.is_index_stale = True
            self.index_losses += 1

    async def forget_stale_index(self) -> None:
        """Remove what may be older than it was, and have readers forget what they made of it.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach; the next look tries again.

        """
        if self.is_index_stale:
            forgotten = await self._index.forget_all()
            if forgotten:
                await self._changes.rankings(forgotten)
            self.is_index_stale = False

    def take(self) -> list[StreamLoss]:
        """Return the losses noticed since the last call."""
        taken = list(self._noticed)
        self._noticed.clear()
        return taken


def compare(mark: StreamMark | None, seen: Inspection) -> list[StreamLoss]:
    """Return what the whole stream has lost since the mark was made; missing blocks are not looked at."""
    if mark is None:
        return []
    if mark.incarnation != seen.incarnation:
        return [_loss(VANISHED, mark.depth)]
    if seen.appended < mark.appended:
        # What is gone of the book had come in since, and most of it was processed: no more can be lost than waited.
        return [_loss(WENT_BACK, min(mark.appended - seen.appended, mark.depth))]
    return []


def _loss(reason: str, events_at_risk: int) -> StreamLoss:
    return StreamLoss(clock.now(), reason, events_at_risk)
