"""The players table: what a game says of a player beside events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class Player(NamedTuple):
    """One row; `metadata` is JSON text."""

    user_id: str
    display_name: str | None
    country: str | None
    metadata: str
    created_at: datetime
    updated_at: datetime


class PlayerStore:
    """Reads and writes players; every method runs on the caller's connection."""

    async def find_names(self, connection: "Connection[Any]", user_ids: Sequence[str]) -> dict[str, str]:
        """Return the display names of those users that have one."""
        rows = await connection.fetch(queries.load("players/find_names.sql"), list(user_ids))
        return {row["user_id"]: row["display_name"] for row in rows}

    async def has_more_than(self, connection: "Connection[Any]", count: int) -> bool:
        """Whether something has been said of more players than so many."""
        found: int = await connection.fetchval(queries.load("players/count_some.sql"), count + 1)
        return found > count

    async def list_names(self, connection: "Connection[Any]") -> dict[str, str]:
        """Return the display names of all users that have one. For few players."""
        rows = await connection.fetch(queries.load("players/list_names.sql"))
        return {row["user_id"]: row["display_name"] for row in rows}

    async def find(self, connection: "Connection[Any]", user_id: str) -> Player | None:
        """Return a player, or None while nothing has been said of this user."""
        row = await connection.fetchrow(queries.load("players/find.sql"), user_id)
        return None if row is None else Player(*row)

    async def find_seen(self, connection: "Connection[Any]", user_id: str) -> tuple[datetime | None, datetime | None]:
        """Return when the first and the last stored event of a user arrived; None without any."""
        row = await connection.fetchrow(queries.load("players/find_seen.sql"), user_id)
        return (None, None) if row is None else (row["first_at"], row["last_at"])

    async def put(
        self,
        connection: "Connection[Any]",
        user_id: str,
        display_name: str | None,
        country: str | None,
        metadata: str | None,
    ) -> Player:
        """Create or replace a player; without `metadata`, what is stored of it stays."""
        rows = await connection.fetch(queries.load("players/put.sql"), user_id, display_name, country, metadata)
        return Player(*rows[0])
