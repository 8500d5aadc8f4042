"""Rollups in PostgreSQL: the queue of batches to count, and the counts. All on the caller's connection."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from grandstand.storage import queries
from grandstand.storage.postgres import Connection

_COUNTED_BYTES = 1_000_000
"""Size of the batches that one transaction counts, some 15,000 events: it must end within the statement time-out."""

QueuedEvent = tuple[str, str, datetime, str, date]
"""event_type, user_id, occurred_at, id, and the first day of the month in which it was received."""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[QueuedEvent])


class RollupStore:
    """Queues batches, counts them, and counts anew."""

    async def enqueue(self, connection: "Connection[Any]", events: Sequence[QueuedEvent]) -> None:
        """Leave events to be counted: they are, once, if and only if this transaction commits."""
        await connection.execute(queries.load("rollups/enqueue.sql"), _encode(events))

    async def lock(self, connection: "Connection[Any]") -> None:
        """Be the only one that changes rollups until the transaction ends."""
        await connection.execute(queries.load("rollups/lock.sql"))

    async def count(self, connection: "Connection[Any]") -> int:
        """Count some queued batches and forget them; return how many. Needs the lock."""
        rows = await connection.fetch(queries.load("rollups/take.sql"), _COUNTED_BYTES)
        seen: Counter[tuple[str, datetime, str, str]] = Counter()
        first: dict[str, tuple[datetime, UUID]] = {}
        months: Counter[date] = Counter()
        for row in rows:
            for event_type, user_id, occurred_at, event_id, month in _decoder.decode(row["events"]):
                hour = occurred_at.replace(minute=0, second=0, microsecond=0)
                day = hour.replace(hour=0)
                seen["hour", hour, event_type, user_id] += 1
                seen["day", day, event_type, user_id] += 1
                seen["day", day, "", user_id] += 1
                candidate = (occurred_at, UUID(event_id))
                if user_id not in first or candidate < first[user_id]:
                    first[user_id] = candidate
                months[month] += 1
        if seen:
            keys = sorted(seen)
            columns = [list(column) for column in zip(*keys, strict=True)]
            await connection.execute(queries.load("rollups/count.sql"), *columns, [seen[key] for key in keys])
            times, ids = zip(*first.values(), strict=True)
            await connection.execute(queries.load("rollups/keep_first.sql"), list(first), times, ids)
            await connection.execute(queries.load("rollups/count_months.sql"), list(months), list(months.values()))
        return len(rows)

    async def counted_months(self, connection: "Connection[Any]") -> list[date]:
        """Return the months in which counted events were received."""
        return [row[0] for row in await connection.fetch(queries.load("rollups/list_months.sql"))]

    async def rebuild(self, connection: "Connection[Any]", timeout_seconds: float) -> None:
        """Count all stored events anew. Needs the ledger alone: no batch may be under way."""
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
