"""Planted bug: a worker takes blocks out of the stream before it has stored their events."""

import asyncio
from typing import Any

from grandstand.workers.event_consumer import EventConsumer

_process = EventConsumer._process


async def _acknowledge_and_process(self: EventConsumer, blocks: Any) -> None:
    await self._stream.acknowledge(blocks)
    await asyncio.sleep(0.3)
    await _process(self, blocks)


EventConsumer._process = _acknowledge_and_process
