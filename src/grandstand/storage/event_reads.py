"""Stored events as people look for them; every method runs on the caller's connection."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class EventFilter(NamedTuple):
    """Which events; None is any. `since` is included, `until` is not; both are of `received_at`."""

    user_id: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventRow(NamedTuple):
    """A stored event; `payload` is JSON."""

    event_id: UUID
    received_at: datetime
    occurred_at: datetime
    processed_at: datetime
    event_type: str
    user_id: str
    payload: str


class EventReads:
    """Reads events."""

    async def list_newest(
        self, connection: "Connection[Any]", wanted: EventFilter, *, before: tuple[datetime, UUID], count_max: int
    ) -> list[EventRow]:
        """Return events of a user or of a type before a place, the newest first."""
        rows = await connection.fetch(queries.load("events/list_newest.sql"), *before, *wanted, count_max)
        return [EventRow(*row) for row in rows]

    async def list_newest_of_all(
        self,
        connection: "Connection[Any]",
        wanted: EventFilter,
        *,
        before: tuple[datetime, UUID],
        count_max: int,
        types_max: int,
    ) -> list[EventRow] | None:
        """Return events of anybody and of any type before a place, the newest first.

        None where more than `types_max` types are stored: each costs up to `count_max` rows.
        """
        rows = await connection.fetch(queries.load("events/list_types.sql"), types_max + 1)
        if len(rows) > types_max:
            return None
        types = [row["event_type"] for row in rows]
        rows = await connection.fetch(
            queries.load("events/list_newest_of_types.sql"), *before, types, wanted.since, wanted.until, count_max
        )
        return [EventRow(*row) for row in rows]
