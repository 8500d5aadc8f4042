"""Rollups in PostgreSQL: the queue of batches to count, and the counts. All on the caller's connection."""

from datetime import date, datetime
from typing import Any

import asyncpg

from grandstand.domain.partitions import PartitionRange
from grandstand.storage import queries
from grandstand.storage.event_rows import EventRows
from grandstand.storage.postgres import Connection

_COUNTED_EVENTS = 50_000
"""Events that one transaction counts: it must end within the statement time-out."""


class RollupsBusyError(Exception):
    """Somebody else changes the rollups right now; try again later."""


class RollupStore:
    """Queues batches, counts them, and counts anew."""

    async def enqueue(self, connection: "Connection[Any]", partition: PartitionRange, events: EventRows) -> None:
        """Leave events of a partition to be counted: they are, once, if and only if this transaction commits."""
        days = partition.starts_at.date(), partition.ends_at.date()
        await connection.copy_to_table(
            "rollup_queue", source=events.for_queue(*days), columns=EventRows.QUEUE_COLUMNS, format="binary"
        )

    async def lock(self, connection: "Connection[Any]", *, waits: bool = False) -> None:
        """Be the only one that changes rollups until the transaction ends.

        Raises:
            RollupsBusyError: somebody else is, with `waits` for as long as a query may take. The transaction is of no
                use any more.
        """
        try:
            await connection.execute(queries.load("rollups/lock_waiting.sql" if waits else "rollups/lock.sql"))
        except (asyncpg.LockNotAvailableError, TimeoutError) as error:
            raise RollupsBusyError from error

    async def waiting(self, connection: "Connection[Any]") -> tuple[float, int]:
        """Return how many seconds the oldest batch that is not counted has been waiting, and how many events wait."""
        (row,) = await connection.fetch(queries.load("rollups/lag.sql"))
        return row["lag_seconds"], row["events"]

    async def has_queued(self, connection: "Connection[Any]", partition: PartitionRange) -> bool:
        """Return whether events of a partition wait to be counted."""
        days = partition.starts_at.date(), partition.ends_at.date()
        found: bool = await connection.fetchval(queries.load("rollups/has_queued.sql"), *days)
        return found

    async def count(self, connection: "Connection[Any]") -> int:
        """Count some queued batches and forget them; return how many. Needs the lock."""
        batches = [row[0] for row in await connection.fetch(queries.load("rollups/take.sql"), _COUNTED_EVENTS)]
        if batches:
            await connection.execute(queries.load("rollups/plan.sql"))
            for name in ("count", "keep_first", "count_months", "forget"):
                await connection.execute(queries.load(f"rollups/{name}.sql"), batches)
        return len(batches)

    async def missing_months(self, connection: "Connection[Any]", timeout_seconds: float) -> list[date]:
        """Return the months of arrival of which fewer events are stored than were counted."""
        rows = await connection.fetch(queries.load("rollups/missing_months.sql"), timeout=timeout_seconds)
        return [row[0] for row in rows]

    async def rebuild(self, connection: "Connection[Any]", timeout_seconds: float) -> None:
        """Count all stored events anew, as of the transaction's snapshot, which must be younger than its lock."""
        for name in ("empty", "rebuild_users", "rebuild_counts", "rebuild_first", "rebuild_months"):
            await connection.execute(queries.load(f"rollups/{name}.sql"), timeout=timeout_seconds)

    async def rename(
        self, connection: "Connection[Any]", user_id: str, pseudonym: str, received_until: datetime
    ) -> None:
        """Give what was counted of a user to a pseudonym. Needs the ledger alone, the lock and an empty queue."""
        await connection.execute(queries.load("rollups/rename_user.sql"), user_id, pseudonym, received_until)
        await connection.execute(queries.load("rollups/rename_first.sql"), user_id, pseudonym, received_until)
        # Whichever of the two has lost its first event to the other, or to nobody, gets the first that is stored.
        for name in (user_id, pseudonym):
            await connection.execute(queries.load("rollups/find_first.sql"), name)
