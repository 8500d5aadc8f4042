"""Marks on blocks that were taken over from a dead worker, so that one whose processing kills is found.

A mark is written before a block is tried and goes when it is done. A mark that is found at a take-over therefore says
what its worker was doing when it died: trying the block among others, by itself, or one certain event of it.

Without its mark a block is tried as if for the first time. So where the key holds another type, or nonsense, that goes:
it costs a few more deaths until a killer is found, and stalls nobody.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec
import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ResponseError

from grandstand.storage.event_stream import Block
from grandstand.storage.stream_names import stream_key
from grandstand.storage.valkey_errors import is_wrong_type

_EXPIRY_SECONDS = 86_400
"""A mark is of use for seconds. What a crash between acknowledgement and removal leaves goes by itself."""

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Mark(NamedTuple):
    """How a block was tried, and the places of its events that killed a worker or are being tried right now."""

    stage: Literal["together", "alone", "events"]
    places: tuple[int, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Mark).decode


class TrialMarks:
    """Reads and writes the marks of one stream's blocks. Every method may raise `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, prefix: str, number: int = 0) -> None:
        self._client = client
        self._key = stream_key(prefix, number, "trials")

    async def read(self, blocks: Sequence[Block]) -> list[Mark | None]:
        """Return the mark of each block."""
        fields = [_field(block) for block in blocks]
        found = await self._past_damage(lambda: self._client.hmget(self._key, fields))  # type: ignore[arg-type, return-value]
        return [None if text is None else _read(text) for text in found]

    async def put(self, marks: Mapping[Block, Mark]) -> None:
        """Mark blocks; when this returns the marks are on disk."""
        await self._past_damage(lambda: self._put(marks))

    async def _put(self, marks: Mapping[Block, Mark]) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._key, mapping={_field(block): _encode(mark) for block, mark in marks.items()})
            pipe.expire(self._key, _EXPIRY_SECONDS)
            # A reply that is raised by the pipeline tells in other words what failed.
            replies = await pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply

    async def clear(self, blocks: Sequence[Block]) -> None:
        """Take the marks away."""
        if blocks:
            fields = [_field(block) for block in blocks]
            await self._past_damage(lambda: self._client.hdel(self._key, *fields))  # type: ignore[arg-type, return-value]

    async def _past_damage(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask; where the key holds another type than marks, remove it and ask again."""
        try:
            return await ask()
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            _log.error("trial_marks_damaged", error=str(error))
            await self._client.unlink(self._key)
        return await ask()


def _read(text: bytes) -> Mark | None:
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        _log.error("trial_mark_damaged", error=str(error))
        return None


def _field(block: Block) -> str:
    return f"{block.priority}:{block.block_id.decode()}"
