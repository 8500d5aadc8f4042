"""Reads what rollups and stored events say of players' behaviour; every method runs on the caller's connection."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from grandstand.domain.local_days import LocalDays
from grandstand.storage import queries
from grandstand.storage.postgres import Connection

_ROWS = 2_000
"""Rows of a funnel that are in memory at a time, and that the event loop works through in one go."""


class AnalyticsStore:
    """Reads counts; days are those of a time zone, which `LocalDays` describes.

    A query may take `timeout_seconds`; when that is None, what the pool allows.
    """

    def __init__(self, timeout_seconds: float | None = None) -> None:
        self._timeout_seconds = timeout_seconds

    async def count_events(self, connection: "Connection[Any]", starts_at: datetime, ends_at: datetime) -> int:
        """Return how many counted events occurred on the UTC days that [`starts_at`, `ends_at`) touches."""
        found: int = await connection.fetchval(queries.load("analytics/count_events.sql"), starts_at, ends_at)
        return found

    async def buckets(
        self, connection: "Connection[Any]", grain: str, starts_at: datetime, ends_at: datetime,
        event_type: str | None, rows_max: int,
    ) -> Sequence[Any]:  # fmt: skip
        """Return start, event_type, events and users of hours or UTC days that begin in [`starts_at`, `ends_at`)."""
        return await self._fetch(connection, "list_buckets", grain, starts_at, ends_at, event_type, rows_max)

    async def days(
        self, connection: "Connection[Any]", days: LocalDays, event_type: str | None, rows_max: int
    ) -> Sequence[Any]:
        """Return the same of local days."""
        return await self._fetch(connection, "list_days", *days.bounds(), *days.parts(), event_type, rows_max)

    async def totals(self, connection: "Connection[Any]", days: LocalDays) -> Sequence[Any]:
        """Return day, events and games of each day."""
        return await self._fetch(connection, "count_days", *days.bounds())

    async def are_kept(self, connection: "Connection[Any]", first: date, last: date) -> bool:
        """Return whether what `kept_active` and `kept_cohorts` read is there for all of these UTC days."""
        found: bool = await connection.fetchval(queries.load("analytics/are_kept.sql"), first, last)
        return found

    async def kept_active(self, connection: "Connection[Any]", first: date, last: date) -> Sequence[Any]:
        """Return what `active` does of UTC days, from what is kept of them and of the 29 days before."""
        return await self._fetch(connection, "kept_active", first, last)

    async def kept_cohorts(self, connection: "Connection[Any]", first: date, last: date) -> Sequence[Any]:
        """Return what `cohorts` does of UTC days without a path, from what is kept of them and of the 30 days after."""
        return await self._fetch(connection, "kept_cohorts", first, last)

    async def new_users(self, connection: "Connection[Any]", days: LocalDays) -> Sequence[Any]:
        """Return day and size of each day's new users."""
        return await self._fetch(connection, "count_new", *days.bounds())

    async def active(self, connection: "Connection[Any]", days: LocalDays, first: date) -> Sequence[Any]:
        """Return day, dau, wau and mau of the days from `first`; `days` must begin 29 days earlier."""
        return await self._fetch(connection, "count_active", *days.parts(), first, days.last)

    async def cohorts(
        self, connection: "Connection[Any]", cohorts: LocalDays, days: LocalDays, path: Sequence[str], rows_max: int
    ) -> Sequence[Any]:
        """Return day, label, size, day_1, day_7 and day_30 (users) of cohorts; `days` must reach 30 days further."""
        return await self._fetch(connection, "list_cohorts", *cohorts.bounds(), *days.parts(), path or None, rows_max)

    async def sessions(self, connection: "Connection[Any]", days: LocalDays, gap: timedelta) -> Sequence[Any]:
        """Return number (from 1), sessions, users and mean seconds of the days in which sessions began."""
        _, starts, ends = days.bounds()
        return await self._fetch(connection, "list_sessions", starts, gap, ends[-1])

    async def steps(
        self, connection: "Connection[Any]", event_types: Sequence[str], starts_at: datetime, ends_at: datetime
    ) -> "AsyncIterator[Sequence[Any]]":
        """Yield user_id, event_type and occurred_at, user by user in the order of time. Needs a transaction."""
        query = queries.load("analytics/list_steps.sql")
        cursor = await connection.cursor(query, event_types, starts_at, ends_at, timeout=self._timeout_seconds)
        while rows := await cursor.fetch(_ROWS, timeout=self._timeout_seconds):
            yield rows

    async def has_left(self, connection: "Connection[Any]", since: datetime) -> bool:
        """Return whether events that were received at `since` or later have left PostgreSQL."""
        found: bool = await connection.fetchval(queries.load("analytics/has_left.sql"), since)
        return found

    async def _fetch(self, connection: "Connection[Any]", name: str, *arguments: Any) -> Sequence[Any]:
        query = queries.load(f"analytics/{name}.sql")
        rows: Sequence[Any] = await connection.fetch(query, *arguments, timeout=self._timeout_seconds)
        return rows
