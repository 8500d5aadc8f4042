"""The cost of growth: what ingest costs into a table set of many events, beside what it costs into an empty one.

Each set has engines of its own and takes the same batches in turn, measured in this process: the transaction of a
batch (look-up of known ids, COPY, entries, queue of the rollups) and the rank index. HTTP and the stream do not know
the size of the tables. What is measured is a whole cycle between two checkpoints, for its beginning costs most: each
page that changes is logged as a whole once.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from bench.workload import ClientEvent, Workload, batches

from grandstand.domain.partitions import PartitionEvery
from soak.filling import Filling, fill
from soak.table_set import BATCH_EVENTS, TableSet, Taken, Written, open_table_set

FLOOR = 0.85
"""What is left of the rate with UUIDv7 ids, at least."""

QUIET_CORES = 0.1
"""Where other programs kept more of a core busy than this, rates say what they did: CPU time is judged instead."""

_ROUND_EVENTS = 80_000


@dataclass(frozen=True)
class GrowthPlan:
    """How much each set holds beside the empty one, over how many months that end with this one, and what they take.

    `cycle_events` is about what lies between two checkpoints of the embedded PostgreSQL at full speed (`max_wal_size`).
    """

    sizes: tuple[int, ...] = (1_000_000, 50_000_000)
    months: int = 12
    every: PartitionEvery = "month"
    cycle_events: int = 1_600_000
    players: int = 100_000


@dataclass
class Cycle:
    """What a cycle took of one set, with ids of one version; the engines, with the checkpoint that ends it."""

    rounds: list[Taken] = field(default_factory=list)
    engines_cpu_seconds: float = 0.0
    written: Written = field(default_factory=lambda: Written(0, 0, 0))

    @property
    def events(self) -> int:
        """How many events were stored."""
        return sum(each.events for each in self.rounds)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / sum(each.seconds for each in self.rounds)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time for an event, all processes together."""
        own = sum(each.own_cpu_seconds for each in self.rounds)
        return (own + self.engines_cpu_seconds) / self.events * 1e6

    @property
    def wal_bytes(self) -> float:
        """Bytes of WAL for an event."""
        return self.written.wal_bytes / self.events

    def describe(self) -> str:
        """Say it in a line."""
        engines = self.engines_cpu_seconds / self.events * 1e6
        return (
            f"{self.rate:,.0f}/s, {self.cpu_us:.1f} us of CPU for an event ({engines:.1f} of the engines), "
            f"{self.wal_bytes:.0f} bytes of WAL ({self.written.page_images:,} images of pages in all), "
            f"{self.written.pages_read / self.events:.4f} pages read"
        )


@dataclass
class Growth:
    """The cycles by version of the ids and by events that were stored before: 0 for the empty set."""

    bytes_each: dict[int, float] = field(default_factory=dict)
    load_seconds: float = 0.0
    cycles: dict[int, dict[int, Cycle]] = field(default_factory=dict)
    others_cores: float = 0.0
    """What other programs kept busy meanwhile."""

    def ratio(self, version: int, size: int) -> float:
        """Return the rate into the set of `size`, over that into the empty one."""
        return self.cycles[version][size].rate / self.cycles[version][0].rate

    def cpu_ratio(self, version: int, size: int) -> float:
        """Return the same of the events that a second of CPU time stores, which other programs disturb less."""
        return self.cycles[version][0].cpu_us / self.cycles[version][size].cpu_us

    @property
    def is_quiet(self) -> bool:
        """Whether rates can be judged."""
        return self.others_cores <= QUIET_CORES

    @property
    def is_met(self) -> bool:
        """Whether enough is left with UUIDv7 ids, of every size."""
        sizes = [size for size in self.cycles[7] if size]
        judged = self.ratio if self.is_quiet else self.cpu_ratio
        return all(judged(7, size) >= FLOOR for size in sizes)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for a report."""
        described = {
            f"uuid_v{version}": {
                str(size): {"events_per_second": cycle.rate, "cpu_us_per_event": cycle.cpu_us,
                            "wal_bytes_per_event": cycle.wal_bytes,
                            "ratio": self.ratio(version, size), "cpu_ratio": self.cpu_ratio(version, size)}
                for size, cycle in cycles.items()
            }
            for version, cycles in self.cycles.items()
        }  # fmt: skip
        return {"met": self.is_met, "quiet": self.is_quiet, **described, "all": asdict(self)}


async def measure_growth(plan: GrowthPlan, say: Callable[[str], None]) -> Growth:
    """Load the sets and measure them beside an empty one, in a temporary folder that is gone afterwards.

    Raises:
        NoRoomError: the events would take more than most of the free disk.
    """
    growth = Growth()
    with tempfile.TemporaryDirectory(prefix="grandstand-growth-") as name:
        async with AsyncExitStack() as stack:
            sets: dict[int, TableSet] = {}
            began_at = time.perf_counter()
            for size in sorted({0, *plan.sizes}):
                folder = Path(name) / str(size)
                sets[size] = await stack.enter_async_context(open_table_set(folder, f"{size:,} stored", plan.every))
                if size:
                    filling = Filling(size, plan.months, plan.every, plan.players)
                    growth.bytes_each[size] = await fill(sets[size].core, filling, folder, say)
            growth.load_seconds = time.perf_counter() - began_at
            for each in sets.values():
                await _warm(each, plan.players)
            # Random ids come last: they leave pages of the indexes of ids in the caches that were of use to others.
            for version in (7, 4):
                busy_before, ours_before, at = _machine_seconds(), _our_seconds(sets), time.perf_counter()
                growth.cycles[version] = await _measure(sets, plan, version, say)
                ours = _our_seconds(sets) - ours_before
                others = (_machine_seconds() - busy_before - ours) / (time.perf_counter() - at)
                growth.others_cores = max(growth.others_cores, others)
    return growth


async def _warm(table_set: TableSet, players: int) -> None:
    """Bring a set into the state of a running game: every player has an entry, statements are prepared."""
    for batch in batches(Workload(players, 0).games_of_everyone(), BATCH_EVENTS):
        await table_set.take(batch)


async def _measure(
    sets: dict[int, TableSet], plan: GrowthPlan, version: int, say: Callable[[str], None]
) -> dict[int, Cycle]:
    cycles = {size: Cycle() for size in sets}
    before = {}
    for size, each in sets.items():
        await each.checkpoint()
        before[size] = each.cpu_seconds(), await each.written()
    for number in range(max(1, plan.cycle_events // _ROUND_EVENTS)):
        # Who goes first changes, so that neither always meets what the other leaves to the disk.
        for size in sorted(sets, reverse=number % 2 == 0):
            events = _events(plan.players, min(_ROUND_EVENTS, plan.cycle_events), version, number)
            cycles[size].rounds.append(await sets[size].take(events))
        last = {size: cycle.rounds[-1] for size, cycle in cycles.items()}
        rates = ", ".join(f"{size:,} stored {taken.events / taken.seconds:,.0f}/s" for size, taken in last.items())
        say(f"UUIDv{version}, round {number + 1}: {rates}")
    for size, each in sets.items():
        # What the cycle left to be written out is its own.
        cycles[size].written = (await each.written()).since(before[size][1])
        await each.checkpoint()
        cycles[size].engines_cpu_seconds = each.cpu_seconds() - before[size][0]
        say(f"UUIDv{version} into {size:,} stored events: {cycles[size].describe()}")
    return cycles


def _events(players: int, count: int, version: int, seed: int) -> list[ClientEvent]:
    events = Workload(players, seed).events(count)
    if version == 4:
        for event in events:
            event.id = uuid4()
    return events


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    # Programs of low priority take the memory's time as others do.
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def _our_seconds(sets: dict[int, TableSet]) -> float:
    return time.process_time() + sum(each.cpu_seconds() for each in sets.values())
