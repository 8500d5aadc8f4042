"""The row of retention: what an archive round costs those who send events meanwhile.

Batches of 100 are posted at fixed times, 5,000 events/s in all, whether or not earlier ones have been answered, and
each latency counts from the time at which it was due. Old events were written straight into partitions of
months ago; the round takes them out of PostgreSQL as `grandstand archive run` does, in a process of its own.
"""

import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

import psycopg

from bench.measures import Row, percentile
from bench.paced import PacedPosts
from bench.suite import MeasuredWrongError, Suite
from grandstand.domain.partitions import month_at
from grandstand.storage import queries

RATIO_MAX = 2.0
EVENTS_PER_SECOND = 5_000
_BATCH_EVENTS = 100
_CONNECTIONS = 64
_MONTHS_BACK = (7, 6)
_ROUND_TIMEOUT_SECONDS = 600.0
_FILL = """
INSERT INTO {table} (id, received_at, occurred_at, event_type, user_id, payload)
SELECT gen_random_uuid(), '{day}'::timestamptz + n % 600 * interval '1 hour', '{day}', 'game_ended',
    'player-' || lpad((n % 20000)::text, 6, '0'), '{{"score": 1, "mode": "ranked", "map": "canyon"}}'
FROM generate_series(1, {count}) AS n
"""


async def measure(suite: Suite) -> list[Row]:
    """Send for a while, then send beside a round of archiving."""
    suite.say("retention: filling months that are due")
    await asyncio.to_thread(_fill, suite)
    sender = PacedPosts(suite, EVENTS_PER_SECOND, _BATCH_EVENTS, _CONNECTIONS)
    task = asyncio.create_task(sender.run())
    try:
        suite.say(f"retention: {EVENTS_PER_SECOND:,} events/s without it")
        await asyncio.sleep(suite.plan.latency_seconds)
        quiet, sender.latencies = sender.latencies, []
        suite.say("retention: beside a round")
        seconds = await _archive(suite)
        during = sender.latencies
    finally:
        sender.over.set()
        await task
    await suite.wait_until_drained()
    before, beside = (percentile([ms for _, ms in each], 0.99) for each in (quiet, during))
    facts: dict[str, float | int | str | bool] = {
        "round_seconds": round(seconds, 1), "archived_events": suite.plan.poisoned_events * len(_MONTHS_BACK),
    }  # fmt: skip
    return [
        Row(
            "retention_accept_p99_ms", f"acknowledged beside retention, p99 at {EVENTS_PER_SECOND:,} events/s", "ms",
            [round(beside, 2)], [round(before, 2)], "without it", limit=RATIO_MAX * before, facts=facts,
        )
    ]  # fmt: skip


def _fill(suite: Suite) -> None:
    with psycopg.connect(suite.database_url, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {suite.schema}")
        for months in _MONTHS_BACK:
            span = month_at(datetime.now(UTC) - timedelta(days=30 * months))
            bounds = {"from_": span.starts_at.isoformat(), "to": span.ends_at.isoformat()}
            connection.execute(queries.load("events/create_partition.sql").format(partition=span.name, **bounds))
            day = span.starts_at.isoformat()
            connection.execute(_FILL.format(table=span.name, day=day, count=suite.plan.poisoned_events))


async def _archive(suite: Suite) -> float:
    with tempfile.TemporaryDirectory(prefix="grandstand-bench-archive-") as folder:
        began_at = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "grandstand", "archive", "run", "--data-dir", str(suite.deployment.data_dir),
            env=os.environ | {"GRANDSTAND_ARCHIVE_URL": folder}, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        code = await asyncio.wait_for(process.wait(), _ROUND_TIMEOUT_SECONDS)
        if code:
            raise MeasuredWrongError(f"The round of archiving ended with {code}.")
        return time.monotonic() - began_at
