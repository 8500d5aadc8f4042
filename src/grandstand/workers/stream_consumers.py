"""Runs a consumer for each event stream in one worker process: none waits for another's shard, batch or retries."""

import asyncio
from collections.abc import Callable

from grandstand import clock
from grandstand.storage.event_stream import EventStream
from grandstand.storage.event_streams import EventStreams
from grandstand.workers.event_consumer import EventConsumer

_LOOK_SECONDS = 0.5
"""How often it is looked whether there is a stream that has no consumer yet."""


class StreamConsumers:
    """The consumers of one process; `build` makes that of a stream."""

    def __init__(self, streams: EventStreams, build: Callable[[EventStream], EventConsumer]) -> None:
        self._streams = streams
        self._build = build

    async def run(self, stop: asyncio.Event) -> None:
        """Consume every stream that this process knows or comes to know until the stop, as `EventConsumer.run` does."""
        consumed: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                for stream in self._streams.known:
                    if stream.number not in consumed:
                        consumed.add(stream.number)
                        group.create_task(self._build(stream).run(stop), name=f"event consumer {stream.number}")
                await clock.wait(stop, _LOOK_SECONDS)
