"""Children of an earlier tree that outlive it: they finish their work, and until then one may hold the port."""

import contextlib
import signal
from pathlib import Path

import psutil
import structlog

from grandstand.embedded.processes import end_processes, same_process
from grandstand.supervisor.state import read_state

TIMEOUT_SECONDS = 5.0

logger = structlog.get_logger(__name__)


def end_left_over_children(data_dir: Path) -> None:
    """End the children that the last state names and that still run. Call it only while holding the data folder."""
    state = read_state(data_dir)
    if state is None:
        return
    found = []
    for record in state.processes:
        process = same_process(record.pid, record.started_at)
        with contextlib.suppress(psutil.Error):
            if process is not None and "grandstand" in process.cmdline():
                found.append(process)
    if found:
        logger.warning("children_left_over", pids=[process.pid for process in found])
        end_processes(found, signal.SIGTERM, TIMEOUT_SECONDS)
