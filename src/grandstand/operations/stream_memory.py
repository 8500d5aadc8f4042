"""What one process remembers of the event streams, so that it notices losses from Valkey's side alone.

The streams are the only thing in Valkey that exists nowhere else. One loses events when somebody deletes it, flushes
its server, restores it from older data, or fails over to a replica that lagged. Valkey itself cannot know that, so
every process that looks keeps what it last saw, PostgreSQL keeps it for those that start later, and the book of each
stream keeps the number of blocks beside the blocks.
"""

import asyncio
from collections import deque
from collections.abc import Mapping

from grandstand import clock
from grandstand.storage.changes import Changes
from grandstand.storage.event_stream import Inspection
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.stream_history import Marks, StreamLoss, StreamMark

VANISHED = "vanished"
WENT_BACK = "went_back"
BLOCKS_MISSING = "blocks_missing"

_KEPT_MAX = 100
"""Losses that nobody has taken yet: in a process without a watcher they only serve to show the newest."""


class StreamMemory:
    """Looks at the streams and compares each with what this process saw before.

    Where a stream has gone back in time the rank indexes beside it, on its server, have, too: they are removed before
    anything else.
    """

    def __init__(self, streams: EventStreams, index: RankingIndex, changes: Changes) -> None:
        self._streams = streams
        self._index = index
        self._changes = changes
        self._lock = asyncio.Lock()
        self._last: dict[int, StreamMark] = {}
        self._missing: dict[int, tuple[int, int]] = {}
        self._stale: set[int] = set()
        self._noticed: deque[StreamLoss] = deque(maxlen=_KEPT_MAX)
        self.newest: StreamLoss | None = None
        """The newest loss that this process has noticed."""
        self.index_losses = 0
        """Losses after which what was read from the rank index before is not to be served."""

    @property
    def is_index_stale(self) -> bool:
        """Whether rank indexes are still to be removed; nothing may be served from any of them meanwhile."""
        return bool(self._stale)

    async def look(self) -> dict[int, Inspection]:
        """Look at all streams once; what is lost since the last look of this process is there to `take`.

        Raises:
            valkey.exceptions.ValkeyError: a stream is out of reach; the others are looked at all the same, and the next
                look at that one compares with the same memory.

        """
        seen, problem = await self.look_each()
        if problem is not None:
            raise problem
        return seen

    async def look_each(self) -> tuple[dict[int, Inspection], Exception | None]:
        """Look as `look` does; return what was seen of the streams within reach, and why others are not."""
        # One at a time: of two looks the older could be taken for a stream that went back.
        async with self._lock:
            seen: dict[int, Inspection] = {}
            problem: Exception | None = None
            for number, found in (await self._streams.inspect()).items():
                if isinstance(found, Exception):
                    problem = found
                else:
                    seen[number] = found
                    self._take_in(number, found)
            await self.forget_stale_index()
        return seen, problem

    def _take_in(self, number: int, seen: Inspection) -> None:
        found = compare({number: self._last.get(number)}, {number: seen})
        before, missing = self._missing.get(number, (0, 0)), (seen.lost_blocks, seen.lost_events)
        if missing[0] > before[0] or missing[1] > before[1]:
            found.append(_loss(BLOCKS_MISSING, max(0, missing[1] - before[1]), number))
        self._last[number] = StreamMark(seen.incarnation, seen.appended, seen.depth)
        self._missing[number] = missing
        for loss in found:
            self.note(loss)

    def note(self, loss: StreamLoss) -> None:
        """Take in a loss; whoever does calls `forget_stale_index` before it says or writes that all is known."""
        self.newest = loss
        self._noticed.append(loss)
        if loss.reason != BLOCKS_MISSING:
            self._stale.add(loss.stream)
            self.index_losses += 1

    async def forget_stale_index(self) -> None:
        """Remove what may be older than it was, and have readers forget what they made of it.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach; the next look tries again.

        """
        for number in sorted(self._stale):
            # Each server holds its own data, and one with a stream tells for itself whether it is older. Of others
            # nobody knows: where a whole cluster was restored, this is the only sign.
            others = [stream.keys[0] for stream in self._streams.known if stream.number != number]
            forgotten = await self._index.forget_beside(self._streams[number].keys[0], others)
            if forgotten:
                await self._changes.rankings(forgotten)
            self._stale.discard(number)

    def take(self) -> list[StreamLoss]:
        """Return the losses noticed since the last call."""
        taken = list(self._noticed)
        self._noticed.clear()
        return taken


def compare(marks: Marks, seen: Mapping[int, Inspection]) -> list[StreamLoss]:
    """Return what whole streams have lost since the marks were made; missing blocks are not looked at."""
    found = []
    for number, one in seen.items():
        mark = marks.get(number)
        if mark is None:
            continue
        if mark.incarnation != one.incarnation:
            found.append(_loss(VANISHED, mark.depth, number))
        elif one.appended < mark.appended:
            # What is gone of the book had come in since, and most of it was processed: no more can be lost than waited.
            found.append(_loss(WENT_BACK, min(mark.appended - one.appended, mark.depth), number))
    return found


def _loss(reason: str, events_at_risk: int, number: int) -> StreamLoss:
    return StreamLoss(clock.now(), reason, events_at_risk, number)
