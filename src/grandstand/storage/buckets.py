"""Buckets: cohorts of a fixed size that players are placed in, in the order of their first scores."""

from collections.abc import Sequence
from typing import Any

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class BucketStore:
    """Places players; every method runs on the caller's connection."""

    async def place(
        self, connection: "Connection[Any]", ranking_id: int, user_ids: Sequence[str], bucket_size: int
    ) -> dict[str, int]:
        """Return each user's bucket of a ranking, from 1; users without one are placed, in the order given.

        Batches that place players in the same ranking take turns until their transactions end.
        """
        placed = await self.find(connection, ranking_id, user_ids)
        if len(placed) < len(user_ids):
            await connection.execute(queries.load("rankings/lock.sql"), ranking_id)
            # Under the lock: another batch may have placed some of them meanwhile.
            placed = await self.find(connection, ranking_id, user_ids)
            new = [user_id for user_id in user_ids if user_id not in placed]
            taken: int = await connection.fetchval(queries.load("rankings/take_places.sql"), ranking_id, len(new))
            buckets = [(taken + number) // bucket_size + 1 for number in range(len(new))]
            await connection.execute(queries.load("rankings/insert_buckets.sql"), ranking_id, new, buckets)
            placed.update(zip(new, buckets, strict=True))
        return placed

    async def find(self, connection: "Connection[Any]", ranking_id: int, user_ids: Sequence[str]) -> dict[str, int]:
        """Return the buckets of those users that are placed."""
        rows = await connection.fetch(queries.load("rankings/find_buckets.sql"), ranking_id, user_ids)
        return {row["user_id"]: row["bucket"] for row in rows}

    async def delete_chunk(self, connection: "Connection[Any]", ranking_id: int, size_max: int) -> int:
        """Delete up to `size_max` places of a dropped ranking; return how many there were."""
        status = await connection.execute(queries.load("rankings/delete_buckets_chunk.sql"), ranking_id, size_max)
        return int(status.rpartition(" ")[2])
