"""The events table: monthly partitions by `received_at`, and each event in it once by its `id`."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from grandstand.storage import queries
from grandstand.storage.event_rows import EventRows
from grandstand.storage.postgres import Connection, open_cursor


def month_of(moment: datetime) -> date:
    """Return the first day of the UTC month in which `moment` lies."""
    return date(moment.year, moment.month, 1)


def next_month(month: date) -> date:
    """Return the first day of the month after `month`."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def partition_name(month: date) -> str:
    """Return the name of the partition that holds `month`."""
    return f"events_{month:%Y_%m}"


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

    async def find_known(self, connection: "Connection[Any]", ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that are stored already, in any partition or in an archive."""
        # As one text, which PostgreSQL takes apart: the driver's own way with arrays costs several times as much.
        wanted = "{" + ",".join(ids) + "}"
        return {str(row[0]) for row in await connection.fetch(queries.load("events/find_known_ids.sql"), wanted)}

    async def store(self, connection: "Connection[Any]", month: date, events: EventRows) -> None:
        """Copy events of one month into its partition. Ids go in ascending order, so two batches cannot deadlock.

        Raises:
            asyncpg.UniqueViolationError: another batch stored one of the ids meanwhile; begin the transaction anew.
            asyncpg.UndefinedTableError: the partition is missing; call `create_partition` outside the transaction.
            RowRefusedError: a value of one event cannot be stored.
            RowsNotStoredError: the database left rows out; nothing that depends on them may be committed.

        """
        try:
            status = await connection.copy_to_table(
                partition_name(month), source=events.for_events(), columns=EventRows.EVENT_COLUMNS, format="binary"
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

    async def create_partition(self, connection: "Connection[Any]", month: date) -> bool:
        """Create the partition of `month` when it is missing; return whether it was."""
        name = partition_name(month)
        if name in await self.partitions(connection):
            return False
        bounds = [datetime(day.year, day.month, 1, tzinfo=UTC).isoformat() for day in (month, next_month(month))]
        statement = queries.load("events/create_partition.sql").format(partition=name, from_=bounds[0], to=bounds[1])
        async with connection.transaction():
            await connection.execute(queries.load("events/lock_partitions.sql"))
            if name in await self.partitions(connection):
                # Another process made it between the first look and the lock.
                return False
            await connection.execute(statement)
        return True

    async def partitions(self, connection: "Connection[Any]") -> list[str]:
        """Return the names of the partitions, oldest first."""
        return [row[0] for row in await connection.fetch(queries.load("events/list_partitions.sql"))]
