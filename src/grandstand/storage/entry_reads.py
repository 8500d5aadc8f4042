"""Ranks computed by PostgreSQL from the entries: what is served while the rank index is not complete.

Right for every size, but each call reads the whole ranking; the index answers otherwise.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from grandstand.domain.ranking import Position, member, read_member
from grandstand.storage import queries
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import IndexedEntry, Window

_CONCURRENT_MAX = 2
"""Whole-ranking reads one process runs at once, so that a lost index does not take every connection."""


class EntryReads:
    """Answers the index's questions from the entries table. Raises `UnavailableError` when that is out of reach."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slots = asyncio.Semaphore(_CONCURRENT_MAX)

    async def from_rank(self, ranking_id: int, direction: int, rank: int, count: int, own: str = "") -> Window:
        """Read `count` entries from `rank` (from 1) on, and the rank of `own`."""
        async with self._slots, self._database.transaction() as connection:
            await _freeze(connection)
            return await _page(connection, ranking_id, direction, rank - 1, count, own)

    async def after(self, ranking_id: int, direction: int, position: Position, count: int, own: str = "") -> Window:
        """Read `count` entries that stand behind `position`, and the rank of `own`."""
        async with self._slots, self._database.transaction() as connection:
            await _freeze(connection)
            ahead = await _count_until(connection, ranking_id, direction, position)
            return await _page(connection, ranking_id, direction, ahead, count, own)

    async def around(self, ranking_id: int, direction: int, user_id: str, above: int, below: int) -> Window:
        """Read the user's entry with its neighbours; no entries if it has none."""
        async with self._slots, self._database.transaction() as connection:
            await _freeze(connection)
            rank = await _rank(connection, ranking_id, direction, user_id)
            if not rank:
                return Window(await _total(connection, ranking_id), None, [])
            first = max(1, rank - above)
            window = await _page(connection, ranking_id, direction, first - 1, rank - first + 1 + below, "")
            return window._replace(own=window.entries[rank - first])

    async def lookup(self, ranking_id: int, direction: int, user_ids: Sequence[str]) -> Window:
        """Read the entries of these users, in the order of ranks."""
        async with self._slots, self._database.transaction() as connection:
            await _freeze(connection)
            rows = await connection.fetch(queries.load("entries/rank_users.sql"), ranking_id, direction, list(user_ids))
            entries = [_entry(row["rank"], direction, row) for row in rows]
            return Window(await _total(connection, ranking_id), None, entries)


async def _freeze(connection: "Connection[Any]") -> None:
    """Let every statement of this transaction see the same entries, so that ranks and total belong together."""
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def _page(
    connection: "Connection[Any]", ranking_id: int, direction: int, offset: int, count: int, own: str
) -> Window:
    rows = await connection.fetch(queries.load("entries/page_from_rank.sql"), ranking_id, direction, offset, count)
    entries = [_entry(offset + number, direction, row) for number, row in enumerate(rows, start=1)]
    own_entry = None
    if own:
        own_rows = await connection.fetch(queries.load("entries/rank_users.sql"), ranking_id, direction, [own])
        own_entry = _entry(own_rows[0]["rank"], direction, own_rows[0]) if own_rows else None
    return Window(await _total(connection, ranking_id), own_entry, entries)


async def _rank(connection: "Connection[Any]", ranking_id: int, direction: int, user_id: str) -> int:
    rows = await connection.fetch(queries.load("entries/rank_users.sql"), ranking_id, direction, [user_id])
    return int(rows[0]["rank"]) if rows else 0


async def _count_until(connection: "Connection[Any]", ranking_id: int, direction: int, position: Position) -> int:
    achieved_at, user_id = read_member(position.member)
    count: int = await connection.fetchval(
        queries.load("entries/count_until.sql"), ranking_id, direction, position.position_score, achieved_at, user_id
    )
    return count


async def _total(connection: "Connection[Any]", ranking_id: int) -> int:
    count: int = await connection.fetchval(queries.load("entries/count_ranking.sql"), ranking_id)
    return count


def _entry(rank: int, direction: int, row: Any) -> IndexedEntry:
    return IndexedEntry(rank, Position(row["score"] * direction, member(row["achieved_at"], row["user_id"])))
