"""Planted bug: the reply is sent while the events are still on their way to the stream."""

import asyncio
from typing import Any

from grandstand.operations.accept_events import EventIntake, Judged, Tell

_hand_in = EventIntake.hand_in
_tasks: set[asyncio.Task[None]] = set()


def _hand_in_later(self: EventIntake, judged: Judged, tell: Tell, *_: Any) -> None:
    async def hand_in() -> None:
        await asyncio.sleep(0.3)
        _hand_in(self, judged, bool)

    task = asyncio.create_task(hand_in())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    asyncio.get_running_loop().call_soon(tell, None)


EventIntake.hand_in = _hand_in_later
