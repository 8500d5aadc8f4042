"""The events table: partitions by `received_at`, and each event in it once by its `id`."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from grandstand.domain.partitions import PartitionEvery, PartitionRange, choose_partition, find_partition
from grandstand.storage import queries
from grandstand.storage.array_texts import array_text
from grandstand.storage.event_rows import EventRows
from grandstand.storage.postgres import Connection, open_cursor

LOCK_WAIT_MILLISECONDS = 200
"""Longest wait for a lock that holds batches back. Whoever comes meanwhile waits behind it."""


_BOUNDS = re.compile(r"FROM \('([^']+)'\) TO \('([^']+)'\)")
_LINE = re.compile(r"COPY \w+, line (\d+)")


class RowRefusedError(Exception):
    """The database refuses the row of one event; its own error is the cause."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"The database refuses the event {event_id}.")
        self.event_id = event_id


class RowsNotStoredError(Exception):
    """The database took events without a word and did not store all of them, as a trigger or rule of somebody's may."""


class EventLog:
    """Stores events; every method runs on the caller's connection."""

    def __init__(self, every: PartitionEvery = "month") -> None:
        """`every` is what partitions hold that are made from now on; those that are there stay as they are."""
        self.every = every

    async def find_known(self, connection: "Connection[Any]", ids: Sequence[str]) -> set[str]:
        """Return those of `ids`, in ascending order, that are stored already, in any partition or in an archive."""
        # In order, because every partition sorts them again, which costs a tenth where there is nothing left to sort.
        rows = await connection.fetch(queries.load("events/find_known_ids.sql"), array_text(ids))
        return {str(row[0]) for row in rows}

    async def store(self, connection: "Connection[Any]", partition: PartitionRange, events: EventRows) -> None:
        """Copy events of one partition into it. Ids go in ascending order, so two batches cannot deadlock.

        Raises:
            asyncpg.UniqueViolationError: another batch stored one of the ids meanwhile; begin the transaction anew.
            asyncpg.UndefinedTableError: the partition is missing; call `create_partition` outside the transaction.
            RowRefusedError: a value of one event cannot be stored.
            RowsNotStoredError: the database left rows out; nothing that depends on them may be committed.

        """
        try:
            status = await connection.copy_to_table(
                partition.name, source=events.for_events(), columns=EventRows.EVENT_COLUMNS, format="binary"
            )
        except asyncpg.DataError as error:
            line = _LINE.search(error.context or "")
            if line is None:
                raise
            raise RowRefusedError(events.ids[int(line[1]) - 1]) from error
        stored = int(status.rpartition(" ")[2])
        if stored != len(events):
            raise RowsNotStoredError(f"The database stored {stored} of {len(events)} events and did not say why.")

    async def hold(self, connection: "Connection[Any]") -> None:
        """Let no partition leave until the transaction ends. Call it first in a transaction that reads a snapshot."""
        await connection.execute(queries.load("events/hold.sql"))

    async def read_types(
        self,
        connection: "Connection[Any]",
        event_types: Sequence[str],
        leaderboard_id: int,
        *,
        chunk_events: int,
        timeout_seconds: float,
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the stored events of these types in chunks, in no order, but for those quarantined on the board.

        Needs a transaction around it.
        """
        cursor = await open_cursor(
            connection,
            queries.load("events/list_of_types.sql"),
            event_types,
            leaderboard_id,
            timeout_seconds=timeout_seconds,
        )
        while rows := await cursor.fetch(chunk_events, timeout=timeout_seconds):
            yield rows

    async def read_tournament(
        self,
        connection: "Connection[Any]",
        tournament_id: str,
        event_type: str,
        user_ids: Sequence[str],
        *,
        occurred: tuple[datetime, datetime],
        received: tuple[datetime, datetime],
        timeout_seconds: float,
    ) -> Sequence[Any]:
        """Return some users' events of a tournament in the order of arrival; both times lie in [first, second)."""
        rows: Sequence[Any] = await connection.fetch(
            queries.load("events/list_of_tournament.sql"), user_ids, event_type, tournament_id, *occurred, *received,
            timeout=timeout_seconds,
        )  # fmt: skip
        return rows

    async def create_partition(self, connection: "Connection[Any]", moment: datetime) -> PartitionRange | None:
        """Create the partition that holds `moment` when there is none; return the new one."""
        if find_partition(await self.partitions(connection), moment) is not None:
            return None
        async with connection.transaction():
            await connection.execute(queries.load("events/lock_partitions.sql"))
            held = await self.partitions(connection)
            if find_partition(held, moment) is not None:
                # Another process made it between the first look and the lock.
                return None
            made = choose_partition(held, moment, self.every)
            bounds = {"from_": made.starts_at.isoformat(), "to": made.ends_at.isoformat()}
            await connection.execute(_filled("create_partition", made.name, **bounds))
        return made

    async def drop_empty(self, connection: "Connection[Any]", partitions: Sequence[PartitionRange]) -> bool:
        """Drop partitions when all of them are empty; return whether they were. Needs a transaction.

        Raises:
            asyncpg.LockNotAvailableError: somebody reads or writes events; the transaction is of no use any more.
        """
        await connection.execute(queries.load("event_archives/limit_lock_waits.sql"), f"{LOCK_WAIT_MILLISECONDS}ms")
        for each in partitions:
            await connection.execute(_filled("lock_for_dropping", each.name))
            if await connection.fetchval(_filled("has_any", each.name)):
                return False
        for each in partitions:
            await connection.execute(_filled("drop_partition", each.name))
        return True

    async def partitions(self, connection: "Connection[Any]") -> list[PartitionRange]:
        """Return the partitions, oldest first, with the bounds that PostgreSQL has."""
        found = []
        for row in await connection.fetch(queries.load("events/list_partitions.sql")):
            bounds = _BOUNDS.search(row["bounds"])
            if bounds is not None:
                first, last = (datetime.fromisoformat(text).astimezone(UTC) for text in bounds.groups())
                found.append(PartitionRange(row["name"], first, last))
        return sorted(found, key=lambda each: each.starts_at)


def _filled(name: str, partition: str, **bounds: str) -> str:
    """Return a statement with a partition's name and bounds, which PostgreSQL gave or a date was made into."""
    return queries.load(f"events/{name}.sql").format(partition=partition, **bounds)
