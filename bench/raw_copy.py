"""The ceiling of storing: COPY of the same rows into a sibling of the events table's partition, and nothing else.

The sibling has the partition's columns, defaults, constraints and indexes. Every connection copies from a process of
its own, so that the encoding on the client's side is not the limit, in transactions of as many rows as a worker aims
for. Rows are made before the clock starts, and each is copied once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import uvloop

from bench.jobs import Job
from bench.workload import Workload, row_of
from grandstand.domain.partitions import month_at

SIBLING = "bench_copy"
COLUMNS = ("id", "received_at", "occurred_at", "event_type", "user_id", "payload")


@dataclass(frozen=True)
class CopyOrder:
    """What one connection copies: its share of `events` in all, in transactions of `transaction_rows`."""

    database_url: str
    schema: str
    players: int
    seed: int
    rows: int
    transaction_rows: int


@dataclass(frozen=True)
class CopyResult:
    """When one connection copied, by the monotonic clock that all processes share."""

    began_at: float
    ended_at: float


async def create_sibling(database_url: str, schema: str) -> None:
    """Create the sibling of this month's partition anew, empty."""
    connection = await asyncpg.connect(database_url)
    try:
        partition = f"{schema}.{month_at(datetime.now(UTC)).name}"
        # INCLUDING ALL brings the indexes too, the unique one among them.
        await connection.execute(
            f"DROP TABLE IF EXISTS {schema}.{SIBLING};CREATE TABLE {schema}.{SIBLING} (LIKE {partition} INCLUDING ALL)"
        )
        theirs, ours = [await _indexes(connection, name) for name in (partition, f"{schema}.{SIBLING}")]
        if theirs != ours or not theirs:
            raise RuntimeError(f"The sibling table has other indexes than the partition: {ours} instead of {theirs}.")
    finally:
        await connection.close()


async def _indexes(connection: "asyncpg.Connection[Any]", table: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT pg_get_indexdef(indexrelid) AS text FROM pg_index WHERE indrelid = $1::regclass", table
    )
    return sorted(row["text"].partition(" USING ")[2] + f" unique={'UNIQUE' in row['text']}" for row in rows)


async def copy_rate(orders: Sequence[CopyOrder]) -> float:
    """Copy with one connection an order, side by side; return rows per second over all."""
    jobs = [Job(prepare_copy, order) for order in orders]
    try:
        await asyncio.gather(*(job.__aenter__() for job in jobs))
        for job in jobs:
            job.begin()
        results = await asyncio.gather(*(job.result() for job in jobs))
    finally:
        for job in jobs:
            await job.__aexit__(None, None, None)
    seconds = max(result.ended_at for result in results) - min(result.began_at for result in results)
    return sum(order.rows for order in orders) / seconds


def prepare_copy(order: CopyOrder) -> Callable[[], CopyResult]:
    """Make the rows and connect; return the function that copies. For `jobs.Job`."""
    now = datetime.now(UTC)
    rows = [row_of(event, now) for event in Workload(order.players, order.seed).events(order.rows)]
    chunks = [rows[start : start + order.transaction_rows] for start in range(0, len(rows), order.transaction_rows)]
    loop = uvloop.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(order.database_url, server_settings={"TimeZone": "UTC"}))
    return lambda: loop.run_until_complete(_copy(connection, order.schema, chunks))


async def _copy(connection: "asyncpg.Connection[Any]", schema: str, chunks: list[list[Any]]) -> CopyResult:
    began_at = time.monotonic()
    for chunk in chunks:
        await connection.copy_records_to_table(SIBLING, schema_name=schema, records=chunk, columns=COLUMNS)
    ended_at = time.monotonic()
    await connection.close()
    return CopyResult(began_at, ended_at)
