"""Keeps every board's rank index complete: finds those that Valkey lost and rebuilds them, one at a time."""

from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex

_ROUND_BOARDS_MAX = 500


class RankingKeeper:
    """Looks at the boards that readers found incomplete, and at a few of all the others each round."""

    def __init__(
        self, database: Database, catalog: LeaderboardCatalog, index: RankingIndex, rebuilder: RankingRebuilder
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._index = index
        self._rebuilder = rebuilder
        self._next = 0

    async def keep(self) -> None:
        """Rebuild what is incomplete.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.

        """
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
        boards = {board.ranking_id: board for board in self._catalog.all()}
        suspects = [ranking for ranking in await self._index.take_requests(_ROUND_BOARDS_MAX) if ranking in boards]
        suspects += self._slice(list(boards))
        for ranking_id in await self._index.find_incomplete(list(dict.fromkeys(suspects))):
            await self._rebuilder.rebuild(boards[ranking_id])

    def _slice(self, ranking_ids: list[int]) -> list[int]:
        if self._next >= len(ranking_ids):
            self._next = 0
        start, self._next = self._next, self._next + _ROUND_BOARDS_MAX
        return ranking_ids[start : self._next]
