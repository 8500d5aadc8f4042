"""Finds and ends what an earlier run left behind.

A pid alone proves nothing (it may be reused): the command line or the time of the start does.
"""

import contextlib
import signal
from collections.abc import Collection
from pathlib import Path

import psutil


def processes_naming(path: Path, programs: Collection[str]) -> list[psutil.Process]:
    """Return the running processes of these programs (their names) whose command line names the path."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # The space before it keeps /a/data from standing for /data. A process that renames itself has one argument.
            if process.name() in programs and f" {path}" in " ".join(["", *process.cmdline()]):
                found.append(process)
    return found


def same_process(pid: int, started_at: float) -> psutil.Process | None:
    """Return the process with this pid when it runs and is the one that started then (Unix time), not a later one."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        # The clock may have been set since; a pid is hardly reused within seconds.
        if abs(process.create_time() - started_at) < 2 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def end_processes(processes: list[psutil.Process], stop_signal: signal.Signals, timeout_seconds: float) -> None:
    """Ask the processes to stop, and kill those that are still there after the timeout."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(stop_signal)
    _, alive = psutil.wait_procs(processes, timeout=timeout_seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=timeout_seconds)
