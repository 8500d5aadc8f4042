"""Throws rank indexes away and makes them anew from the entries, one ranking after the other, beside live traffic."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from grandstand.domain.errors import NotFoundError
from grandstand.domain.leaderboards import Leaderboard
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.changes import Changes
from grandstand.storage.index_reads import Indexed
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore


class Rebuilt(NamedTuple):
    """How far it is: rankings that are done, of how many, and the entries in them."""

    rankings: int
    rankings_total: int
    entries: int


class BoardRebuilder:
    """Rebuilds the rank indexes of boards for one command."""

    def __init__(
        self,
        database: Database,
        catalog: LeaderboardCatalog,
        rankings: RankingStore,
        index: RankingIndex,
        changes: Changes,
        rebuilder: RankingRebuilder,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._rankings = rankings
        self._index = index
        self._changes = changes
        self._rebuilder = rebuilder

    async def rebuild(self, keys: Sequence[str] | None, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        """Rebuild the indexes of all running or closed periods of these boards; of all boards when None.

        With all of them, indexes of rankings go that nobody knows any more. While a ranking has no index it is read
        from PostgreSQL.

        Raises:
            NotFoundError: there is no such board; nothing was done.
            UnavailableError: PostgreSQL is out of reach; what has no index now is found by a scheduler, or next time.
            valkey.exceptions.ValkeyError: Valkey is out of reach; likewise.
        """
        # Looked at before the rankings are: what is made in between is among those, and not among these.
        held = await self._index.held() if keys is None else set()
        wanted = await self._find(keys)
        for ranking_id in held - {ranking.ranking_id for ranking in wanted}:
            await self._index.delete(ranking_id)
        done = Rebuilt(0, len(wanted), 0)
        on_progress(done)
        for ranking in wanted:
            await self._index.delete(ranking.ranking_id)
            await self._changes.rankings([ranking.ranking_id])
            entries = await self._rebuilder.rebuild(ranking)
            done = Rebuilt(done.rankings + 1, len(wanted), done.entries + entries)
            on_progress(done)
        return done

    async def _find(self, keys: Sequence[str] | None) -> list[Indexed]:
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            boards = self._catalog.all() if keys is None else [self._board(key) for key in dict.fromkeys(keys)]
            return [
                found
                for board in boards
                for ranking in await self._rankings.list_parts(connection, board.leaderboard_id)
                if (found := self._catalog.indexed(ranking)) is not None
            ]

    def _board(self, key: str) -> Leaderboard:
        board = self._catalog.get(key)
        if board is None:
            raise NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
        return board
