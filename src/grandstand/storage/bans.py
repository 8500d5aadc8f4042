"""Bans: players whose scores do not count."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from grandstand.storage import queries
from grandstand.storage.array_texts import array_of_texts
from grandstand.storage.postgres import Connection


class BanStore:
    """Reads and writes bans; every method runs on the caller's connection."""

    async def find(self, connection: "Connection[Any]", user_ids: Sequence[str]) -> set[str]:
        """Return those of the users who are banned."""
        rows = await connection.fetch(queries.load("bans/find.sql"), array_of_texts(user_ids))
        return {row["user_id"] for row in rows}

    async def get(self, connection: "Connection[Any]", user_id: str) -> tuple[datetime, str] | None:
        """Return since when and why a user is banned, or None."""
        row = await connection.fetchrow(queries.load("bans/get.sql"), user_id)
        return None if row is None else (row["banned_at"], row["ban_reason"])

    async def put(self, connection: "Connection[Any]", user_id: str, now: datetime, reason: str) -> datetime:
        """Ban a user; return since when. Needs the ledger alone."""
        since: datetime = await connection.fetchval(queries.load("bans/put.sql"), user_id, now, reason)
        return since

    async def hold(self, connection: "Connection[Any]", user_id: str) -> None:
        """Keep sessions of a user from being opened until the transaction ends, once those under way are open."""
        await connection.execute(queries.load("bans/hold.sql"), user_id)

    async def share(self, connection: "Connection[Any]", user_id: str) -> None:
        """Keep a user from being banned until the transaction ends, once a ban that is under way is done."""
        await connection.execute(queries.load("bans/share.sql"), user_id)

    async def lift(self, connection: "Connection[Any]", user_id: str, now: datetime) -> bool:
        """Lift a ban, so that what arrives after `now` counts; False when there is none. Needs the ledger alone."""
        return await connection.fetchval(queries.load("bans/lift.sql"), user_id, now) is not None
