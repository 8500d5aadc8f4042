"""Limits the reads that PostgreSQL computes from every entry of a ranking while its rank index is incomplete.

Each costs as much as the ranking is large, and the rebuild of the index, which ends them, needs the same engine. So a
process runs few of them at once and leaves the engine as much time as it takes; who would wait long is told to come
again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from grandstand.domain.errors import UnavailableError
from grandstand.storage.ranking_index import IndexIncompleteError
from grandstand.storage.windows import Window

CONCURRENT_MAX = 2
WAIT_MAX_SECONDS = 2.0
_PAUSE_MAX_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 2


class ComputedReads:
    """The slots of one process."""

    def __init__(self, wait_max_seconds: float = WAIT_MAX_SECONDS) -> None:
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)
        self._wait_max_seconds = wait_max_seconds

    async def run(self, index: Callable[[], Awaitable[Window]], compute: Callable[[], Awaitable[Window]]) -> Window:
        """Return what `compute` does, or `index` when that can answer after the wait for a slot.

        Raises:
            UnavailableError: no slot came free in time, and the index is still incomplete.
        """
        must_wait = self._slots.locked()
        has_slot = await self._take()
        begun_at = time.monotonic()
        try:
            if must_wait:
                with suppress(IndexIncompleteError):
                    return await index()
            if not has_slot:
                raise UnavailableError(
                    "The leaderboard's rank index is being rebuilt; try again.", retry_after=_RETRY_AFTER_SECONDS
                )
            return await compute()
        finally:
            if has_slot:
                # Free again after a pause as long as the read: half of the time is the rebuild's.
                pause_seconds = min(time.monotonic() - begun_at, _PAUSE_MAX_SECONDS)
                asyncio.get_running_loop().call_later(pause_seconds, self._slots.release)

    async def _take(self) -> bool:
        try:
            async with asyncio.timeout(self._wait_max_seconds):
                await self._slots.acquire()
        except TimeoutError:
            return False
        return True
