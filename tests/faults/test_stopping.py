"""A stop has a limit; what is not done by then is left so that others take it at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from grandstand.operations.apply_events import Applied
from grandstand.storage.event_stream import Block
from tests.faults.conftest import Processes
from tests.faults.load import define_ticks, depth
from tests.faults.ways import open_way
from tests.support.core import NOON, Core, core, core_database_url, event
from tests.support.engines import RunningEngines
from tests.support.waiting import eventually
from tests.support.workers import consumer

__all__ = ["core", "core_database_url"]


class Stuck:
    """Stands where an applier stands and never comes to an end."""

    def __init__(self) -> None:
        self.holds = asyncio.Event()

    async def apply(self, blocks: Sequence[Block]) -> Applied:
        self.holds.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.anyio
async def test_what_a_stopped_worker_holds_is_free_at_once(core: Core) -> None:
    await core.stream.create_group()
    for _ in range(5):
        await core.stream.append([event()], [event()], NOON)
    stuck: Any = Stuck()
    worker = consumer(core, stuck, "stuck", reclaim_idle_seconds=600)
    task = asyncio.ensure_future(worker.run(asyncio.Event()))
    await stuck.holds.wait()
    assert await core.stream.claim_stalled("other", 600, 100) == []
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert len(await core.stream.claim_stalled("other", 600, 100)) == 10


def test_a_worker_that_cannot_finish_ends_in_time_and_another_takes_over(
    processes: Processes, engines: RunningEngines, database_url: str
) -> None:
    database = database_url.partition("@/")[2].partition("?")[0]
    processes.start("ingest", "api")
    with open_way(engines.socket_folder / ".s.PGSQL.5432") as way, processes.client() as client:
        define_ticks(client)
        far = f"postgresql://grandstand@127.0.0.1:{way.port}/{database}"
        limits = {
            "shutdown_timeout_seconds": 1,
            "database_statement_timeout_seconds": 300,
            "database_acquire_timeout_seconds": 60,
        }
        worker = processes.start("worker", database_url=far, reclaim_idle_seconds=600, **limits)
        client.post("/api/events", json={"event_type": "tick", "user_id": "ann"}).raise_for_status()
        eventually(lambda: depth(client) == 0, 30, "the worker is at work")
        way.hold()
        client.post("/api/events", json={"event_type": "tick", "user_id": "ann"}).raise_for_status()
        assert depth(client) == 1
        os.kill(worker.pid, signal.SIGTERM)
        # Whatever it waits for would last longer: a statement, a connection, and then the next of either.
        assert worker.wait(30) == 0
        processes.start("worker", reclaim_idle_seconds=600)
        eventually(lambda: depth(client) == 0, 30, "another worker takes over")
        (entry,) = client.get("/api/leaderboards/ticks").json()["entries"]
        assert entry["score"] == 2
