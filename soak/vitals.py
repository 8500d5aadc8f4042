"""What a deployment costs over time: memory of every process, connections, open files, lag; and whether it grows."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from soak.inspection import Inspector
from soak.tree import Tree

INTERVAL_SECONDS = 10.0
WARM_UP_SHARE = 0.25
WARM_UP_SECONDS = 660.0
"""By then every loop has run twice: the checks of invariants, every five minutes, hold up to 50,000 events at once, and
what they took at their worst stays with the process."""

SLOPE_MAX_MB_PER_HOUR = 20.0
"""What a least-squares line through a process's memory may rise by, beyond its noise."""

SHARED = ("/dev/zero", "/dev/shm", "/SYSV")
"""How Linux names memory that processes share."""

_LEAK_MARGIN = 15
_MB = 1_048_576


@dataclass
class Sample:
    """One look. `memory_mb` and `files` by the name of the process; `pids` tells it from the one in its place later."""

    at_seconds: float
    memory_mb: dict[str, float]
    files: dict[str, int]
    pids: dict[str, int]
    postgres_connections: int
    valkey_connections: int
    lag_seconds: float


@dataclass
class Vitals:
    """Samples of one deployment, taken until `watch` is cancelled."""

    tree: Tree
    inspector: Inspector
    samples: list[Sample] = field(default_factory=list)

    async def watch(self) -> None:
        """Take a sample every ten seconds; while an engine is away there is none."""
        began_at = time.monotonic()
        while True:
            with contextlib.suppress(Exception):
                self.samples.append(await self._sample(time.monotonic() - began_at))
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _sample(self, at_seconds: float) -> Sample:
        memory, files, pids = await asyncio.to_thread(self._processes)
        oldest = await self.inspector.oldest_waiting_at()
        connections = await self.inspector.connections()
        return Sample(at_seconds, memory, files, pids, *connections, 0.0 if oldest is None else time.time() - oldest)

    def _processes(self) -> tuple[dict[str, float], dict[str, int], dict[str, int]]:
        memory: dict[str, float] = {}
        files: dict[str, int] = {}
        pids: dict[str, int] = {}
        records = self.tree.state.get("processes", [])
        names = {int(record["pid"]): str(record["name"]) for record in records}
        found = [(names[process.pid], process) for process in self.tree.processes() if process.pid in names]
        found += [(role, process) for role in ("supervisor", "valkey") for process in self.tree.named(role)]
        for name, process in found:
            with contextlib.suppress(psutil.Error):
                memory[name] = _own_bytes(process) / _MB
                files[name] = process.num_fds()
                pids[name] = process.pid
        backends = [*self.tree.named("postgres"), *self.tree.named("backend")]
        # Its shared buffers fill up to their fixed size as pages are first touched, for hours; only what backends keep
        # for themselves can leak.
        memory["postgres"] = sum(_bytes_without_shared(process) for process in backends) / _MB
        return memory, files, pids


def report(samples: list[Sample]) -> dict[str, Any]:
    """Return slopes of memory (MB an hour), connections, files and lag, and what is too much, as sentences."""
    settled = samples[int(len(samples) * WARM_UP_SHARE) :]
    # In a soak that ends before, what comes of a line is not judged anyway.
    settled = [sample for sample in settled if sample.at_seconds >= WARM_UP_SECONDS] or settled
    slopes = {name: round(slope(points), 2) for name, points in _series(settled, "memory_mb").items()}
    trouble = [
        f"{name} grows by {rise} MB an hour"
        for name, rise in slopes.items()
        # In a short soak a line through few points means nothing.
        if rise > SLOPE_MAX_MB_PER_HOUR and settled[-1].at_seconds - settled[0].at_seconds > 900
    ]
    growth: dict[str, tuple[int, int]] = {}
    for name in ("postgres_connections", "valkey_connections"):
        growth[name] = _ends([getattr(sample, name) for sample in settled])
    for name, points in _series(settled, "files").items():
        growth[f"files of {name}"] = _ends([int(value) for _, value in points])
    trouble += [f"{name}: {old} became {new}" for name, (old, new) in growth.items() if new > old + _LEAK_MARGIN]
    lags = sorted(sample.lag_seconds for sample in settled)
    return {
        "samples": len(samples),
        "slopes_mb_per_hour": slopes,
        "memory_mb": settled[-1].memory_mb if settled else {},
        "growth": growth,
        "lag_seconds": {"median": lags[len(lags) // 2], "worst": lags[-1]} if lags else {},
        "trouble": trouble,
        "each": [asdict(sample) for sample in samples],
    }


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through (seconds, value), as value an hour."""
    if len(points) < 2:
        return 0.0
    mean_at = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return 3600 * sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0


def _series(samples: Iterable[Sample], name: str) -> dict[str, list[tuple[float, float]]]:
    """Return (seconds, value) by process; of one that was replaced, what came after the last replacement."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    pids: dict[str, int | None] = {}
    for sample in samples:
        for process, value in getattr(sample, name).items():
            pid = sample.pids.get(process)
            if pids.setdefault(process, pid) != pid:
                pids[process] = pid
                series[process].clear()
            series[process].append((sample.at_seconds, value))
    return series


def _ends(values: list[int]) -> tuple[int, int]:
    """Return the smallest value of the first and of the last third: what is there even in quiet moments."""
    third = max(1, len(values) // 3)
    return (min(values[:third]), min(values[-third:])) if values else (0, 0)


def _bytes_without_shared(process: psutil.Process) -> int:
    """Return the memory of a process without what is shared by name or inheritance, where the system tells."""
    try:
        maps = process.memory_maps(grouped=True)
        return sum(int(each.pss) for each in maps if not each.path.startswith(SHARED))
    except (psutil.Error, AttributeError):
        return _own_bytes(process)


def _own_bytes(process: psutil.Process) -> int:
    """Return the memory that is of no file: only that can leak.

    Pages of libraries are private or shared by what other programs run at the moment; they come and go by megabytes.
    """
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
    except (OSError, StopIteration):
        with contextlib.suppress(psutil.Error):
            full = process.memory_full_info()
            return int(getattr(full, "uss", 0) or full.rss)
        return 0
