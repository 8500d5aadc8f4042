"""Planted bug: a worker takes blocks out of the stream before it has stored their events."""

import asyncio
from typing import Any

from grandstand.workers.event_consumer import EventConsumer

_init = EventConsumer.__init__


def _acknowledging_early(self: EventConsumer, *arguments: Any, **options: Any) -> None:
    _init(self, *arguments, **options)
    isolator = self._isolator
    apply = isolator.apply

    async def acknowledge_and_apply(blocks: Any) -> Any:
        await self._stream.acknowledge(blocks)
        await asyncio.sleep(0.3)
        return await apply(blocks)

    isolator.apply = acknowledge_and_apply  # type: ignore[method-assign]


EventConsumer.__init__ = _acknowledging_early  # type: ignore[method-assign]
