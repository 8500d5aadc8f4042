"""The quarantine: which events do not count on which boards, and what players had in a minute."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from grandstand.domain.plausibility import Minute, QuarantineReason, QuarantineStatus
from grandstand.storage import queries
from grandstand.storage.postgres import Connection

MinuteKey = tuple[int, str, datetime]
"""A player's minute on a board: leaderboard, user, its first moment."""


class NewHeld(NamedTuple):
    """A row to add."""

    quarantine_id: UUID
    event_id: str
    leaderboard_id: int
    user_id: str
    event_type: str
    score: int
    occurred_at: datetime
    received_at: datetime
    reason: QuarantineReason
    quarantined_at: datetime


class Quarantined(NamedTuple):
    """A row as it is read.

    `counts` says that the board takes the event into account again, as if it were not here; `unranked_reason` why a
    released one changes nothing all the same.
    """

    quarantine_id: UUID
    event_id: UUID
    leaderboard_id: int
    key: str
    user_id: str
    event_type: str
    score: int
    occurred_at: datetime
    received_at: datetime
    reason: QuarantineReason
    status: QuarantineStatus
    quarantined_at: datetime
    decided_at: datetime | None
    counts: bool
    unranked_reason: str | None


class QuarantineFilter(NamedTuple):
    """Which rows; None is any."""

    leaderboard: str | None = None
    user_id: str | None = None
    status: QuarantineStatus | None = None


class HeldEvent(NamedTuple):
    """What of a quarantined event is needed to count it; `is_before_rule`: the epoch in force began after it."""

    payload: str
    is_before_rule: bool


class QuarantineStore:
    """Reads and writes the quarantine; every method runs on the caller's connection."""

    async def hold_minutes(
        self, connection: "Connection[Any]", keys: Sequence[MinuteKey], now: datetime
    ) -> dict[MinuteKey, Minute]:
        """Return what players had in these minutes, held until the transaction ends."""
        columns = [list(column) for column in zip(*keys, strict=True)]
        rows = await connection.fetch(queries.load("quarantine/hold_minutes.sql"), *columns, now)
        return {
            (row["leaderboard_id"], row["user_id"], row["minute"]): Minute(row["events"], row["gain"]) for row in rows
        }

    async def set_minutes(self, connection: "Connection[Any]", minutes: Mapping[MinuteKey, Minute]) -> None:
        """Write what players have had in minutes that are held."""
        rows = [(*key, minute.events, minute.gain) for key, minute in minutes.items()]
        columns = [list(column) for column in zip(*rows, strict=True)]
        await connection.execute(queries.load("quarantine/set_minutes.sql"), *columns)

    async def prune_minutes(self, connection: "Connection[Any]", touched_before: datetime, count_max: int) -> int:
        """Forget minutes that were not written lately; return how many, `count_max` at most."""
        status = await connection.execute(queries.load("quarantine/prune_minutes.sql"), touched_before, count_max)
        return int(status.rpartition(" ")[2])

    async def add(self, connection: "Connection[Any]", rows: Sequence[NewHeld]) -> None:
        """Keep events apart; one that is there already stays as it is."""
        await connection.executemany(queries.load("quarantine/add.sql"), rows)

    async def list_newest(
        self, connection: "Connection[Any]", wanted: QuarantineFilter, *, before: UUID, count_max: int
    ) -> list[Quarantined]:
        """Return rows with a smaller id than `before`, the newest first; those of deleted boards are left out."""
        rows = await connection.fetch(queries.load("quarantine/list.sql"), *wanted, before, count_max)
        return [Quarantined(*row) for row in rows]

    async def kept_apart(
        self, connection: "Connection[Any]", pairs: Sequence[tuple[UUID, int]]
    ) -> dict[tuple[UUID, int], tuple[QuarantineReason, QuarantineStatus]]:
        """Return why events do not count, and how that stands, for those of the (event, board) pairs that do not."""
        event_ids, leaderboard_ids = zip(*pairs, strict=True)
        rows = await connection.fetch(queries.load("quarantine/kept_apart.sql"), event_ids, leaderboard_ids)
        return {(row["event_id"], row["leaderboard_id"]): (row["reason"], row["status"]) for row in rows}

    async def lock(self, connection: "Connection[Any]", quarantine_id: UUID) -> Quarantined | None:
        """Return one row, held until the transaction ends."""
        row = await connection.fetchrow(queries.load("quarantine/lock.sql"), quarantine_id)
        return None if row is None else Quarantined(*row)

    async def find_event(self, connection: "Connection[Any]", row: Quarantined) -> HeldEvent | None:
        """Return the event of a row; None when it is not stored any more."""
        found = await connection.fetchrow(
            queries.load("quarantine/find_event.sql"), row.event_id, row.received_at, row.leaderboard_id
        )
        return None if found is None else HeldEvent(*found)

    async def decide(self, connection: "Connection[Any]", row: Quarantined) -> None:
        """Write how a row stands, and since when."""
        await connection.execute(
            queries.load("quarantine/decide.sql"), row.quarantine_id, row.status, row.decided_at, row.counts,
            row.unranked_reason,
        )  # fmt: skip
