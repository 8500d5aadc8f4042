"""The audit log in PostgreSQL: rows are added, in the transaction of what they tell of, and read."""

from datetime import datetime
from typing import Any, NamedTuple

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class AuditRow(NamedTuple):
    """A row as it is read; `before` and `after` are JSON."""

    audit_id: int
    recorded_at: datetime
    actor: str
    address: str | None
    action: str
    target: str
    before: str | None
    after: str | None


class AuditFilter(NamedTuple):
    """Which rows; None is any. `since` is included, `until` is not."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditStore:
    """Adds and reads rows; every method runs on the caller's connection."""

    async def add(
        self,
        connection: "Connection[Any]",
        recorded_at: datetime,
        actor: str,
        address: str | None,
        action: str,
        target: str,
        before: str | None,
        after: str | None,
    ) -> None:
        """Add a row; it is there if the transaction is."""
        await connection.execute(
            queries.load("audit/add.sql"), recorded_at, actor, address, action, target, before, after
        )

    async def list_newest(
        self, connection: "Connection[Any]", wanted: AuditFilter, *, before: int, count_max: int
    ) -> list[AuditRow]:
        """Return rows with a smaller id than `before`, the newest first."""
        if wanted[:3] == (None, None, None) and wanted != AuditFilter():
            query = queries.load("audit/list_between.sql")
            rows = await connection.fetch(query, before, wanted.since, wanted.until, count_max)
        else:
            rows = await connection.fetch(queries.load("audit/list_newest.sql"), before, *wanted, count_max)
        return [AuditRow(*row) for row in rows]
