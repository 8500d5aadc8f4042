"""Builds the rank index of a ranking anew from the entries, while scores keep coming in."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import structlog

from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.index_reads import Indexed
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.telemetry import metrics

_CHUNK_ENTRIES = 10_000
_NEWS_SECONDS = 0.5
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
        with metrics.timed("rebuild"):
            try:
                return await self._rebuild(ranking)
            finally:
                await self._index.end_rebuild(ranking.ranking_id)

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
        progress = _Progress(self._index, ranking)
        # One snapshot is enough: what changes after it is published by whoever changes it, under a newer version.
        async with (
            self._database.snapshot() as connection,
            contextlib.aclosing(self._entries.stream(connection, ranking.ranking_id, _CHUNK_ENTRIES)) as chunks,
        ):
            progress.total = await self._entries.count(connection, ranking.ranking_id)
            publishing: asyncio.Future[None] | None = None
            try:
                while chunk := await anext(chunks, None):
                    # The engines work side by side: the next entries are read and packed while these are published.
                    before, publishing = publishing, asyncio.ensure_future(self._publish(chunk, progress))
                    if before is not None:
                        await before
                if publishing is not None:
                    await publishing
            finally:
                if publishing is not None:
                    publishing.cancel()
                    await asyncio.gather(publishing, return_exceptions=True)
        return progress.entries

    async def _publish(self, chunk: Sequence[Entry], progress: "_Progress") -> None:
        await self._index.publish(chunk, {progress.ranking.ranking_id: progress.ranking.direction})
        metrics.REBUILT_ENTRIES.inc(len(chunk))
        await progress.add(len(chunk))


class _Progress:
    """How far a rebuild is, told to everybody once in a while."""

    def __init__(self, index: RankingIndex, ranking: Indexed) -> None:
        self.ranking = ranking
        self.entries = 0
        self.total = 0
        self._index = index
        self._told_at = -_NEWS_SECONDS

    async def add(self, entries: int) -> None:
        """Count entries that are in the index now."""
        self.entries += entries
        now = time.monotonic()
        if now - self._told_at >= _NEWS_SECONDS or self.entries == self.total:
            self._told_at = now
            await self._index.note_rebuild(self.ranking.ranking_id, self.entries, self.total)
