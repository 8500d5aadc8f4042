"""Starts a round of archiving in a process of its own when there is something to do.

The libraries that write files are large, and a round takes minutes a day at most: the scheduler stays small.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from datetime import timedelta

import structlog

from grandstand import clock
from grandstand.operations.own_archive import NOT_OWNED_EXIT_CODE
from grandstand.storage.event_archives import EventArchives
from grandstand.storage.postgres import Database
from grandstand.telemetry import metrics

_STOP_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class ArchiveKeeper:
    """Looks whether partitions are due, for the scheduler that leads."""

    def __init__(
        self,
        database: Database,
        archives: EventArchives,
        age: timedelta,
        environment: Mapping[str, str],
        stop: asyncio.Event,
    ) -> None:
        self._database = database
        self._archives = archives
        self._age = age
        self._environment = environment
        self._stop = stop

    async def keep(self) -> bool:
        """Run a round when one is due, and wait for its end; return whether there was one.

        Raises:
            UnavailableError: the database is out of reach.
        """
        now = clock.now()
        async with self._database.connection() as connection:
            if not await self._archives.has_work(connection, now - self._age, now):
                return False
        began_at = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "grandstand", "archive", "run", env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await self._wait(process)
        finally:
            if process.returncode is None:
                # Whatever it was about: the next round goes on from what it leaves.
                process.kill()
                await process.wait()
        metrics.observe("archive", time.monotonic() - began_at, is_error=bool(process.returncode))
        outcome = {0: "done", NOT_OWNED_EXIT_CODE: "refused"}.get(process.returncode or 0, "failed")
        metrics.ARCHIVE_ROUNDS.labels(outcome).inc()
        if process.returncode and not self._stop.is_set():
            _log.error(f"archiving_{outcome}", exit_code=process.returncode)
        return True

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            process.terminate()
            await asyncio.wait((ended,), timeout=_STOP_SECONDS)
        for task in (ended, stopped):
            task.cancel()
