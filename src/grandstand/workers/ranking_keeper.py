"""Keeps every rank index complete: finds those that Valkey lost and rebuilds them, one at a time."""

from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.telemetry import metrics

_ROUND_MAX = 500
_waiting = metrics.STAGE_WAITING.labels("rebuild")


class RankingKeeper:
    """Looks at the rankings that readers found incomplete, and at a stretch of all the others each round."""

    def __init__(
        self,
        database: Database,
        catalog: LeaderboardCatalog,
        rankings: RankingStore,
        index: RankingIndex,
        rebuilder: RankingRebuilder,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._rankings = rankings
        self._index = index
        self._rebuilder = rebuilder
        self._after_id = 0

    async def keep(self) -> None:
        """Rebuild what is incomplete.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        requested = await self._index.take_requests(_ROUND_MAX)
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            suspects = await self._rankings.find_by_ids(connection, requested) if requested else []
            stretch = await self._rankings.list_live(connection, self._after_id, _ROUND_MAX)
        self._after_id = stretch[-1].ranking_id if len(stretch) == _ROUND_MAX else 0
        live = [ranking for ranking in suspects + stretch if ranking.state in ("live", "closed")]
        known = dict.fromkeys(found for ranking in live if (found := self._catalog.indexed(ranking)) is not None)
        incomplete = await self._index.find_incomplete(list(known))
        for number, ranking in enumerate(incomplete):
            _waiting.set(len(incomplete) - number)
            await self._rebuilder.rebuild(ranking)
        _waiting.set(0)
