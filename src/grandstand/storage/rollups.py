"""Rollups in PostgreSQL: the queue of batches to count, and the counts. All on the caller's connection."""

from datetime import date, datetime
from typing import Any, NamedTuple

import asyncpg

from grandstand.domain.partitions import PartitionRange
from grandstand.storage import queries
from grandstand.storage.event_rows import EventRows
from grandstand.storage.postgres import Connection

_COUNTED_EVENTS = 2_000
"""Events from which on a transaction takes no further batch: it has a core for some 20 ms on a busy machine, of which
two are its own, whatever its size."""

_COUNTED_EVENTS_LARGE = 20_000
"""The same where counting is behind: how much waits is asked before each piece, and costs more the more it is."""

_COUNTED_BATCHES = 1_000

_FILL_SECONDS_MAX = 120.0
"""What a day of some millions of users may take."""


class Counted(NamedTuple):
    """How many batches were counted, and whether that was all that was queued."""

    batches: int
    is_all: bool


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

    async def count(self, connection: "Connection[Any]", *, is_large: bool = False) -> Counted:
        """Count some queued batches and forget them, ten times as many with `is_large`. Needs the lock."""
        events_max = _COUNTED_EVENTS_LARGE if is_large else _COUNTED_EVENTS
        rows = await connection.fetch(queries.load("rollups/take.sql"), events_max, _COUNTED_BATCHES)
        batches = [row["batch_id"] for row in rows]
        if batches:
            await connection.execute(queries.load("rollups/plan.sql"))
            for name in ("count", "keep_first", "forget"):
                await connection.execute(queries.load(f"rollups/{name}.sql"), batches)
        events = sum(row["events"] for row in rows)
        return Counted(len(batches), is_all=len(batches) < _COUNTED_BATCHES and events < events_max)

    async def missing_months(self, connection: "Connection[Any]", timeout_seconds: float) -> list[date]:
        """Return the months of arrival of which fewer events are stored than were counted."""
        rows = await connection.fetch(queries.load("rollups/missing_months.sql"), timeout=timeout_seconds)
        return [row[0] for row in rows]

    async def rebuild(self, connection: "Connection[Any]", timeout_seconds: float) -> None:
        """Count all stored events anew, as of the transaction's snapshot, which must be younger than its lock.

        Of what is kept of days nothing is left; see `fill_day`.
        """
        for name in ("empty", "rebuild_users", "rebuild_counts", "rebuild_first", "rebuild_months"):
            await connection.execute(queries.load(f"rollups/{name}.sql"), timeout=timeout_seconds)

    async def forget_wrong_days(self, connection: "Connection[Any]") -> None:
        """Let days wait to be filled that do not fit their users, and all that may be wrong for it. Needs the lock."""
        first = await connection.fetchval(queries.load("rollups/find_wrong_day.sql"))
        if first is not None:
            await connection.execute(queries.load("rollups/forget_days.sql"), first)
            await connection.execute(queries.load("rollups/await_days.sql"), first)

    async def fill_day(self, connection: "Connection[Any]") -> bool:
        """Keep the newest day that waits for it; return whether there was one. Needs the lock."""
        status = await connection.execute(queries.load("rollups/fill_day.sql"), timeout=_FILL_SECONDS_MAX)
        return not status.endswith(" 0")

    async def rename(
        self, connection: "Connection[Any]", user_id: str, pseudonym: str, received_until: datetime
    ) -> None:
        """Give what was counted of a user to a pseudonym. Needs the ledger alone, the lock and an empty queue."""
        names = [user_id, pseudonym]
        await connection.execute(queries.load("rollups/contribute.sql"), names, -1)
        await connection.execute(queries.load("rollups/rename_user.sql"), user_id, pseudonym, received_until)
        await connection.execute(queries.load("rollups/rename_first.sql"), user_id, pseudonym, received_until)
        # Whichever of the two has lost its first event to the other, or to nobody, gets the first that is stored.
        for name in names:
            await connection.execute(queries.load("rollups/find_first.sql"), name)
        await connection.execute(queries.load("rollups/contribute.sql"), names, 1)
