"""Marks on blocks that were taken over from a dead worker, so that one whose processing kills is found.

A mark is written before a block is tried and goes when it is done. A mark that is found at a take-over therefore says
what its worker was doing when it died: trying the block among others, by itself, or one certain event of it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
from valkey.asyncio import Valkey

from grandstand.storage.event_stream import Block

_EXPIRY_SECONDS = 86_400
"""A mark is of use for seconds. What a crash between acknowledgement and removal leaves goes by itself."""


class Mark(NamedTuple):
    """How a block was tried, and the places of its events that killed a worker or are being tried right now."""

    stage: Literal["together", "alone", "events"]
    places: tuple[int, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Mark).decode


class TrialMarks:
    """Reads and writes the marks of one deployment. Every method may raise `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._key = f"{prefix}:{{events}}:trials"

    async def read(self, blocks: Sequence[Block]) -> list[Mark | None]:
        """Return the mark of each block."""
        found = await self._client.hmget(self._key, [_field(block) for block in blocks])  # type: ignore[misc]
        return [None if text is None else _decode(text) for text in found]

    async def put(self, marks: Mapping[Block, Mark]) -> None:
        """Mark blocks; when this returns the marks are on disk."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._key, mapping={_field(block): _encode(mark) for block, mark in marks.items()})
            pipe.expire(self._key, _EXPIRY_SECONDS)
            await pipe.execute()

    async def clear(self, blocks: Sequence[Block]) -> None:
        """Take the marks away."""
        if blocks:
            await self._client.hdel(self._key, *(_field(block) for block in blocks))  # type: ignore[misc]


def _field(block: Block) -> str:
    return f"{block.priority}:{block.block_id.decode()}"
