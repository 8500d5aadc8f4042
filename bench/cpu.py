"""Who burns the processor while something is measured: seconds of CPU by process, read twice and subtracted.

What the whole machine used beyond ours counts as `others`: it tells how much the figures were disturbed. Where the
system does not let us read another user's processes (macOS), those of ours are among the others.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable

import psutil

from grandstand.lab.own_server import Deployment

OTHERS = "others"
"""Everything that runs on the machine beside the deployment and the benchmark."""

_LEAST_SHARE = 0.02
_TIMES = 4  # user, system, and the two of children that have ended


class CpuMeter:
    """Measures the deployment's processes, and further ones by name and pid."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._extra: dict[str, int] = {}
        self._before: dict[int, tuple[str, float]] = {}
        self._began_at = 0.0
        self._machine_before = 0.0

    def start(self, **extra_pids: int) -> None:
        """Begin; the further processes are named by keyword."""
        self._extra = extra_pids
        self._before = self._read()
        self._began_at = time.monotonic()
        self._machine_before = _machine_seconds()

    def stop(self) -> dict[str, float]:
        """Return the cores that each kind of process kept busy since `start`, most first; idle ones are left out."""
        elapsed_seconds = time.monotonic() - self._began_at
        used: defaultdict[str, float] = defaultdict(float)
        for reading, sign in ((self._read(), 1), (self._before, -1)):
            for name, seconds in reading.values():
                used[name] += sign * seconds
        used[OTHERS] = _machine_seconds() - self._machine_before - sum(used.values())
        cores = {name: round(seconds / elapsed_seconds, 2) for name, seconds in used.items()}
        ordered = sorted(cores.items(), key=lambda item: -item[1])
        return {name: share for name, share in ordered if share >= _LEAST_SHARE}

    def _read(self) -> dict[int, tuple[str, float]]:
        """Return name and seconds of CPU by pid."""
        names = {
            record.pid: record.name.rpartition("-")[0] or record.name for record in self._deployment.state.processes
        }
        names |= {pid: name for name, pid in self._extra.items()}
        names |= {self._deployment.supervisor_pid: "supervisor", os.getpid(): "bench"}
        reading = {}
        for process in _processes(self._deployment.supervisor_pid, [os.getpid(), *self._extra.values()]):
            try:
                times = process.cpu_times()
                name = names.get(process.pid) or process.name().removesuffix("-server")
            except psutil.Error:
                continue
            # A process that ends leaves its time to its parent, so PostgreSQL's backends count however short they live.
            reading[process.pid] = name, sum(times[:_TIMES])
        return reading


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system)


def _processes(root: int, extra: Iterable[int]) -> list[psutil.Process]:
    found = []
    for pid in (root, *extra):
        try:
            process = psutil.Process(pid)
            found.append(process)
            if pid == root:
                found += process.children(recursive=True)
        except psutil.Error:
            continue
    return found
