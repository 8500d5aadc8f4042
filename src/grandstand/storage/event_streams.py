"""The event streams of a deployment: one, or on a cluster several, each on a shard of its own.

Events of one write go to one stream, whichever takes them; an event counts once by its id, in however many it is. What
waits is the sum over all streams that were ever registered in PostgreSQL (`stream_history.py`): this process consults
those that it was told of, and writes only to those that are registered.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import TimeoutError as ValkeyTimeoutError
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.domain.events import Event
from grandstand.storage.block_data import pack_block
from grandstand.storage.event_stream import (
    EventStream,
    Inspection,
    NewBlock,
    StreamDepth,
    StreamLimits,
    new_blocks,
)
from grandstand.storage.stream_names import STREAMS_MAX, stream_key
from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.storage.valkey_scripts import ALONE, Replication

_FULL_SECONDS = 0.5
"""How long a stream that is full is passed over while others have room."""

_PROBE_SECONDS = 0.25
"""Pause between two looks whether a stream that was away is back."""

_PATIENCE_SECONDS = 5.0
"""Once a write has taken so long it is sent to no other stream: a cluster that hangs is answered in a bounded time."""

_INSPECT_SECONDS = 4.0
"""Longest wait for one stream while others are looked at: a transaction of PostgreSQL and readers wait, too. A client
of a cluster may try for four time-outs while a server hangs."""

_log = structlog.get_logger(__name__)

Inspected = dict[int, Inspection | Exception]
"""What was seen of each stream, by number; the error of one that is out of reach."""


@dataclass(slots=True, eq=False)
class _Way:
    """A stream that events may be written to, and what this process knows of it."""

    stream: EventStream
    writes: int = 0
    """Writes under way."""
    is_away: bool = False
    full_until: float = 0.0
    """On the monotonic clock."""


class EventStreams:
    """The streams that one process knows. The first is always there; on others it is told by `know`."""

    def __init__(
        self,
        client: Valkey,
        prefix: str,
        limits: StreamLimits = StreamLimits(),  # noqa: B008
        replication: Replication = ALONE,
        *,
        count: int = 1,
        open_client: Callable[[], Valkey] | None = None,
    ) -> None:
        """`count` is how many to write to; each takes its part of the limits.

        `open_client` makes clients, one a stream: what a cluster's does about one shard that is away disturbs what is
        under way to the others.
        """
        self._client = client
        self._prefix = prefix
        self._limits = _part_of(limits, count)
        self._replication = replication
        self._open_client = open_client
        self._clients: list[Valkey] = []
        self._known: dict[int, EventStream] = {}
        self.know([0])
        self._ways = [_Way(self._known[0])]
        self._turn = 0
        self._probes: set[asyncio.Task[None]] = set()

    def __getitem__(self, number: int) -> EventStream:
        """Return a stream; it is known from now on."""
        self.know([number])
        return self._known[number]

    @property
    def known(self) -> list[EventStream]:
        """All streams that this process knows, in order."""
        return [self._known[number] for number in sorted(self._known)]

    def know(self, numbers: Collection[int]) -> None:
        """Take in that there are these streams."""
        for number in numbers:
            if number not in self._known:
                client = self._client
                if self._open_client is not None:
                    client = self._open_client()
                    self._clients.append(client)
                self._known[number] = EventStream(client, self._prefix, self._limits, self._replication, number=number)

    def write_to(self, count: int) -> None:
        """Write to the first so many streams from now on, all of which are registered."""
        self._ways += [_Way(self[number]) for number in range(len(self._ways), count)]

    async def find(self) -> list[int]:
        """Return the streams that have ever had an event, whether registered or not.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        books = [stream_key(self._prefix, number, "book") for number in range(STREAMS_MAX)]
        return [number for number, book in enumerate(books) if await self._client.exists(book)]

    async def close(self) -> None:
        """End what is under way and close the connections of the streams' own."""
        for task in self._probes:
            task.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        for client in self._clients:
            await client.aclose()

    async def append(
        self,
        high: Sequence[Event],
        low: Sequence[Event],
        received_at: datetime,
        traces: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        """Append events to one of the streams in one step, durably; `traces` as for `new_blocks`.

        Raises:
            StreamFullError: as much waits as may wait; nothing was appended.
            UnavailableError: no stream takes them. They may or may not be in some: sending them again with the same ids
                does no harm.
        """
        await self._append(new_blocks(high, low, traces), received_at)

    async def append_encoded(self, priority: int, events: int, data: bytes, received_at: datetime) -> None:
        """Append a block whose `events` events are encoded already, and have their ids.

        Raises:
            StreamFullError, UnavailableError: as for `append`.
        """
        await self._append([NewBlock(priority, events, pack_block(data))], received_at)

    async def _append(self, blocks: Sequence[NewBlock], received_at: datetime) -> None:
        if len(self._ways) == 1:
            await self._ways[0].stream.append_blocks(blocks, received_at)
            return
        began = time.monotonic()
        tried: list[_Way] = []
        full: StreamFullError | None = None
        away: UnavailableError | None = None
        while time.monotonic() - began < _PATIENCE_SECONDS and (way := self._next_way(tried)) is not None:
            tried.append(way)
            way.writes += 1
            try:
                await way.stream.append_blocks(blocks, received_at)
            except StreamFullError as error:
                full, way.full_until = error, time.monotonic() + _FULL_SECONDS
            except UnavailableError as error:
                # They may be in it all the same. In another, too, each counts once: every event has its id by now.
                away = error
                self._give_up(way)
            else:
                self._take_back(way)
                return
            finally:
                way.writes -= 1
        # One that did not answer may have them: then nobody may say that nothing was taken.
        raise away or full or UnavailableError("Events cannot be taken right now; send them again.")

    def _next_way(self, tried: Sequence[_Way]) -> _Way | None:
        """Return where to write next: in turn, to where least is under way; None when no further stream is worth it."""
        now = time.monotonic()
        fit = [way for way in self._ways if way not in tried and not way.is_away and way.full_until <= now]
        if not fit and not tried:
            # Nobody is known to take anything: one of them says so, or takes it.
            fit = [way for way in self._ways if not way.is_away] or self._ways
        if not fit:
            return None
        count = len(self._ways)
        found = min(fit, key=lambda way: (way.writes, (way.stream.number - self._turn) % count))
        self._turn = (found.stream.number + 1) % count
        return found

    def _give_up(self, way: _Way) -> None:
        """Write to others until this one is back, which a write of its own finds out."""
        if way.is_away:
            return
        way.is_away = True
        _log.warning("event_stream_away", stream=way.stream.number)
        task = asyncio.create_task(self._watch(way), name="probe stream")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    def _take_back(self, way: _Way) -> None:
        if way.is_away:
            way.is_away = False
            _log.info("event_stream_back", stream=way.stream.number)

    async def _watch(self, way: _Way) -> None:
        while way.is_away:
            await asyncio.sleep(_PROBE_SECONDS)
            with contextlib.suppress(ValkeyError, *OUT_OF_REACH):
                await way.stream.probe()
                self._take_back(way)

    async def depth(self, numbers: Collection[int] | None = None) -> StreamDepth:
        """Return how far processing is behind: the events of all streams, and the age of the oldest.

        With `numbers` of these streams, else of all that this process knows.

        Raises:
            UnavailableError: one of them is out of reach.
        """
        streams = self.known if numbers is None else [self[number] for number in sorted(numbers)]
        if len(streams) == 1:
            return await streams[0].depth()
        depths = await asyncio.gather(*(stream.depth() for stream in streams))
        return StreamDepth(sum(one.depth for one in depths), max(one.lag_seconds for one in depths))

    async def depths(self) -> dict[int, StreamDepth]:
        """Return the depth of each stream that this process knows and can reach."""
        streams = self.known
        found = await asyncio.gather(*(stream.depth() for stream in streams), return_exceptions=True)
        depths: dict[int, StreamDepth] = {}
        for stream, depth in zip(streams, found, strict=True):
            if isinstance(depth, StreamDepth):
                depths[stream.number] = depth
            elif not isinstance(depth, UnavailableError):
                raise depth
        return depths

    async def inspect(self) -> Inspected:
        """Compare each stream that this process knows with its book; one that says nothing for long is out of reach."""
        streams = self.known
        found = await asyncio.gather(*map(_inspect, streams), return_exceptions=True)
        inspected: Inspected = {}
        for stream, one in zip(streams, found, strict=True):
            if isinstance(one, BaseException) and not isinstance(one, Exception):
                raise one
            inspected[stream.number] = one
        return inspected


async def _inspect(stream: EventStream) -> Inspection:
    try:
        async with asyncio.timeout(_INSPECT_SECONDS):
            return await stream.inspect()
    except TimeoutError as error:
        raise ValkeyTimeoutError(f"The event stream {stream.number} does not answer.") from error


def _part_of(limits: StreamLimits, count: int) -> StreamLimits:
    """Return what one of `count` streams may hold, so that all of them together hold what may wait."""
    return StreamLimits(-(-limits.events // count), -(-limits.size_bytes // count), limits.age_seconds)
