"""A table set with engines of its own: nothing of another set is in their caches, logs and checkpoints."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from bench.workload import ClientEvent, batches

from grandstand.bootstrap.core import Core, open_core
from grandstand.domain.event_model import Event, encode_events
from grandstand.domain.partitions import PartitionEvery
from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.engines import Engines
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.judge_events import EventJudge
from grandstand.settings import load_settings
from grandstand.storage.event_stream import HIGH, Block
from grandstand.storage.migrate import migrate
from grandstand.storage.quarantine import QuarantineStore

BATCH_EVENTS = 4_000
"""As many as a worker aims to store in one transaction."""

_CPU_TIMES = 4  # user, system, and the two of children that have ended
_LONG_SECONDS = 3_600.0
_WRITTEN = Path(__file__).parent / "sql" / "written.sql"


class Written(NamedTuple):
    """What the server has written and read so far: WAL, images of whole pages in it, pages read into its cache."""

    wal_bytes: int
    page_images: int
    pages_read: int

    def since(self, before: "Written") -> "Written":
        """Return what came after `before`."""
        return Written(*(now - then for now, then in zip(self, before, strict=True)))


class Taken(NamedTuple):
    """What some batches took: time, and CPU time of this process. The engines, which work on afterwards, are apart."""

    events: int
    seconds: float
    own_cpu_seconds: float


@dataclass
class TableSet:
    """One deployment's tables, and what applies batches to them."""

    name: str
    core: Core
    engines: Engines

    def __post_init__(self) -> None:
        core = self.core
        self._applier = EventApplier(
            core.database, core.ledger, core.event_log, core.catalog, EventJudge(QuarantineStore()), core.folder(),
            core.index, core.changes,
        )  # fmt: skip

    async def take(self, events: list[ClientEvent]) -> Taken:
        """Store, deduplicate and rank events in batches, as a worker does."""
        # Made before the clock starts: in life the HTTP processes do it, which do not know the size of the tables.
        blocks = [_block(batch) for batch in batches(events, BATCH_EVENTS)]
        began_at, cpu_before = time.perf_counter(), time.process_time()
        for block in blocks:
            await self._applier.apply([block])
        return Taken(len(events), time.perf_counter() - began_at, time.process_time() - cpu_before)

    async def checkpoint(self) -> None:
        """Write every page out: the next cycle begins, and each page that changes in it is logged as a whole once."""
        await self.core.database.pool.execute("CHECKPOINT", timeout=_LONG_SECONDS)

    async def written(self) -> Written:
        """Return what the server has written and read since it started."""
        async with self.core.database.connection() as connection:
            # Else what this session did last may not be in the figures yet.
            await connection.execute("SELECT pg_stat_force_next_flush()")
            (row,) = await connection.fetch(_WRITTEN.read_text())
        return Written(*row)

    def cpu_seconds(self) -> float:
        """Return the CPU time of both engines so far, with their work in the background."""
        return _cpu_seconds(pid for engine in self.engines.all for pid in engine.engine_pids())


@asynccontextmanager
async def open_table_set(folder: Path, name: str, every: PartitionEvery) -> AsyncIterator[TableSet]:
    """Start engines for an empty set in `folder`; they are gone afterwards, and the folder stays."""
    async with AsyncExitStack() as stack:
        folder.mkdir()
        engines = Engines(stack.enter_context(open_data_folder(folder / "data")))
        await engines.start()
        stack.push_async_callback(engines.stop)
        assert engines.postgres is not None
        assert engines.valkey is not None
        await asyncio.to_thread(migrate, engines.postgres.url, "grandstand")
        settings = load_settings(
            database_url=engines.postgres.url, database_pool_min=1, database_pool_max=6, partition_every=every,
            database_query_timeout_seconds=_LONG_SECONDS, database_statement_timeout_seconds=_LONG_SECONDS,
            valkey_url=engines.valkey.url, valkey_timeout_seconds=30.0,
        )  # fmt: skip
        core = await open_core(settings, stack)
        await core.definer().ensure_global()
        yield TableSet(name, core, engines)


def _cpu_seconds(pids: Iterable[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += sum(each.cpu_times()[:_CPU_TIMES])
    return total


def _block(events: Sequence[ClientEvent]) -> Block:
    made: list[Any] = [
        Event(
            event.event_type,
            event.user_id,
            msgspec.Raw(msgspec.json.encode(event.payload)),
            event.id,
            event.occurred_at,
        )
        for event in events
    ]
    data = encode_events(made)
    return Block(HIGH, b"0-0", len(made), datetime.now(UTC), data, len(data))
