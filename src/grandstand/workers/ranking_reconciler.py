"""Compares rank indexes with the entries all the time, a stretch at a time, and mends what differs.

The index is written after the commit, so an entry may be newer than it for a moment. Only what still differs at a
second look, some seconds later, is drift.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from grandstand.domain.rankings import Ranking
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.index_reads import Indexed
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.telemetry import metrics

_SAMPLE_ENTRIES = 200
SECOND_LOOK_SECONDS = 3.0
_log = structlog.get_logger(__name__)


class RankingReconciler:
    """Walks through all live rankings, and again from the start."""

    def __init__(
        self,
        database: Database,
        catalog: LeaderboardCatalog,
        rankings: RankingStore,
        entries: EntryStore,
        index: RankingIndex,
        *,
        second_look_seconds: float = SECOND_LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._rankings = rankings
        self._entries = entries
        self._index = index
        self._second_look_seconds = second_look_seconds
        self._ranking_id = 0
        self._after_user = ""

    async def reconcile(self) -> int:
        """Compare one stretch; return how many entries had drifted and are mended.

        Raises:
            UnavailableError: PostgreSQL is out of reach.
            valkey.exceptions.ValkeyError: Valkey is out of reach.
        """
        ranking, chunk = await self._next_stretch()
        indexed = None if ranking is None else self._catalog.indexed(ranking)
        if ranking is None or indexed is None or await self._index.find_incomplete([indexed]):
            return 0
        behind = await self._behind(ranking, {entry.user_id: entry.version for entry in chunk})
        strangers = await self._strangers(ranking)
        if not behind and not strangers:
            return 0
        await asyncio.sleep(self._second_look_seconds)
        return await self._mend(ranking, indexed, behind, strangers)

    async def _next_stretch(self) -> tuple[Ranking | None, list[Entry]]:
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            found = await self._rankings.list_live(connection, self._ranking_id - 1, 1)
            if not found:
                self._ranking_id, self._after_user = 0, ""
                return None, []
            ranking = found[0]
            if ranking.ranking_id != self._ranking_id:
                self._ranking_id, self._after_user = ranking.ranking_id, ""
            chunk = await self._entries.chunk(connection, ranking.ranking_id, self._after_user, _SAMPLE_ENTRIES)
        if len(chunk) < _SAMPLE_ENTRIES:
            self._ranking_id, self._after_user = ranking.ranking_id + 1, ""
        else:
            self._after_user = chunk[-1].user_id
        return ranking, chunk

    async def _behind(self, ranking: Ranking, versions: dict[str, int]) -> dict[str, int]:
        """Return those of the users, with their versions, of whom the index holds something older."""
        held = await self._index.versions(ranking.ranking_id, list(versions))
        return {user_id: version for user_id, version in versions.items() if held.get(user_id, -1) < version}

    async def _strangers(self, ranking: Ranking) -> list[str]:
        """Return users of the index, from a random sample, who have no entry."""
        sample = await self._index.sample_users(ranking.ranking_id, _SAMPLE_ENTRIES)
        if not sample:
            return []
        async with self._database.connection() as connection:
            found = await self._find(connection, ranking, sample)
        return [user_id for user_id in sample if user_id not in found]

    async def _mend(self, ranking: Ranking, indexed: Indexed, behind: dict[str, int], strangers: list[str]) -> int:
        # What the first look saw counts: a player who scores all the time is always a moment ahead of the index.
        behind = await self._behind(ranking, behind)
        if await self._index.find_incomplete([indexed]):
            # Lost since the first look: that is for the keeper.
            return 0
        async with self._database.connection() as connection:
            found = await self._find(connection, ranking, strangers)
            held = await self._index.versions(ranking.ranking_id, strangers)
            strangers = [user_id for user_id in strangers if user_id in held and user_id not in found]
            version = await self._entries.next_version(connection) if strangers else 0
            # Renewed, because the index may hold a removal that was never committed. Who was removed meanwhile is
            # behind nothing, and whose entry has changed since has it published by whoever changed it.
            mended = await self._entries.renew(connection, ranking.ranking_id, behind) if behind else []
        if not mended and not strangers:
            return 0
        await self._index.publish(mended, {ranking.ranking_id: indexed.direction})
        await self._index.forget(ranking.ranking_id, strangers, version)
        metrics.RANKING_DRIFT.inc(len(mended) + len(strangers))
        _log.warning(
            "ranking_drift_mended", ranking_id=ranking.ranking_id, behind=len(mended), strangers=len(strangers)
        )
        return len(mended) + len(strangers)

    async def _find(self, connection: "Connection[Any]", ranking: Ranking, user_ids: Iterable[str]) -> dict[str, Entry]:
        pairs = [(ranking.ranking_id, user_id) for user_id in user_ids]
        return {entry.user_id: entry for entry in await self._entries.find(connection, pairs)}
