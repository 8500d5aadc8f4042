"""The leaderboards table: definitions, each change under a revision that every process can follow."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from grandstand.domain.leaderboards import TOURNAMENT_PREFIX, Leaderboard, LeaderboardDefinition
from grandstand.domain.periods import GRACE, Windows
from grandstand.domain.tournaments import TournamentDefinition, TournamentRules
from grandstand.storage import queries
from grandstand.storage.postgres import Connection

_decode_windows = msgspec.json.Decoder(list[tuple[int, datetime, datetime]]).decode
_decode_tournament = msgspec.json.Decoder(TournamentDefinition).decode
_decode_own = msgspec.json.Decoder(dict[int, TournamentDefinition]).decode


class Changed(NamedTuple):
    """What happened to boards after a revision; `tournaments` has the rules of those of tournaments, by id."""

    kept: list[Leaderboard]
    deleted: list[Leaderboard]
    tournaments: dict[int, TournamentRules]


class LeaderboardStore:
    """Reads and writes definitions; every method runs on the caller's connection.

    Writing needs the ledger lock alone and a revision from it.
    """

    async def changed_since(self, connection: "Connection[Any]", revision: int) -> Changed:
        """Return what was made, changed or deleted after `revision`, the boards of tournaments too."""
        rows = await connection.fetch(queries.load("leaderboards/list_changed.sql"), revision)
        return Changed(
            kept=[_leaderboard(row) for row in rows if not row["is_deleted"]],
            deleted=[_leaderboard(row) for row in rows if row["is_deleted"]],
            tournaments={
                row["leaderboard_id"]: TournamentRules(
                    _decode_tournament(row["tournament"]), _decode_own(row["occurrences"] or "{}")
                )
                for row in rows
                if row["tournament"]
            },
        )

    async def find(self, connection: "Connection[Any]", key: str) -> Leaderboard | None:
        """Return the board of this key, or None."""
        row = await connection.fetchrow(queries.load("leaderboards/find_by_key.sql"), key)
        return None if row is None else _leaderboard(row)

    async def insert(
        self,
        connection: "Connection[Any]",
        key: str,
        definition: LeaderboardDefinition,
        revision: int,
        grace_seconds: int = int(GRACE.total_seconds()),
    ) -> Leaderboard:
        """Store a new board under an epoch of its own."""
        row = await connection.fetchrow(
            queries.load("leaderboards/insert.sql"), key, _json(definition), revision, grace_seconds
        )
        return _leaderboard(row)

    async def update(
        self, connection: "Connection[Any]", leaderboard_id: int, definition: LeaderboardDefinition, revision: int
    ) -> Leaderboard:
        """Replace a board's definition; its entries stay."""
        row = await connection.fetchrow(
            queries.load("leaderboards/update.sql"), leaderboard_id, _json(definition), revision
        )
        return _leaderboard(row)

    async def delete(self, connection: "Connection[Any]", leaderboard_id: int, revision: int) -> None:
        """Mark a board as deleted; its key is free again."""
        await connection.execute(queries.load("leaderboards/delete.sql"), leaderboard_id, revision)

    async def reset(
        self, connection: "Connection[Any]", leaderboard_id: int, moment: datetime, revision: int
    ) -> Leaderboard:
        """Cut the running period of a board at `moment`."""
        row = await connection.fetchrow(queries.load("leaderboards/reset.sql"), leaderboard_id, moment, revision)
        return _leaderboard(row)

    async def new_epoch(self, connection: "Connection[Any]") -> int:
        """Return an epoch that no board has had."""
        epoch: int = await connection.fetchval(queries.load("leaderboards/new_epoch.sql"))
        return epoch

    async def set_pending(
        self,
        connection: "Connection[Any]",
        leaderboard_id: int,
        pending: tuple[LeaderboardDefinition, int, datetime | None] | None,
        revision: int,
    ) -> Leaderboard:
        """Let workers feed a second rule and epoch, with its beginning, beside those in force, or (None) no longer."""
        definition, epoch, began_at = (None, None, None) if pending is None else (_json(pending[0]), *pending[1:])
        row = await connection.fetchrow(
            queries.load("leaderboards/set_pending.sql"), leaderboard_id, definition, epoch, began_at, revision
        )
        return _leaderboard(row)

    async def swap(
        self,
        connection: "Connection[Any]",
        leaderboard_id: int,
        definition: LeaderboardDefinition,
        epoch: int,
        began_at: datetime | None,
        revision: int,
        *,
        holds_stored: bool,
    ) -> Leaderboard:
        """Put a definition and the epoch that was made by it in force; `began_at` is the end of its newest archive.

        `holds_stored` says that the epoch was made of the events that are stored, and does not begin empty.
        """
        row = await connection.fetchrow(
            queries.load("leaderboards/swap.sql"),
            leaderboard_id,
            _json(definition),
            revision,
            epoch,
            began_at,
            holds_stored,
        )
        return _leaderboard(row)


def _json(definition: LeaderboardDefinition) -> str:
    return msgspec.json.encode(definition).decode()


def _leaderboard(row: Any) -> Leaderboard:
    definition = msgspec.json.decode(row["definition"], type=LeaderboardDefinition)
    pending = None
    if row["pending_definition"] is not None:
        pending = Leaderboard(
            row["leaderboard_id"],
            row["key"],
            msgspec.json.decode(row["pending_definition"], type=LeaderboardDefinition),
            row["pending_epoch"],
            row["revision"],
            row["resets"],
            began_at=row["pending_began_at"],
        )
    windows = None
    if row["key"].startswith(TOURNAMENT_PREFIX):
        windows = Windows(_decode_windows(row["windows"]), timedelta(seconds=row["grace_seconds"]))
    return Leaderboard(
        row["leaderboard_id"],
        row["key"],
        definition,
        row["epoch"],
        row["revision"],
        row["resets"],
        pending,
        windows,
        row["epoch_began_at"],
    )
