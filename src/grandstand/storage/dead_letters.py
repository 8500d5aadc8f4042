"""The table of dead letters: events that could not be processed, kept as they came."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from grandstand.domain.dead_letters import Form, LetterStatus
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class NewLetter(NamedTuple):
    """A row to put; `source` is what makes it the same letter again."""

    dead_letter_id: UUID
    source: str
    form: Form
    event_id: str | None
    event_type: str | None
    user_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    priority: str
    events: int
    body: bytes
    error: str
    message: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime


class Letter(NamedTuple):
    """A row as it is read; `body` is None in lists."""

    dead_letter_id: UUID
    form: Form
    event_id: str | None
    event_type: str | None
    user_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    priority: str
    events: int
    error: str
    message: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    status: LetterStatus
    replayed_at: datetime | None
    body: bytes | None = None


class LetterFilter(NamedTuple):
    """Which letters are meant; None means any."""

    event_type: str | None = None
    user_id: str | None = None
    error: str | None = None


class DeadLetterStore:
    """Reads and writes dead letters; every method runs on the caller's connection."""

    async def put(self, connection: "Connection[Any]", letters: Sequence[NewLetter]) -> None:
        """Keep letters; one that is there already is dead again and keeps its id and body."""
        # In one order, so that two workers with the same letters cannot deadlock.
        ordered = sorted(letters, key=_source)
        await connection.executemany(queries.load("dead_letters/put.sql"), ordered)

    async def list_newest(
        self,
        connection: "Connection[Any]",
        wanted: LetterFilter,
        *,
        status: LetterStatus | None,
        before: UUID,
        count_max: int,
    ) -> list[Letter]:
        """Return letters without their bodies, the newest first."""
        rows = await connection.fetch(queries.load("dead_letters/list.sql"), status, *wanted, before, count_max)
        return [Letter(*row) for row in rows]

    async def find(self, connection: "Connection[Any]", dead_letter_id: UUID) -> Letter | None:
        """Return one letter with its body."""
        row = await connection.fetchrow(queries.load("dead_letters/find.sql"), dead_letter_id)
        return None if row is None else Letter(*row)

    async def lock(self, connection: "Connection[Any]", dead_letter_id: UUID) -> Letter | None:
        """Return one letter with its body, held until the transaction ends."""
        row = await connection.fetchrow(queries.load("dead_letters/lock.sql"), dead_letter_id)
        return None if row is None else Letter(*row)

    async def lock_some(
        self, connection: "Connection[Any]", wanted: LetterFilter, *, failed_before: datetime, count_max: int
    ) -> list[Letter]:
        """Return dead letters with their bodies, the oldest first, held until the transaction ends."""
        rows = await connection.fetch(queries.load("dead_letters/lock_some.sql"), *wanted, failed_before, count_max)
        return [Letter(*row) for row in rows]

    async def count(self, connection: "Connection[Any]", wanted: LetterFilter) -> int:
        """Return how many letters are dead."""
        count: int = await connection.fetchval(queries.load("dead_letters/count.sql"), *wanted)
        return count

    async def mark_replayed(self, connection: "Connection[Any]", ids: Sequence[UUID], moment: datetime) -> None:
        """Say that letters are on their way again."""
        await connection.execute(queries.load("dead_letters/mark_replayed.sql"), ids, moment)

    async def delete(self, connection: "Connection[Any]", dead_letter_id: UUID) -> bool:
        """Delete a letter; return whether there was one."""
        return await connection.fetchval(queries.load("dead_letters/delete.sql"), dead_letter_id) is not None

    async def prune(self, connection: "Connection[Any]", replayed_before: datetime) -> None:
        """Delete the letters that were replayed before a moment."""
        await connection.execute(queries.load("dead_letters/prune.sql"), replayed_before)


def _source(letter: NewLetter) -> str:
    return letter.source
