"""An event stream: acknowledged events wait here, durably, until a worker has stored and ranked them.

Two Valkey streams, one a priority, read by one consumer group. An entry is a *block*: all events of one write, encoded
once by ingest and decoded once by the worker, compressed on the way (block_data.py). A deployment has one of these, or
on a cluster several (event_streams.py).
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from valkey.asyncio import Valkey
from valkey.exceptions import OutOfMemoryError, ResponseError

from grandstand import clock
from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.domain.events import Event, encode_events
from grandstand.domain.ranking import to_microseconds
from grandstand.storage.block_data import pack_block, unpack_block
from grandstand.storage.stream_entries import read_entry, received_at_of
from grandstand.storage.stream_names import stream_key
from grandstand.storage.valkey_errors import OUT_OF_REACH, is_passing
from grandstand.storage.valkey_scripts import ALONE, Argument, Replication, Script
from grandstand.storage.valkey_servers import ask_primaries, run_replicated

HIGH, LOW = 0, 1
PRIORITY_NAMES = ("high", "low")
GROUP = "workers"
"""Name of the consumer group, for those who look at it from outside."""

_BEGINNING = b"0-0"
_RENEW_MAX = 500
"""Blocks of one call: while a script runs, nobody else is served."""
_FULL = {
    b"events": "As many events wait to be processed as may wait; send these again later.",
    b"bytes": "The events that wait to be processed take as much memory as they may; send these again later.",
    b"age": "Events have been waiting for too long to be processed; send these again later.",
}
_BLOCK_OVERHEAD_BYTES = 128
"""What a block costs beyond its events, roughly."""

_RELEASED_IDLE_MILLISECONDS = 86_400_000
_RELEASED_BLOCKS_MAX = 10_000
_AGE_LOOK_SECONDS = 1.0
"""How long a process trusts that the oldest block is not too old: the look copies that block inside the server."""


class NotDurableError(Exception):
    """The server would acknowledge writes before they are on disk."""


class Block(NamedTuple):
    """One delivery: the events of one write. `priority` is `HIGH` or `LOW`; `data` is for `decode_events`.

    `kept_bytes` is the length of what the stream keeps of it, which may be less than that of `data`.
    `traces` names spans of requests whose events these are, as `telemetry.traces.join` made it. `stream` is the number
    of the stream that it came from: ids repeat between streams.
    """

    priority: int
    block_id: bytes
    events: int
    received_at: datetime
    data: bytes
    kept_bytes: int
    traces: bytes = b""
    stream: int = 0


class NewBlock(NamedTuple):
    """A block before it is in a stream; `kept` is as `pack_block` made it, the rest as in `Block`."""

    priority: int
    events: int
    kept: bytes
    traces: bytes = b""


class StreamDepth(NamedTuple):
    """How far processing is behind: events that are not processed yet, and the age of the oldest."""

    depth: int
    lag_seconds: float


class StreamLimits(NamedTuple):
    """What may wait at most; beyond it nothing is taken."""

    events: int = 5_000_000
    size_bytes: int = 536_870_912
    age_seconds: float = 86_400.0


class Inspection(NamedTuple):
    """The stream as its book has it.

    `incarnation` is another one after the whole stream was lost; `appended` counts all events that ever came in, so it
    only ever falls when the server has gone back in time. `missing` holds blocks, events and bytes that have vanished,
    three for each stream, until `EventStream.correct` takes them out of the book.
    """

    incarnation: str
    appended: int
    depth: int
    missing: tuple[int, ...]

    @property
    def lost_blocks(self) -> int:
        """How many blocks have vanished."""
        return sum(self.missing[0::3])

    @property
    def lost_events(self) -> int:
        """How many events have vanished; 0 of a stream of which only a part of the blocks is missing."""
        return sum(self.missing[1::3])


def new_blocks(high: Sequence[Event], low: Sequence[Event], traces: tuple[bytes, bytes] = (b"", b"")) -> list[NewBlock]:
    """Return events as blocks, one a priority; `traces` is `Block.traces` of that of high and that of low priority."""
    return [
        NewBlock(priority, len(events), pack_block(encode_events(list(events))), traces[priority])
        for priority, events in ((HIGH, high), (LOW, low))
        if events
    ]


class EventStream:
    """Appends, delivers and acknowledges blocks of one stream."""

    def __init__(
        self,
        client: Valkey,
        prefix: str,
        limits: StreamLimits = StreamLimits(),  # noqa: B008
        replication: Replication = ALONE,
        *,
        number: int = 0,
    ) -> None:
        self.number = number
        """Which of the deployment's streams it is."""
        self._client = client
        self._replication = replication
        self._limits = limits
        self._next_age_look = 0.0
        self._streams = (stream_key(prefix, number, "high"), stream_key(prefix, number, "low"))
        self._depth_key = stream_key(prefix, number, "depth")
        self._book_key = stream_key(prefix, number, "book")
        self._append = Script("append.lua")
        self._inspect = Script("inspect_stream.lua")
        self._correct = Script("correct_stream.lua")
        self._acknowledge = Script("acknowledge.lua")
        self._renew = Script("renew.lua")
        self._forget_idle = Script("forget_idle.lua")
        self._release = Script("release.lua")

    @property
    def keys(self) -> tuple[str, str, str]:
        """The stream of high priority, that of low priority, and the count of events not yet processed."""
        return (*self._streams, self._depth_key)

    async def append(self, high: Sequence[Event], low: Sequence[Event], received_at: datetime) -> None:
        """Append events in one step; see `append_blocks`."""
        await self.append_blocks(new_blocks(high, low), received_at)

    async def append_blocks(self, blocks: Sequence[NewBlock], received_at: datetime) -> None:
        """Append blocks in one step; when this returns they are on disk (the server syncs before it replies).

        They are then on the disks of as many replicas as there must be, too.

        Raises:
            StreamFullError: as much waits as may wait; nothing was appended.
            UnavailableError: the stream is out of reach or slow. The events may or may not be in it: they may be sent
                again, to this stream or another, for each has an id by now and counts once.

        """
        now = time.monotonic()
        looks_at_age = now >= self._next_age_look
        arguments: list[Argument] = [
            to_microseconds(received_at),
            self._limits.events,
            self._limits.size_bytes,
            int(self._limits.age_seconds * 1000) if looks_at_age else 0,
        ]
        for priority, events, kept, traces in blocks:
            arguments += (priority + 1, events, _size_bytes(len(kept), traces), kept, traces)
        keys = (*self._streams, self._depth_key, self._book_key)
        try:
            limit: bytes = await self._append.run_replicated(self._client, keys, arguments, *self._replication)
        except (*OUT_OF_REACH, OutOfMemoryError) as error:
            raise UnavailableError("Events cannot be taken right now; send them again.") from error
        except ResponseError as error:
            if is_passing(error):
                raise UnavailableError("Events cannot be taken right now; send them again.") from error
            raise
        if limit:
            raise StreamFullError(_FULL[limit])
        if looks_at_age:
            self._next_age_look = now + _AGE_LOOK_SECONDS

    async def inspect(self) -> Inspection:
        """Compare the streams with their book.

        Raises:
            valkey.exceptions.ValkeyError: the server is out of reach.

        """
        keys = (*self._streams, self._depth_key, self._book_key)
        incarnation, appended, depth, *missing = await self._inspect.run(self._client, keys, [uuid4().hex])
        return Inspection(incarnation.decode(), appended, depth, tuple(missing))

    async def correct(self, seen: Inspection) -> None:
        """Take what an inspection found missing out of the book; doing it twice counts once.

        Raises:
            valkey.exceptions.ValkeyError: the server is out of reach.

        """
        await self._correct.run(self._client, (*self._streams, self._depth_key, self._book_key), seen.missing)

    async def probe(self) -> None:
        """Write something that changes nothing, as durably as events.

        Raises:
            valkey.exceptions.ValkeyError: the stream cannot take events.
        """
        # Every probe changes the value: what changes nothing is not sent to replicas, and nothing waits for them.
        if self._replication.replicas:
            command = ("HINCRBY", self._book_key, "probes", 1)
            await run_replicated(self._client, self._book_key, command, *self._replication)
        else:
            await self._client.hincrby(self._book_key, "probes", 1)  # type: ignore[misc]

    async def check_durable(self) -> None:
        """Make sure that the server syncs every write to disk before it replies.

        Raises:
            NotDurableError: it does not; acknowledged events could be lost.
            valkey.exceptions.ValkeyError: the server is out of reach.

        """
        try:
            found = await ask_primaries(self._client, "CONFIG GET", "append*")
        except ResponseError:
            # A hosted server that hides its configuration is its operator's promise.
            return
        if any((held.get("appendonly"), held.get("appendfsync")) != ("yes", "always") for held in found):
            raise NotDurableError(
                "Valkey must run with `appendonly yes` and `appendfsync always`: acknowledged events live there until "
                "they are stored."
            )

    async def create_group(self) -> None:
        """Create the streams and their consumer group where they are missing."""
        for stream in self._streams:
            try:
                await self._client.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except OutOfMemoryError:
                # A full server does not even say that the group is there. When it is not, reading fails.
                continue
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def read(self, consumer: str, priority: int, blocks_max: int) -> list[Block]:
        """Deliver up to `blocks_max` new blocks of one priority; none when there are none."""
        return await self._read(consumer, {self._streams[priority]: ">"}, blocks_max, None)

    async def wait(self, consumer: str, seconds: float) -> list[Block]:
        """Wait up to `seconds` for a new block of either priority and deliver it."""
        return await self._read(consumer, dict.fromkeys(self._streams, ">"), 1, max(1, int(seconds * 1000)))

    async def claim_stalled(self, consumer: str, idle_seconds: float, blocks_max: int) -> list[Block]:
        """Take over blocks whose worker has not finished them within `idle_seconds`, up to `blocks_max` a priority."""
        blocks: list[Block] = []
        for priority, stream in enumerate(self._streams):
            start: bytes | None = _BEGINNING
            # One call looks at a part of the deliveries only: those of busy workers may fill it.
            while start is not None and len(blocks) < blocks_max * (priority + 1):
                reply = await self._client.xautoclaim(
                    stream,
                    GROUP,
                    consumer,
                    min_idle_time=int(idle_seconds * 1000),
                    start_id=start,
                    count=blocks_max * (priority + 1) - len(blocks),
                )
                blocks += [self._block(priority, entry) for entry in reply[1]]
                start = None if reply[0] == _BEGINNING else reply[0]
        return blocks

    async def renew(self, consumer: str, blocks: Sequence[Block]) -> None:
        """Say that `consumer` is still at these deliveries, so that nobody claims them as stalled."""
        for priority, stream in enumerate(self._streams):
            ids = [block.block_id for block in blocks if block.priority == priority]
            for start in range(0, len(ids), _RENEW_MAX):
                arguments: list[Argument] = [GROUP, consumer, *ids[start : start + _RENEW_MAX]]
                await self._renew.run(self._client, (stream,), arguments)

    async def acknowledge(self, blocks: Sequence[Block]) -> None:
        """Take processed blocks out of the stream. Doing it twice counts once."""
        calls = []
        for priority, stream in enumerate(self._streams):
            mine = [block for block in blocks if block.priority == priority]
            if mine:
                arguments: list[Argument] = [GROUP, priority + 1]
                for block in mine:
                    arguments += (block.block_id, block.events, _size_bytes(block.kept_bytes, block.traces))
                calls.append(((stream, self._depth_key, self._book_key), arguments))
        await self._acknowledge.run_many(self._client, calls)

    async def release(self, consumer: str) -> int:
        """Let other workers take over at once what this one holds; return how many blocks that is."""
        arguments = (GROUP, consumer, _RELEASED_IDLE_MILLISECONDS, _RELEASED_BLOCKS_MAX)
        return sum([await self._release.run(self._client, (stream,), arguments) for stream in self._streams])

    async def forget_idle_consumers(self, idle_seconds: float) -> None:
        """Remove the names of workers that are gone and hold nothing."""
        for stream in self._streams:
            await self._forget_idle.run(self._client, (stream,), (GROUP, int(idle_seconds * 1000)))

    async def depth(self) -> StreamDepth:
        """Return how far processing is behind.

        Raises:
            UnavailableError: the stream is out of reach.

        """
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.get(self._depth_key)
                for stream in self._streams:
                    pipe.xrange(stream, count=1)
                count, *oldest = await pipe.execute()
        except OUT_OF_REACH as error:
            raise UnavailableError("The event stream cannot be reached right now.") from error
        received = [received_at_of(block_id, fields) for entries in oldest for block_id, fields in entries]
        lag_seconds = max(0.0, (clock.now() - min(received)).total_seconds()) if received else 0.0
        return StreamDepth(max(0, int(count or 0)), round(lag_seconds, 3))

    async def _read(
        self, consumer: str, streams: dict[str, str], blocks_max: int, block_milliseconds: int | None
    ) -> list[Block]:
        reply = await self._client.xreadgroup(
            GROUP,
            consumer,
            streams,
            count=blocks_max,
            block=block_milliseconds,
        )
        names = [stream.encode() for stream in self._streams]
        return [self._block(names.index(stream), entry) for stream, entries in reply or [] for entry in entries]

    def _block(self, priority: int, entry: Any) -> Block:
        block_id, fields = entry
        found = read_entry(block_id, fields)
        return Block(
            priority, block_id, found.events, found.received_at, unpack_block(found.kept), len(found.kept),
            found.traces, self.number,
        )  # fmt: skip


def _size_bytes(kept_bytes: int, traces: bytes) -> int:
    return kept_bytes + len(traces) + _BLOCK_OVERHEAD_BYTES
