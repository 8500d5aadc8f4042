"""Fills a table set with events as years of play leave them, without the way that they would have come.

Partitions that are closed are written without indexes and get them afterwards. The open one has them from the start:
its pages are as full as pages are that batches filled, and not as full as those of an index that was built at once.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.workload import Workload

from grandstand.bootstrap.core import Core
from grandstand.domain.partitions import PartitionEvery, PartitionRange, day_at, month_at
from grandstand.storage import queries
from grandstand.storage.event_archives import EventArchive, EventArchives
from grandstand.storage.postgres import Connection

SIDE_BY_SIDE_MAX = 4
"""Partitions that are filled at once, at most; with few cores one a core."""

_BYTES_EACH = 350
"""Of an event with its indexes, as measured and somewhat more."""

_DISK_SHARE = 0.7
_LONG_SECONDS = 4 * 3600.0
_FILL = Path(__file__).parent / "sql" / "fill_events.sql"
_PLAYERS = "fill_players"
_UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "maintenance_work_mem": "512MB"}
"""Nobody needs what is filled after a crash; measured is with what the product has."""


@dataclass(frozen=True)
class Filling:
    """So many events, over months that end with this one, in partitions of a month or a day, of so many players."""

    events: int
    months: int
    every: PartitionEvery
    players: int


class NoRoomError(Exception):
    """The disk has no room for so many events; the message says how many bytes are needed."""


async def fill(core: Core, filling: Filling, folder: Path, say: Callable[[str], None]) -> float:
    """Fill partitions, each with as many events, and vacuum them; return the bytes of an event with its indexes.

    Raises:
        NoRoomError: the events would take more than most of the free disk.
    """
    needed, free = _BYTES_EACH * filling.events, shutil.disk_usage(folder).free
    if needed > free * _DISK_SHARE:
        raise NoRoomError(f"{filling.events:,} events need {needed / 2**30:.0f} GiB, and {free / 2**30:.0f} are free.")
    async with _unsafely(core):
        return await _Filler(core, filling, say).run()


class _Filler:
    def __init__(self, core: Core, filling: Filling, say: Callable[[str], None]) -> None:
        self._core = core
        self._filling = filling
        self._say = say
        self._now = datetime.now(UTC)
        self._spans = _spans(filling, self._now)
        self._each = filling.events // len(self._spans)
        self._bytes = self._filled = self._said = 0

    async def run(self) -> float:
        async with self._core.database.connection() as connection:
            await self._name_players(connection)
        *closed, opened = self._spans
        places = asyncio.Semaphore(min(SIDE_BY_SIDE_MAX, os.cpu_count() or 1))
        async with asyncio.TaskGroup() as group:
            for span in closed:
                await places.acquire()
                group.create_task(self._fill(span)).add_done_callback(lambda _: places.release())
        await self._fill(opened)
        async with self._core.database.connection() as connection:
            await connection.execute(f"DROP TABLE {_PLAYERS}")
        return self._bytes / self._filled

    async def _fill(self, span: PartitionRange) -> None:
        async with self._core.database.connection() as connection:
            if span is self._spans[-1]:
                await self._core.event_log.create_partition(connection, self._now)
                await self._write(connection, span.name, span)
            else:
                await self._fill_closed(connection, span)
            await connection.execute(f"VACUUM (ANALYZE) {span.name}", timeout=_LONG_SECONDS)
            size = "SELECT pg_total_relation_size($1::text::regclass)"
            self._bytes += await connection.fetchval(size, span.name)
        self._filled += self._each
        if self._filled - self._said >= self._filling.events // 12 or span is self._spans[-1]:
            self._said = self._filled
            each = self._bytes / self._filled
            self._say(f"loaded {self._filled:,} of {self._filling.events:,} events, {each:.0f} bytes each")

    async def _fill_closed(self, connection: "Connection[Any]", span: PartitionRange) -> None:
        archives = EventArchives()
        table = EventArchive(1 + self._spans.index(span), *span, "dropped", False, None, None)
        await archives.create_restoring(connection, table)
        await self._write(connection, table.restoring, span)
        await archives.index_restoring(connection, table)
        bounds = {"from_": span.starts_at.isoformat(), "to": span.ends_at.isoformat()}
        attach = queries.load("event_archives/attach_restored.sql")
        await connection.execute(
            attach.format(table=table.restoring, partition=span.name, **bounds), timeout=_LONG_SECONDS
        )

    async def _write(self, connection: "Connection[Any]", table: str, span: PartitionRange) -> None:
        statement = _FILL.read_text().format(table=table, players=_PLAYERS)
        until = min(span.ends_at, self._now)
        await connection.execute(
            statement, self._each, span.starts_at, until, self._filling.players, timeout=_LONG_SECONDS
        )

    async def _name_players(self, connection: "Connection[Any]") -> None:
        await connection.execute(f"CREATE UNLOGGED TABLE {_PLAYERS} (place int, user_id text)")
        players = enumerate(Workload(self._filling.players, 0).busiest_first)
        await connection.copy_records_to_table(_PLAYERS, records=players)
        await connection.execute(f"ANALYZE {_PLAYERS}")


@asynccontextmanager
async def _unsafely(core: Core) -> AsyncIterator[None]:
    """Let the server of a table set that is of no use to anybody write as fast as it can."""
    pool = core.database.pool
    for name, value in _UNSAFE.items():
        await pool.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    await pool.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for name in _UNSAFE:
                await pool.execute(f"ALTER SYSTEM RESET {name}")
            await pool.execute("SELECT pg_reload_conf()")
    # What was written without a sync is on the disk before anything is measured.
    await pool.execute("CHECKPOINT", timeout=_LONG_SECONDS)
    await asyncio.to_thread(os.sync)


def _spans(filling: Filling, now: datetime) -> list[PartitionRange]:
    """Return partitions that end with the one of `now`, the oldest first."""
    spans = [month_at(now)]
    while len(spans) < filling.months:
        spans.insert(0, month_at(spans[0].starts_at - timedelta(days=1)))
    if filling.every == "month":
        return spans
    days = (now.date() - spans[0].starts_at.date()).days
    return [day_at(spans[0].starts_at + timedelta(days=number)) for number in range(days + 1)]
