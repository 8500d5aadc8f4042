"""The leaderboards table: definitions, each change under a revision that every process can follow."""

from typing import Any

import msgspec

from grandstand.domain.leaderboards import Leaderboard, LeaderboardDefinition
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class LeaderboardStore:
    """Reads and writes definitions; every method runs on the caller's connection.

    Writing needs the ledger lock alone and a revision from it.
    """

    async def changed_since(
        self, connection: "Connection[Any]", revision: int
    ) -> tuple[list[Leaderboard], list[Leaderboard]]:
        """Return the boards that were (made or changed, deleted) after `revision`."""
        rows = await connection.fetch(queries.load("leaderboards/list_changed.sql"), revision)
        kept = [_leaderboard(row) for row in rows if not row["is_deleted"]]
        deleted = [_leaderboard(row) for row in rows if row["is_deleted"]]
        return kept, deleted

    async def find(self, connection: "Connection[Any]", key: str) -> Leaderboard | None:
        """Return the board of this key, or None."""
        row = await connection.fetchrow(queries.load("leaderboards/find_by_key.sql"), key)
        return None if row is None else _leaderboard(row)

    async def insert(
        self, connection: "Connection[Any]", key: str, definition: LeaderboardDefinition, revision: int
    ) -> Leaderboard:
        """Store a new board with a ranking of its own."""
        row = await connection.fetchrow(queries.load("leaderboards/insert.sql"), key, _json(definition), revision)
        return _leaderboard(row)

    async def update(
        self, connection: "Connection[Any]", leaderboard_id: int, definition: LeaderboardDefinition, revision: int
    ) -> Leaderboard:
        """Replace a board's definition; its ranking stays."""
        row = await connection.fetchrow(
            queries.load("leaderboards/update.sql"), leaderboard_id, _json(definition), revision
        )
        return _leaderboard(row)

    async def delete(self, connection: "Connection[Any]", leaderboard_id: int, revision: int) -> None:
        """Mark a board as deleted; its key is free again."""
        await connection.execute(queries.load("leaderboards/delete.sql"), leaderboard_id, revision)

    async def unswept(self, connection: "Connection[Any]") -> list[int]:
        """Return the rankings of deleted boards whose entries may still be there."""
        return [row[0] for row in await connection.fetch(queries.load("leaderboards/list_unswept.sql"))]

    async def mark_swept(self, connection: "Connection[Any]", ranking_id: int) -> None:
        """Record that nothing is left of a deleted board's entries."""
        await connection.execute(queries.load("leaderboards/mark_swept.sql"), ranking_id)


def _json(definition: LeaderboardDefinition) -> str:
    return msgspec.json.encode(definition).decode()


def _leaderboard(row: Any) -> Leaderboard:
    definition = msgspec.json.decode(row["definition"], type=LeaderboardDefinition)
    return Leaderboard(row["leaderboard_id"], row["key"], definition, row["ranking_id"], row["revision"])
