"""Removes what is not needed any more of archived and dropped rankings, a piece at a time."""

from grandstand.storage.archive import ArchiveStore
from grandstand.storage.buckets import BucketStore
from grandstand.storage.entries import EntryStore
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore

_CHUNK_ENTRIES = 10_000
_ROUND_MAX = 100


class RankingSweeper:
    """Deletes live entries and the rank index of archived rankings, and everything of dropped ones."""

    def __init__(
        self,
        database: Database,
        rankings: RankingStore,
        entries: EntryStore,
        archive: ArchiveStore,
        buckets: BucketStore,
        index: RankingIndex,
    ) -> None:
        self._database = database
        self._rankings = rankings
        self._entries = entries
        self._archive = archive
        self._buckets = buckets
        self._index = index

    async def sweep(self) -> None:
        """Remove what is left of a round of rankings.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        async with self._database.connection() as connection:
            unswept = await self._rankings.list_unswept(connection, _ROUND_MAX)
        for ranking_id, state in unswept:
            await self._delete(self._entries, ranking_id)
            if state == "dropped":
                await self._delete(self._archive, ranking_id)
                await self._delete(self._buckets, ranking_id)
            # After the entries: a worker may still have published some that it stored before.
            await self._index.delete(ranking_id)
            async with self._database.connection() as connection:
                await self._rankings.mark_swept(connection, ranking_id)

    async def _delete(self, store: EntryStore | ArchiveStore | BucketStore, ranking_id: int) -> None:
        count = _CHUNK_ENTRIES
        while count == _CHUNK_ENTRIES:
            async with self._database.connection() as connection:
                count = await store.delete_chunk(connection, ranking_id, _CHUNK_ENTRIES)
