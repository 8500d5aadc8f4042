"""Archived periods: entries of closed rankings with the ranks they ended with."""

from collections.abc import Sequence
from typing import Any

from grandstand.domain.ranking import Position, member
from grandstand.storage import queries
from grandstand.storage.index_reads import Indexed
from grandstand.storage.postgres import Connection
from grandstand.storage.windows import IndexedEntry


class ArchiveStore:
    """Writes and reads archives; every method runs on the caller's connection."""

    async def archive(
        self, connection: "Connection[Any]", ranking_id: int, direction: int, *, timeout_seconds: float
    ) -> int | None:
        """Copy a closed ranking with its ranks and mark it archived; return its size, or None if it is not closed."""
        locked = await connection.fetchval(queries.load("archive/lock.sql"), ranking_id)
        if locked is None:
            return None
        status = await connection.execute(
            queries.load("archive/copy.sql"), ranking_id, direction, timeout=timeout_seconds
        )
        total = int(status.rpartition(" ")[2])
        await connection.execute(queries.load("archive/mark.sql"), ranking_id, total)
        return total

    async def page(self, connection: "Connection[Any]", ranking: Indexed, rank: int, count: int) -> list[IndexedEntry]:
        """Return `count` entries from `rank` on."""
        rows = await connection.fetch(queries.load("archive/page.sql"), ranking.ranking_id, rank, count)
        return [_entry(row, ranking) for row in rows]

    async def find_users(
        self, connection: "Connection[Any]", ranking: Indexed, user_ids: Sequence[str]
    ) -> list[IndexedEntry]:
        """Return the entries of these users in the order of ranks."""
        rows = await connection.fetch(queries.load("archive/find_users.sql"), ranking.ranking_id, list(user_ids))
        return [_entry(row, ranking) for row in rows]

    async def delete_chunk(self, connection: "Connection[Any]", ranking_id: int, size_max: int) -> int:
        """Delete up to `size_max` entries of a dropped ranking; return how many there were."""
        status = await connection.execute(queries.load("archive/delete_chunk.sql"), ranking_id, size_max)
        return int(status.rpartition(" ")[2])


def _entry(row: Any, ranking: Indexed) -> IndexedEntry:
    # Ranks are fixed here, so the tie key, which other rules may have made, is of no use to the reader.
    tie_key = bytes(ranking.tie_bytes)
    position = Position(row["score"] * ranking.direction, member(tie_key, row["achieved_at"], row["user_id"]))
    return IndexedEntry(row["rank"], position, row["metadata"])
