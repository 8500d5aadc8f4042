"""What is acknowledged is stored or still in the stream, and what is stored leaves the stream.

Events that could not be processed may rest elsewhere than in `events`: whoever keeps them there takes their block out
of the stream, so that neither count here knows of them any more.
"""

from grandstand.domain.event_model import decode_events
from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.storage.event_log import EventLog
from grandstand.storage.stream_inspector import HeldBlock, StreamInspector


async def _look(look: Look) -> None:
    for inspector in await look.streams():
        await _look_at(look, inspector)


async def _look_at(look: Look, inspector: StreamInspector) -> None:
    outcome = look.outcome
    counts = await inspector.counts()
    outcome.looked_at += counts.blocks
    if counts.events is not None and counts.depth != counts.events:
        outcome.add(
            f"{counts.depth} events are counted as not processed, but {counts.events} are in the stream",
            stream=inspector.streams[0],
            counted=counts.depth,
            in_stream=counts.events,
        )
    elif counts.depth < counts.blocks:
        outcome.add(
            f"{counts.depth} events are counted as not processed, but {counts.blocks} blocks are in the stream",
            stream=inspector.streams[0],
            counted=counts.depth,
            blocks=counts.blocks,
        )
    for stream in inspector.streams:
        if await inspector.last_delivered(stream) is None:
            continue
        for block in await inspector.held(stream, look.scope.stale_seconds, EXAMPLES_MAX):
            if await _is_stored(look, inspector, block):
                outcome.add(
                    f"the block {block.block_id} is stored as a whole, but not taken out of the stream",
                    stream=stream,
                    block=block.block_id,
                )


async def _is_stored(look: Look, inspector: StreamInspector, block: HeldBlock) -> bool:
    data = await inspector.data(block.stream, block.block_id)
    if data is None:
        return False
    ids = {event.id for event in decode_events(data)}
    async with look.snapshot() as connection:
        return ids <= await EventLog().find_known(connection, sorted(ids))


EVENTS_PROCESSED = Check(
    "events_processed",
    "The count of unprocessed events is that of the events in each stream, and what is stored has left it.",
    _look,
)
