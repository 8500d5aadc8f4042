"""Builds the rank index of a ranking anew from the entries, while scores keep coming in."""

import structlog

from grandstand.storage.entries import EntryStore
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex

_CHUNK_ENTRIES = 5_000
_ATTEMPTS_MAX = 5
_log = structlog.get_logger(__name__)


class RankingRebuilder:
    """Rebuilds rank indexes for one process."""

    def __init__(self, database: Database, entries: EntryStore, index: RankingIndex) -> None:
        self._database = database
        self._entries = entries
        self._index = index

    async def rebuild(self, ranking_id: int, direction: int) -> int:
        """Bring every entry of a ranking into its index and mark it complete; return how many there were.

        Workers go on publishing into the same index meanwhile: each entry's version decides which value stays, so
        neither side can undo the other. An index that is lost again during the rebuild is begun anew.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        for _ in range(_ATTEMPTS_MAX):
            token = await self._index.begin_rebuild(ranking_id)
            count = await self._copy(ranking_id, direction)
            if await self._index.finish_rebuild(ranking_id, token):
                _log.info("ranking_rebuilt", ranking_id=ranking_id, entries=count)
                return count
        raise RuntimeError(f"The rank index of ranking {ranking_id} was lost again and again while it was rebuilt.")

    async def _copy(self, ranking_id: int, direction: int) -> int:
        count, after = 0, ""
        while True:
            async with self._database.connection() as connection:
                chunk = await self._entries.chunk(connection, ranking_id, after, _CHUNK_ENTRIES)
            if not chunk:
                return count
            await self._index.publish(chunk, {ranking_id: direction})
            count, after = count + len(chunk), chunk[-1].user_id
