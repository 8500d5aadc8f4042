"""Every block in the stream is on its way: not delivered yet, or in the hands of a worker who is at it."""

import asyncio

from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.storage.stream_inspector import StreamInspector, read_id

_OLDEST = 50
"""Blocks at the old end of a stream that are looked at: what nobody owns stays there."""


async def _look(look: Look) -> None:
    lost: list[tuple[StreamInspector, str, str]] = []
    for inspector in await look.streams():
        for stream in inspector.streams:
            lost += [(inspector, stream, block_id) for block_id in await _look_at(look, inspector, stream)]
    for inspector in await look.streams(registered=False):
        for stream in inspector.streams:
            if await inspector.length(stream):
                look.outcome.add("the stream has blocks, but is not registered: nobody reads it", stream=stream)
    if lost:
        # A block that is acknowledged and one that is being delivered may look like it between two of these reads.
        await asyncio.sleep(look.scope.second_look_seconds)
    for inspector, stream, block_id in lost:
        if block_id in await _ownerless(inspector, stream):
            look.outcome.add(
                f"the block {block_id} was delivered and belongs to nobody: it would never be delivered again",
                stream=stream,
                block=block_id,
            )


async def _look_at(look: Look, inspector: StreamInspector, stream: str) -> list[str]:
    """Look at one stream of a priority; return the blocks that seem to belong to nobody."""
    length = await inspector.length(stream)
    if await inspector.last_delivered(stream) is None:
        if length:
            look.outcome.add("the stream has blocks, but no consumer group reads it", stream=stream)
        return []
    look.outcome.looked_at += length
    for block in await inspector.held(stream, look.scope.stale_seconds, EXAMPLES_MAX + 1):
        look.outcome.add(
            f"the block {block.block_id} was delivered to {block.consumer} {block.idle_seconds:.0f} s ago and is "
            "neither finished nor taken over",
            stream=stream,
            block=block.block_id,
            consumer=block.consumer,
            deliveries=block.deliveries,
        )
    return await _ownerless(inspector, stream)


async def _ownerless(inspector: StreamInspector, stream: str) -> list[str]:
    oldest = await inspector.oldest(stream, _OLDEST)
    # Asked after the blocks: what is delivered meanwhile is held by then.
    delivered = await inspector.last_delivered(stream)
    if delivered is None:
        return []
    return [
        block_id
        for block_id in oldest
        if read_id(block_id) <= delivered and not await inspector.is_held(stream, block_id)
    ]


DELIVERIES_OWNED = Check(
    "deliveries_owned",
    "Every block in a stream is not delivered yet or in the hands of a worker who finishes it soon.",
    _look,
)
