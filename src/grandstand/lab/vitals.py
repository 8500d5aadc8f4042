"""What a run costs: processors and memory by kind of process, the pools, how much waits, and for how long."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import psutil

from grandstand.lab.asker import Asker
from grandstand.lab.errors import LabError

INTERVAL_SECONDS = 1.0
MEMORY_EVERY = 5
"""Memory is looked at in each so-many-th sample: the kernel counts pages for it."""

GENERATOR = "generator"
SUPERVISOR = "supervisor"
ENGINES = ("postgres", "valkey")
T = TypeVar("T")
_MB = 1_048_576
_ANSWER_TIMEOUT_SECONDS = 5.0


class _Stream(msgspec.Struct):
    depth: int | None
    lag_seconds: float | None


class _Health(msgspec.Struct):
    stream: _Stream


class Pool(msgspec.Struct):
    """Connections to PostgreSQL of the process that answered: how many there are, of these idle; who waits for one."""

    total: int
    idle: int
    waiting: int
    max: int


class _Pools(msgspec.Struct):
    pools: dict[str, Pool]


class Used(msgspec.Struct, frozen=True):
    """What a process has used so far, in seconds of a processor: itself, and its children that have ended."""

    name: str
    own_seconds: float
    ended_seconds: float


class Sample(msgspec.Struct):
    """One look. Cores and memory by kind of process; of a server that is not ours only what it tells.

    `busiest` are the cores of the busiest process of a kind. `rss_mb` counts pages that processes share for each of
    them, `pss_mb` once.
    """

    at_seconds: float
    depth: int | None
    lag_seconds: float | None
    machine_share: float
    pools: dict[str, Pool]
    cores: dict[str, float]
    busiest: dict[str, float]
    rss_mb: dict[str, float]
    pss_mb: dict[str, float]


@dataclass
class Vitals:
    """Looks at a server until cancelled. `root_pid` is the top process of one that runs here, `names` of the rest."""

    host: str
    port: int
    key: str
    root_pid: int | None = None
    names: Callable[[], dict[int, str]] = dict
    generator_pids: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    _known: dict[int, str] = field(default_factory=dict)

    async def watch(self) -> None:
        """Take a sample a second."""
        began_at = before_at = time.monotonic()
        before = self._processor_seconds()
        psutil.cpu_percent()
        async with Asker(self.host, self.port, self.key, answer_seconds=_ANSWER_TIMEOUT_SECONDS) as asker:
            while True:
                await asyncio.sleep(INTERVAL_SECONDS)
                health = await _answer(asker, "/api/health", _Health)
                depth, lag_seconds = (
                    (None, None) if health is None else (health.stream.depth, health.stream.lag_seconds)
                )
                pools = await _answer(asker, "/api/health/pool", _Pools)
                now, after = time.monotonic(), self._processor_seconds()
                cores, busiest = cores_between(before, after, now - before_at)
                has_memory = len(self.samples) % MEMORY_EVERY == 0
                rss_mb, pss_mb = await asyncio.to_thread(self._memory_mb) if has_memory else ({}, {})
                share = psutil.cpu_percent() / 100
                self.samples.append(
                    Sample(
                        round(now - began_at, 2), depth, lag_seconds, share, {} if pools is None else pools.pools,
                        cores, busiest, rss_mb, pss_mb,
                    )
                )  # fmt: skip
                before, before_at = after, now

    def _processes(self) -> list[psutil.Process]:
        found = []
        for pid in (self.root_pid, *self.generator_pids):
            with contextlib.suppress(psutil.Error):
                if pid is not None:
                    top = psutil.Process(pid)
                    found += [top, *top.children(recursive=True)]
        return found

    def _name(self, process: psutil.Process) -> str:
        if process.pid == self.root_pid:
            return SUPERVISOR
        if process.pid in self.generator_pids:
            return GENERATOR
        if process.pid not in self._known:
            self._known[process.pid] = self.names().get(process.pid) or process.name().removesuffix("-server")
        return self._known[process.pid]

    def _processor_seconds(self) -> dict[int, Used]:
        used = {}
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                user, system, children_user, children_system = process.cpu_times()[:4]
                used[process.pid] = Used(self._name(process), user + system, children_user + children_system)
        return used

    def _memory_mb(self) -> tuple[dict[str, float], dict[str, float]]:
        rss: defaultdict[str, float] = defaultdict(float)
        pss: defaultdict[str, float] = defaultdict(float)
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                full, name = process.memory_full_info(), self._name(process)
                rss[name] += full.rss / _MB
                pss[name] += (getattr(full, "pss", 0) or full.rss) / _MB
        return {name: round(mb, 1) for name, mb in rss.items()}, {name: round(mb, 1) for name, mb in pss.items()}


async def _answer(asker: Asker, path: str, kind: type[T]) -> T | None:
    # A server that says nothing now is asked again at the next look.
    with contextlib.suppress(LabError, msgspec.MsgspecError):
        status, body = await asker.ask("GET", path)
        return msgspec.json.decode(body, type=kind) if status == 200 else None
    return None


def cores_between(
    before: Mapping[int, Used], after: Mapping[int, Used], seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the cores that each kind of process used between two looks, and those of its busiest process.

    A process that ends leaves its time to its parent: backends count however short they live, and those that were seen
    before do not count again.
    """
    cores: defaultdict[str, float] = defaultdict(float)
    busiest: defaultdict[str, float] = defaultdict(float)
    for pid, now in after.items():
        # One that is new began before the last look, or its parent is told of it when it ends.
        then = before.get(pid, now)
        cores[now.name] += now.own_seconds - then.own_seconds + now.ended_seconds - then.ended_seconds
        busiest[now.name] = max(busiest[now.name], (now.own_seconds - then.own_seconds) / seconds)
    for pid, then in before.items():
        if pid not in after:
            cores[then.name] -= then.own_seconds + then.ended_seconds
    return {name: round(max(0.0, used) / seconds, 3) for name, used in cores.items()}, {
        name: round(share, 3) for name, share in busiest.items()
    }
