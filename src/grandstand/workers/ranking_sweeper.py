"""Removes what deleted boards left behind, a piece at a time."""

from grandstand.storage.entries import EntryStore
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex

_CHUNK_ENTRIES = 10_000


class RankingSweeper:
    """Deletes the entries and the rank index of deleted boards."""

    def __init__(self, database: Database, store: LeaderboardStore, entries: EntryStore, index: RankingIndex) -> None:
        self._database = database
        self._store = store
        self._entries = entries
        self._index = index

    async def sweep(self) -> None:
        """Remove everything that is left of the boards deleted so far.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.

        """
        async with self._database.connection() as connection:
            rankings = await self._store.unswept(connection)
        for ranking_id in rankings:
            await self._delete_entries(ranking_id)
            # After the entries: a worker may still have published some that it stored before the deletion.
            await self._index.delete(ranking_id)
            async with self._database.connection() as connection:
                await self._store.mark_swept(connection, ranking_id)

    async def _delete_entries(self, ranking_id: int) -> None:
        count = _CHUNK_ENTRIES
        while count == _CHUNK_ENTRIES:
            async with self._database.connection() as connection:
                count = await self._entries.delete_chunk(connection, ranking_id, _CHUNK_ENTRIES)
