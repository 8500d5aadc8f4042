"""Ranks computed by PostgreSQL from the entries: what is served while the rank index is not complete.

Right for every size, but each call reads the whole ranking; the index answers otherwise.
"""

from collections.abc import Sequence
from typing import Any

from grandstand.domain.ranking import Position, member, read_member
from grandstand.storage import queries
from grandstand.storage.index_reads import Indexed
from grandstand.storage.postgres import Connection
from grandstand.storage.windows import IndexedEntry, Window


class EntryReads:
    """Answers the index's questions from the entries table, on the caller's connection.

    Several statements answer one question: the caller's transaction must be one of `REPEATABLE READ`.
    """

    async def from_rank(
        self, connection: "Connection[Any]", ranking: Indexed, rank: int, count: int, own: str = ""
    ) -> Window:
        """Read `count` entries from `rank` (from 1) on, and the entry of `own`."""
        rows = await connection.fetch(
            queries.load("entries/page_from_rank.sql"), ranking.ranking_id, ranking.direction, rank - 1, count
        )
        entries = [_entry(rank + number, ranking, row) for number, row in enumerate(rows)]
        own_entries = await self._ranked(connection, ranking, [own]) if own else []
        return Window(await self.total(connection, ranking), own_entries[0] if own_entries else None, entries)

    async def after(
        self, connection: "Connection[Any]", ranking: Indexed, position: Position, count: int, own: str = ""
    ) -> Window:
        """Read `count` entries that stand behind `position`, and the entry of `own`."""
        tie_key, achieved_at, user_id = read_member(position.member, ranking.tie_bytes)
        ahead: int = await connection.fetchval(
            queries.load("entries/count_until.sql"),
            ranking.ranking_id,
            ranking.direction,
            position.position_score,
            tie_key,
            achieved_at,
            user_id,
        )
        return await self.from_rank(connection, ranking, ahead + 1, count, own)

    async def around(
        self, connection: "Connection[Any]", ranking: Indexed, user_id: str, above: int, below: int
    ) -> Window:
        """Read the user's entry with its neighbours; no entries if it has none."""
        found = await self._ranked(connection, ranking, [user_id])
        if not found:
            return Window(await self.total(connection, ranking), None, [])
        first = max(1, found[0].rank - above)
        window = await self.from_rank(connection, ranking, first, found[0].rank - first + 1 + below)
        return window._replace(own=found[0])

    async def lookup(self, connection: "Connection[Any]", ranking: Indexed, user_ids: Sequence[str]) -> Window:
        """Read the entries of these users, in the order of ranks."""
        entries = await self._ranked(connection, ranking, user_ids)
        return Window(await self.total(connection, ranking), None, entries)

    async def _ranked(
        self, connection: "Connection[Any]", ranking: Indexed, user_ids: Sequence[str]
    ) -> list[IndexedEntry]:
        rows = await connection.fetch(
            queries.load("entries/rank_users.sql"), ranking.ranking_id, ranking.direction, list(user_ids)
        )
        return [_entry(row["rank"], ranking, row) for row in rows]

    async def total(self, connection: "Connection[Any]", ranking: Indexed) -> int:
        """Return how many entries the ranking has."""
        count: int = await connection.fetchval(queries.load("entries/count_ranking.sql"), ranking.ranking_id)
        return count


def _entry(rank: int, ranking: Indexed, row: Any) -> IndexedEntry:
    position = Position(row["score"] * ranking.direction, member(row["tie_key"], row["achieved_at"], row["user_id"]))
    return IndexedEntry(rank, position, row["metadata"])
