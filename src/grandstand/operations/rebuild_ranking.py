"""Builds the rank index of a ranking anew from the entries, while scores keep coming in."""

import asyncio
import contextlib
import time

import structlog

from grandstand.storage.entries import EntryStore
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import Indexed, RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.telemetry import metrics

_CHUNK_ENTRIES = 5_000
_ATTEMPTS_MAX = 5
_log = structlog.get_logger(__name__)


class RankingRebuilder:
    """Rebuilds rank indexes for one process."""

    def __init__(self, database: Database, rankings: RankingStore, entries: EntryStore, index: RankingIndex) -> None:
        self._database = database
        self._rankings = rankings
        self._entries = entries
        self._index = index

    async def rebuild(self, ranking: Indexed) -> int:
        """Bring every entry of a ranking into its index and mark it complete; return how many there were.

        A ranking that was archived or dropped meanwhile has no index any more, and gets none.

        Workers go on publishing into the same index meanwhile: each entry's version decides which value stays, so
        neither side can undo the other. An index that is lost again during the rebuild is begun anew.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        began_at = time.perf_counter()
        try:
            count = await self._rebuild(ranking)
        finally:
            await self._index.end_rebuild(ranking.ranking_id)
        metrics.REBUILD_SECONDS.observe(time.perf_counter() - began_at)
        return count

    async def _rebuild(self, ranking: Indexed) -> int:
        for _ in range(_ATTEMPTS_MAX):
            token = await self._index.begin_rebuild(ranking)
            count = await self._copy(ranking)
            # After the copy: entries are swept only once their ranking is archived or dropped, so these were all.
            if not await self._is_needed(ranking):
                await self._index.delete(ranking.ranking_id)
                return 0
            if await self._index.finish_rebuild(ranking, token):
                _log.info("ranking_rebuilt", ranking_id=ranking.ranking_id, entries=count)
                return count
        raise RuntimeError(
            f"The rank index of ranking {ranking.ranking_id} was lost again and again while it was rebuilt."
        )

    async def _is_needed(self, ranking: Indexed) -> bool:
        async with self._database.connection() as connection:
            found = await self._rankings.find_by_ids(connection, [ranking.ranking_id])
        return any(each.state in ("live", "closed") for each in found)

    async def _copy(self, ranking: Indexed) -> int:
        count = 0
        # One snapshot is enough: what changes after it is published by whoever changes it, under a newer version.
        async with (
            self._database.snapshot() as connection,
            contextlib.aclosing(self._entries.stream(connection, ranking.ranking_id, _CHUNK_ENTRIES)) as chunks,
        ):
            total = await self._entries.count(connection, ranking.ranking_id)
            chunk = await anext(chunks, None)
            while chunk:
                # The two engines work side by side: the next entries are read while these are published.
                following, _ = await asyncio.gather(
                    anext(chunks, None), self._index.publish(chunk, {ranking.ranking_id: ranking.direction})
                )
                count += len(chunk)
                metrics.REBUILT_ENTRIES.inc(len(chunk))
                await self._index.note_rebuild(ranking.ranking_id, count, total)
                chunk = following
        return count
