"""Reads all that is kept of a player, row by row as JSON, on the caller's connection."""

from collections.abc import AsyncIterator
from typing import Any

from grandstand.storage import queries
from grandstand.storage.postgres import Connection, open_cursor

SECTIONS = (
    "devices",
    "sessions_ended",
    "entries",
    "archived_entries",
    "removals",
    "participations",
    "prizes",
    "dead_letters",
    "audit_log",
    "first_events",
    "events",
)
"""What a player has any number of, in the order of an export."""

_ROWS = 500


class PlayerExports:
    """Reads players for exports."""

    async def is_known(self, connection: "Connection[Any]", user_id: str) -> bool:
        """Return whether anything is kept of a player."""
        known: bool = await connection.fetchval(queries.load("export/is_known.sql"), user_id)
        return known

    async def profile(self, connection: "Connection[Any]", user_id: str) -> str | None:
        """Return what was said of a player, as JSON."""
        text: str | None = await connection.fetchval(queries.load("export/profile.sql"), user_id)
        return text

    async def rows(self, connection: "Connection[Any]", section: str, user_id: str) -> AsyncIterator[str]:
        """Yield the rows of a section as JSON, a few hundred in memory at a time. Needs a transaction."""
        cursor = await open_cursor(connection, queries.load(f"export/{section}.sql"), user_id)
        while rows := await cursor.fetch(_ROWS):
            for row in rows:
                yield row[0]
