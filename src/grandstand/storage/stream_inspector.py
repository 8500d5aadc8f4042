"""Looks at the event stream from outside: what is in it, who holds it, and for how long."""

from typing import Any, NamedTuple

from valkey.asyncio import Valkey
from valkey.exceptions import ResponseError

from grandstand.storage.block_data import unpack_block
from grandstand.storage.event_stream import GROUP, EventStream
from grandstand.storage.valkey_scripts import Script

_BLOCKS_READ_MAX = 64
"""Blocks that are read inside the server: a block may be a mebibyte, and other clients wait meanwhile."""


class StreamCounts(NamedTuple):
    """The streams at one moment. `events` is None while there are too many blocks to count them."""

    blocks: int
    events: int | None
    depth: int


class HeldBlock(NamedTuple):
    """A delivery that is not acknowledged."""

    stream: str
    block_id: str
    consumer: str
    idle_seconds: float
    deliveries: int


class StreamInspector:
    """Reads the streams of one deployment and changes nothing. Raises `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, stream: EventStream) -> None:
        self._client = client
        self._keys = stream.keys
        self.streams = stream.keys[:2]
        """Names of both streams."""
        self._count = Script("count_stream.lua")

    async def counts(self) -> StreamCounts:
        """Return what is in the streams and what the count of unprocessed events says, at one moment."""
        blocks, events, depth = await self._count.run(self._client, self._keys, [_BLOCKS_READ_MAX])
        return StreamCounts(blocks, None if events < 0 else events, depth)

    async def held(self, stream: str, idle_seconds: float, count_max: int) -> list[HeldBlock]:
        """Return deliveries that are not acknowledged and that nobody has touched for `idle_seconds`, oldest first."""
        rows = await self._client.xpending_range(
            stream, GROUP, min="-", max="+", count=count_max, idle=int(idle_seconds * 1000)
        )
        return [
            HeldBlock(
                stream,
                row["message_id"].decode(),
                row["consumer"].decode(errors="replace"),
                row["time_since_delivered"] / 1000,
                row["times_delivered"],
            )
            for row in rows
        ]

    async def is_held(self, stream: str, block_id: str) -> bool:
        """Return whether a block is delivered to somebody who has not acknowledged it."""
        return bool(await self._client.xpending_range(stream, GROUP, min=block_id, max=block_id, count=1))

    async def last_delivered(self, stream: str) -> tuple[int, int] | None:
        """Return the id up to which blocks were delivered; None without a stream, or without its consumer group."""
        try:
            groups = await self._client.xinfo_groups(stream)
        except ResponseError:
            return None
        return next((read_id(group["last-delivered-id"]) for group in groups if group["name"] == GROUP.encode()), None)

    async def length(self, stream: str) -> int:
        """Return how many blocks are in a stream."""
        count: int = await self._client.xlen(stream)
        return count

    async def oldest(self, stream: str, count_max: int) -> list[str]:
        """Return the ids of the oldest blocks of a stream."""
        return [block_id.decode() for block_id, _ in await self._client.xrange(stream, count=count_max)]

    async def data(self, stream: str, block_id: str) -> bytes | None:
        """Return the events of a block, for `decode_events`; None when it is not in the stream any more."""
        found: Any = await self._client.xrange(stream, min=block_id, max=block_id, count=1)
        return unpack_block(found[0][1][b"e"]) if found else None


def read_id(block_id: bytes | str) -> tuple[int, int]:
    """Return a block's id as numbers that compare like it."""
    text = block_id.decode() if isinstance(block_id, bytes) else block_id
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number or 0)
