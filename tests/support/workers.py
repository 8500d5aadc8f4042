"""Workers that a test runs itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from grandstand.storage.event_stream import EventStream
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.trial_marks import TrialMarks
from grandstand.workers.event_consumer import EventConsumer
from grandstand.workers.stream_consumers import StreamConsumers
from tests.support.core import Core


def consumer(core: Core, applier: Any = None, name: str = "w1", **options: Any) -> EventConsumer:
    """A worker's loop on a core; `applier` may be whatever can apply."""
    values: dict[str, Any] = {"batch_max": 1000, "low_share": 0.2, "reclaim_idle_seconds": 60} | options
    return EventConsumer(name, core.stream, core.marks, applier or core.new_applier(), core.burier, **values)


def stream_consumers(core: Core, streams: EventStreams) -> StreamConsumers:
    """The loop of a worker over all streams that a process knows."""

    def build(stream: EventStream) -> EventConsumer:
        return EventConsumer(
            "w1", stream, TrialMarks(core.valkey, core.prefix, stream.number), core.new_applier(), core.burier,
            batch_max=1000, low_share=0.2, reclaim_idle_seconds=60, retry_seconds=0.01,
        )  # fmt: skip

    return StreamConsumers(streams, build)


@asynccontextmanager
async def running(worker: EventConsumer | StreamConsumers) -> AsyncIterator[asyncio.Event]:
    """Run a worker's loop; it is told to stop at the end and must end by itself."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        try:
            await asyncio.wait_for(task, 30)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
