"""Planted bug: the reply is sent while the events are still on their way to the stream."""

import asyncio
from typing import Any

from grandstand.operations.accept_events import EventIntake

_write = EventIntake.write
_tasks: set[asyncio.Task[None]] = set()


def _write_later(self: EventIntake, *arguments: Any) -> "asyncio.Future[None]":
    async def write() -> None:
        await asyncio.sleep(0.3)
        await _write(self, *arguments)

    task = asyncio.create_task(write())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


EventIntake.write = _write_later
