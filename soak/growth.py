"""The cost of growth: the rate of ingest into a table set of many events beside its rate into an empty one.

Both stand in one PostgreSQL, take the same batches in turn, and are measured in this process: the transaction of a
batch (look-up of known ids, COPY, entries, queue of the rollups) and the rank index. HTTP and the stream do not know
the size of the tables. What is loaded is written straight into partitions, with their indexes, statistics and vacuum.
"""

import asyncio
import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import psutil
from bench.workload import ClientEvent, Workload, batches

from grandstand.bootstrap.core import Core, open_core
from grandstand.domain.event_model import Event, encode_events
from grandstand.domain.partitions import PartitionEvery, PartitionRange, day_at, month_at
from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.engines import Engines
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.judge_events import EventJudge
from grandstand.settings import load_settings
from grandstand.storage import queries
from grandstand.storage.event_archives import EventArchive, EventArchives
from grandstand.storage.event_stream import HIGH, Block
from grandstand.storage.migrate import migrate
from grandstand.storage.quarantine import QuarantineStore

FLOOR = 0.85
"""What is left of the rate with UUIDv7 ids, at least."""

BATCH_EVENTS = 4_000
"""As many as a worker aims to store in one transaction."""

_BATCHES = 10
_DISK_SHARE = 0.7
_LONG_SECONDS = 4 * 3600.0
_FILL = Path(__file__).parent / "sql" / "fill_events.sql"


@dataclass(frozen=True)
class GrowthPlan:
    """How much is loaded, over how many months that end with this one, and how often both are measured."""

    events: int = 50_000_000
    months: int = 12
    every: PartitionEvery = "month"
    rounds: int = 7
    players: int = 100_000


class Taken(NamedTuple):
    """Events a second of a round, and microseconds of CPU for each."""

    rate: float
    cpu_us: float


@dataclass
class Growth:
    """What each round took, into the loaded set and into the empty one, by version of the ids."""

    bytes_each: float = 0.0
    load_seconds: float = 0.0
    loaded: dict[int, list[Taken]] = field(default_factory=lambda: {7: [], 4: []})
    empty: dict[int, list[Taken]] = field(default_factory=lambda: {7: [], 4: []})

    def ratio(self, version: int) -> float:
        """Median of the rounds' ratios: two figures of one round share the machine's mood."""
        pairs = zip(self.loaded[version], self.empty[version], strict=True)
        return statistics.median(loaded.rate / empty.rate for loaded, empty in pairs)

    def cpu_ratio(self, version: int) -> float:
        """Return the same by CPU time of this process and the engines, which other programs disturb less."""
        pairs = zip(self.loaded[version], self.empty[version], strict=True)
        return statistics.median(empty.cpu_us / loaded.cpu_us for loaded, empty in pairs)

    @property
    def is_met(self) -> bool:
        """Whether enough is left of the rate with UUIDv7 ids."""
        return self.ratio(7) >= FLOOR


class NoRoomError(Exception):
    """The disk has no room for so many events; the message says how many bytes are needed."""


async def measure_growth(plan: GrowthPlan, say: Callable[[str], None]) -> Growth:
    """Load one table set and measure both, in a temporary folder that is gone afterwards.

    Raises:
        NoRoomError: the events would take more than most of the free disk.
    """
    growth = Growth()
    with tempfile.TemporaryDirectory(prefix="grandstand-growth-") as name:
        async with _cores(Path(name)) as (loaded, empty):
            began_at = time.perf_counter()
            growth.bytes_each = await _load(loaded, plan, Path(name), say)
            growth.load_seconds = time.perf_counter() - began_at
            sides = [(_applier(loaded), growth.loaded), (_applier(empty), growth.empty)]
            games = Workload(plan.players, 0).games_of_everyone()
            for core, (applier, _) in zip((loaded, empty), sides, strict=True):
                await core.definer().ensure_global()
                # Every player has an entry already, as in a game that has been running.
                for batch in batches(games, BATCH_EVENTS):
                    await applier.apply([_block(batch)])
            for number in range(plan.rounds):
                for version in (7, 4):
                    # Who goes first changes, so that neither always meets the other's dirty pages.
                    for applier, figures in sides if number % 2 else reversed(sides):
                        figures[version].append(await _take(applier, plan.players, version, number))
                    mine, least = growth.loaded[version][-1], growth.empty[version][-1]
                    say(
                        f"round {number + 1}: UUIDv{version} {mine.rate:,.0f}/s ({mine.cpu_us:.0f} us of CPU each), "
                        f"into the empty set {least.rate:,.0f}/s ({least.cpu_us:.0f} us)"
                    )
    return growth


@asynccontextmanager
async def _cores(folder: Path) -> AsyncIterator[tuple[Core, Core]]:
    async with AsyncExitStack() as stack:
        engines = Engines(stack.enter_context(open_data_folder(folder / "data")))
        await engines.start()
        stack.push_async_callback(engines.stop)
        assert engines.postgres is not None
        assert engines.valkey is not None
        cores = []
        for name in ("loaded", "empty"):
            await asyncio.to_thread(migrate, engines.postgres.url, name)
            settings = load_settings(
                database_url=engines.postgres.url, database_schema=name, database_pool_min=1, database_pool_max=3,
                database_query_timeout_seconds=3600.0, database_statement_timeout_seconds=3600.0,
                valkey_url=engines.valkey.url, valkey_prefix=name, valkey_timeout_seconds=30.0,
            )  # fmt: skip
            cores.append(await open_core(settings, stack))
        yield cores[0], cores[1]


def _spans(plan: GrowthPlan, now: datetime) -> list[PartitionRange]:
    """Return partitions that end with the one of `now`, the oldest first."""
    spans = [month_at(now)]
    while len(spans) < plan.months:
        spans.insert(0, month_at(spans[0].starts_at - timedelta(days=1)))
    if plan.every == "month":
        return spans
    days = (now.date() - spans[0].starts_at.date()).days
    return [day_at(spans[0].starts_at + timedelta(days=number)) for number in range(days + 1)]


async def _load(core: Core, plan: GrowthPlan, folder: Path, say: Callable[[str], None]) -> float:
    """Fill partitions, oldest first; return the bytes that an event takes with its indexes."""
    archives, now = EventArchives(), datetime.now(UTC)
    spans = _spans(plan, now)
    each = plan.events // len(spans)
    size = 0
    async with core.database.connection() as connection:
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for number, span in enumerate(spans, start=1):
            table = EventArchive(number, *span, "dropped", False, None, None)
            await archives.create_restoring(connection, table)
            statement = _FILL.read_text().format(table=table.restoring)
            last = min(span.ends_at, now)
            await connection.execute(statement, each, span.starts_at, last, plan.players, timeout=_LONG_SECONDS)
            await archives.index_restoring(connection, table)
            attach = queries.load("event_archives/attach_restored.sql").format(
                table=table.restoring,
                partition=span.name,
                from_=span.starts_at.isoformat(),
                to=span.ends_at.isoformat(),
            )
            await connection.execute(attach, timeout=_LONG_SECONDS)
            await connection.execute(f"VACUUM (ANALYZE) {span.name}", timeout=_LONG_SECONDS)
            size += await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", span.name)
            if number == 1:
                _check_room(plan, size / each, folder)
            if number % max(1, len(spans) // 12) == 0:
                say(f"loaded {number * each:,} of {plan.events:,} events, {size / number / each:.0f} bytes each")
    return size / (each * len(spans))


def _check_room(plan: GrowthPlan, bytes_each: float, folder: Path) -> None:
    needed, free = bytes_each * plan.events, shutil.disk_usage(folder).free
    if needed > free * _DISK_SHARE:
        raise NoRoomError(f"{plan.events:,} events need {needed / 2**30:.0f} GiB and {free / 2**30:.0f} GiB are free.")


def _applier(core: Core) -> EventApplier:
    return EventApplier(
        core.database, core.ledger, core.event_log, core.catalog, EventJudge(QuarantineStore()), core.folder(),
        core.index, core.changes,
    )  # fmt: skip


async def _take(applier: EventApplier, players: int, version: int, seed: int) -> Taken:
    events = Workload(players, seed).events(_BATCHES * BATCH_EVENTS)
    if version == 4:
        for event in events:
            event.id = uuid4()
    blocks = [_block(batch) for batch in batches(events, BATCH_EVENTS)]
    began_at, cpu_before = time.perf_counter(), _cpu_seconds()
    for block in blocks:
        await applier.apply([block])
    seconds, cpu_seconds = time.perf_counter() - began_at, _cpu_seconds() - cpu_before
    return Taken(len(events) / seconds, cpu_seconds / len(events) * 1e6)


def _cpu_seconds() -> float:
    """Return what this process and the engines have used."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            # With that of children that have ended.
            total += sum(process.cpu_times()[:4])
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
