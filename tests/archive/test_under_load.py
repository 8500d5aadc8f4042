"""Events go on coming in while partitions leave: neither those who send nor those who store are held up."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from tests.archive.year import Archive, live_through, partition
from tests.support.core import Core, event

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

PER_SECOND = 5_000
BATCH = 100
QUIET_SECONDS = 2.0
LOCK_WAIT_MAX = timedelta(seconds=1)


class Load:
    """Sends batches into the stream at a steady rate, and stores others meanwhile."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._stop = asyncio.Event()
        self.sent_seconds: list[float] = []
        self.stored: list[int] = []

    async def send(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            events = [event(f"p{number}", number, event_id=uuid4()) for number in range(BATCH)]
            began = time.perf_counter()
            await self._core.stream.append([], events, datetime.now(UTC))
            self.sent_seconds.append(time.perf_counter() - began)
            due = max(due + BATCH / PER_SECOND, time.perf_counter() - 0.2)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def store(self) -> None:
        while not self._stop.is_set():
            events = [event(f"p{number}", number, event_id=uuid4()) for number in range(BATCH)]
            applied = await self._core.apply(*events, received_at=datetime(2026, 12, 30, tzinfo=UTC))
            self.stored.append(applied.stored)

    def stop(self) -> None:
        self._stop.set()


async def longest_wait(connection: asyncpg.Connection, stop: asyncio.Event) -> timedelta:
    """How long anybody was seen waiting for a lock of PostgreSQL's, but for when the machine stood still."""
    longest = timedelta(0)
    looked_at = time.monotonic()
    while not stop.is_set():
        waited = await connection.fetchval(
            "SELECT max(clock_timestamp() - waitstart) FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL"
        )
        before, looked_at = looked_at, time.monotonic()
        longest = max(longest, (waited or longest) - timedelta(seconds=looked_at - before))
        await asyncio.sleep(0.01)
    return longest


async def test_partitions_leave_under_load(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive
) -> None:
    await live_through(core, 8_000, months=[1, 2])
    load, stop = Load(core), asyncio.Event()
    watcher = await asyncpg.connect(core_database_url)
    watching = asyncio.ensure_future(longest_wait(watcher, stop))
    tasks = [asyncio.ensure_future(load.send()), asyncio.ensure_future(load.store())]
    try:
        await asyncio.sleep(QUIET_SECONDS)
        quiet, load.sent_seconds = load.sent_seconds, []
        stored_before = len(load.stored)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.archive.mortal_archiver", core_database_url, valkey_url, core.prefix,
            archive.url, "never", preexec_fn=lambda: os.nice(5) and None,
        )  # fmt: skip
        assert await asyncio.wait_for(process.wait(), 120) == 0
    finally:
        load.stop()
        stop.set()
        await asyncio.gather(*tasks)
        longest = await watching
        await watcher.close()
    assert await archive.states() == {partition(month): ["dropped"] for month in (1, 2)}
    during = load.sent_seconds
    print(
        f"p99 of the stream: {p99(quiet) * 1000:.1f} ms without, {p99(during) * 1000:.1f} ms with; "
        f"longest wait {longest}; {len(quiet)} and {len(during)} batches sent, "
        f"{len(load.stored) - stored_before} stored meanwhile"
    )
    assert set(load.stored) == {BATCH}, "every event was stored once"
    # That p99 at most doubles is measured by `make bench ARGS="--only retention"`: beside a suite it would be luck.
    assert longest < LOCK_WAIT_MAX


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]
