"""Reports in PostgreSQL: questions to analytics, and their answers for as long as they are asked for.

All on the caller's connection.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from grandstand.storage import queries
from grandstand.storage.postgres import Connection

REPORTS_MAX = 100
"""Questions that are kept at a time."""


class KeptReport(NamedTuple):
    """What is kept of a question: when it was counted and in how many seconds; all None before that."""

    as_of: datetime | None
    seconds: float | None
    outcome: bytes | None


class ReportStore:
    """Writes and reads them."""

    async def ask(
        self, connection: "Connection[Any]", digest: bytes, kind: str, question: bytes, now: datetime
    ) -> KeptReport | None:
        """Write down that a question is asked; return what is kept of it. None when too many others are."""
        row = await connection.fetchrow(
            queries.load("reports/ask.sql"), digest, kind, question, now, REPORTS_MAX
        )  # fmt: skip
        return None if row is None else KeptReport(*row)

    async def find(self, connection: "Connection[Any]", digest: bytes) -> KeptReport | None:
        """Return what is kept of a question; None when it is not asked any more."""
        row = await connection.fetchrow(queries.load("reports/find.sql"), digest)
        return None if row is None else KeptReport(*row)

    async def next_due(self, connection: "Connection[Any]", now: datetime, age: timedelta) -> tuple[int, bytes] | None:
        """Return the id and the question of what is to be counted next: never counted, or longer ago than `age`."""
        row = await connection.fetchrow(queries.load("reports/next_due.sql"), now, age)
        return None if row is None else (row["report_id"], row["question"])

    async def keep(
        self, connection: "Connection[Any]", report_id: int, as_of: datetime, seconds: float, outcome: bytes
    ) -> None:
        """Keep what was counted, unless the report was forgotten meanwhile."""
        await connection.execute(queries.load("reports/keep.sql"), report_id, as_of, seconds, outcome)

    async def prune(self, connection: "Connection[Any]", asked_since: datetime) -> None:
        """Forget what was not asked since then."""
        await connection.execute(queries.load("reports/prune.sql"), asked_since)

    async def forget_values(self, connection: "Connection[Any]") -> None:
        """Forget all reports that may hold values of payloads."""
        await connection.execute(queries.load("reports/forget_values.sql"))

    async def allow_time(self, connection: "Connection[Any]", seconds: float) -> None:
        """Let the statements of this transaction take so long. Takes the transaction's snapshot."""
        await connection.execute(queries.load("reports/allow_time.sql"), str(int(1000 * seconds)))
