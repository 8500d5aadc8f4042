"""Rows of starting: how soon `grandstand up` is ready, and what it takes of the memory while nobody asks it anything.

- `start_first_seconds`: in an empty folder, with the engines' own files and the schema to be made.
- `start_warm_seconds`: again with the same data, engines included.
- `idle_mb`: memory of the whole tree, engines included, a moment after it became ready. What several processes share
  counts once (proportional set size); the sum of their resident sets, which counts it each time, is a fact of the row.
  The text of programs is shared with the suite's own deployment, too: alone the tree has some 8 MB more.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import psutil

from bench.measures import Row
from bench.suite import Suite
from grandstand.lab.own_server import Deployment

WARM_LIMIT_SECONDS = 3.0
IDLE_LIMIT_MB = 350.0
_SETTLE_SECONDS = 5.0
"""By then every process has read what it keeps; a measurement of nothing happening has no condition to wait for."""
_MB = 1_000_000


async def measure(suite: Suite) -> list[Row]:
    """Start a deployment of its own in an empty folder, then again and again with its data."""
    with tempfile.TemporaryDirectory(prefix="grandstand-bench-") as name:
        folder = Path(name)
        suite.say("starting, first time")
        first, _ = await _start(folder)
        warm, idle = [], []
        for number in range(max(3, suite.plan.rounds)):
            suite.say(f"starting, round {number + 1}")
            seconds, memory = await _start(folder, _SETTLE_SECONDS)
            warm.append(seconds)
            idle.append(memory)
    shared_once = [pss for pss, _ in idle]
    return [
        Row("start_first_seconds", "`grandstand up` in an empty folder until it is ready", "s", [first]),
        Row("start_warm_seconds", "the same with data", "s", warm, limit=WARM_LIMIT_SECONDS),
        Row(
            "idle_mb", "its memory while nothing happens, engines included", "MB", shared_once, limit=IDLE_LIMIT_MB,
            facts={"rss_mb": round(max(rss for _, rss in idle), 1)},
        ),
    ]  # fmt: skip


async def _start(folder: Path, idle_seconds: float = 0.0) -> tuple[float, tuple[float, float]]:
    """Start and stop; return how many seconds it took to be ready, and its PSS and RSS in MB."""
    began_at = time.monotonic()
    async with Deployment(workers=2, folder=folder) as deployment:
        seconds = time.monotonic() - began_at
        await asyncio.sleep(idle_seconds)
        top = psutil.Process(deployment.supervisor_pid)
        used = [process.memory_full_info() for process in (top, *top.children(recursive=True))]
    return seconds, (sum(item.pss for item in used) / _MB, sum(item.rss for item in used) / _MB)
