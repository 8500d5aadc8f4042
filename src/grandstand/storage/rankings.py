"""The rankings table: which sets of entries exist, and in which state each is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.domain.rankings import Ranking, RankingName, RankingPart, RankingState
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class RankingStore:
    """Makes, finds and ends rankings; every method runs on the caller's connection."""

    async def insert_missing(
        self, connection: "Connection[Any]", wanted: Sequence[tuple[RankingName, datetime | None]]
    ) -> list[int]:
        """Make those of the (name, end) pairs that do not exist; return the ids made. They must be sorted by name."""
        rows = await connection.fetch(
            queries.load("rankings/insert_missing.sql"),
            [name.leaderboard_id for name, _ in wanted],
            [name.epoch for name, _ in wanted],
            [name.started_at for name, _ in wanted],
            [ended_at for _, ended_at in wanted],
            [name.part for name, _ in wanted],
        )
        return [row[0] for row in rows]

    async def find(self, connection: "Connection[Any]", names: Sequence[RankingName]) -> list[Ranking]:
        """Return those of the named rankings that exist. An archive answers for later epochs too."""
        rows = await connection.fetch(
            queries.load("rankings/find.sql"),
            [name.leaderboard_id for name in names],
            [name.epoch for name in names],
            [name.started_at for name in names],
            [name.part for name in names],
        )
        return [_ranking(row) for row in rows]

    async def find_of_parts(self, connection: "Connection[Any]", parts: Sequence[RankingPart]) -> list[Ranking]:
        """Return the rankings of these parts that a rank index holds, of every period."""
        rows = await connection.fetch(
            queries.load("rankings/find_of_parts.sql"),
            [part[0] for part in parts],
            [part[1] for part in parts],
            [part[2] for part in parts],
        )
        return [_ranking(row) for row in rows]

    async def find_by_ids(self, connection: "Connection[Any]", ranking_ids: Sequence[int]) -> list[Ranking]:
        """Return those of the rankings that exist."""
        return [_ranking(row) for row in await connection.fetch(queries.load("rankings/find_by_ids.sql"), ranking_ids)]

    async def count_segments(self, connection: "Connection[Any]", name: RankingName) -> int:
        """Return how many segments one period of a board has."""
        count: int = await connection.fetchval(
            queries.load("rankings/count_segments.sql"), name.leaderboard_id, name.epoch, name.started_at
        )
        return count

    async def list_ended(
        self,
        connection: "Connection[Any]",
        leaderboard_id: int,
        epoch: int,
        *,
        now: datetime,
        before: datetime,
        count_max: int,
    ) -> list[Ranking]:
        """Return a board's periods that have ended by `now` and began before `before`, newest first."""
        rows = await connection.fetch(
            queries.load("rankings/list_ended.sql"), leaderboard_id, epoch, now, before, count_max
        )
        return [_ranking(row) for row in rows]

    async def list_to_close(self, connection: "Connection[Any]", ended_by: datetime, count_max: int) -> list[Ranking]:
        """Return rankings that ended by then and are not archived, the longest ended first; a whole after its parts.

        A replay's epoch is left out: it may still be without events that it will have.
        """
        rows = await connection.fetch(queries.load("rankings/list_to_close.sql"), ended_by, count_max)
        return [_ranking(row) for row in rows]

    async def list_of_user(
        self, connection: "Connection[Any]", user_id: str, now: datetime, count_max: int
    ) -> list[Ranking]:
        """Return the rankings of running periods, as wholes, in which a user has an entry."""
        rows = await connection.fetch(queries.load("rankings/list_of_user.sql"), user_id, now, count_max)
        return [_ranking(row) for row in rows]

    async def list_live(self, connection: "Connection[Any]", after_id: int, count_max: int) -> list[Ranking]:
        """Return rankings that have a rank index, in the order of ids."""
        return [
            _ranking(row) for row in await connection.fetch(queries.load("rankings/list_live.sql"), after_id, count_max)
        ]

    async def list_parts(self, connection: "Connection[Any]", leaderboard_id: int) -> list[Ranking]:
        """Return a board's rankings that are not archived, of every epoch: running periods with all their parts."""
        rows = await connection.fetch(queries.load("rankings/list_parts.sql"), leaderboard_id)
        return [_ranking(row) for row in rows]

    async def drop_epoch(self, connection: "Connection[Any]", leaderboard_id: int, epoch: int) -> None:
        """Give up the rankings of a replay that is not put in force. Needs the ledger alone."""
        await connection.execute(queries.load("rankings/drop_epoch.sql"), leaderboard_id, epoch)

    async def close(self, connection: "Connection[Any]", ranking_ids: Sequence[int]) -> None:
        """End the writing of those of the rankings that are live. Needs the ledger alone."""
        await connection.execute(queries.load("rankings/close.sql"), ranking_ids)

    async def move_end(self, connection: "Connection[Any]", name: RankingName, ended_at: datetime) -> None:
        """Change the end of a tournament's ranking, if there is one. Needs the ledger alone."""
        await connection.execute(
            queries.load("rankings/move_end.sql"), name.leaderboard_id, name.epoch, name.started_at, ended_at
        )

    async def end_running(
        self, connection: "Connection[Any]", leaderboard_id: int, epoch: int, moment: datetime
    ) -> None:
        """End a board's running periods at `moment`. Needs the ledger alone."""
        await connection.execute(queries.load("rankings/end_running.sql"), leaderboard_id, epoch, moment)

    async def drop(self, connection: "Connection[Any]", leaderboard_id: int, keep_epoch: int | None) -> None:
        """Give up a deleted board's rankings, or what is not archived of other epochs than one. Needs the ledger."""
        await connection.execute(queries.load("rankings/lock_open.sql"), leaderboard_id)
        await connection.execute(queries.load("rankings/drop.sql"), leaderboard_id, keep_epoch)

    async def newest_archive_end(self, connection: "Connection[Any]", leaderboard_id: int) -> datetime | None:
        """Return when the newest archived period of a board ended; None when none is archived."""
        end: datetime | None = await connection.fetchval(
            queries.load("rankings/newest_archive_end.sql"), leaderboard_id
        )
        return end

    async def begin_epoch(
        self, connection: "Connection[Any]", leaderboard_id: int, epoch: int, began_at: datetime
    ) -> bool:
        """Give up an epoch's periods that ended by `began_at`; return whether none is left that began before it.

        Needs the ledger alone.
        """
        await connection.execute(queries.load("rankings/drop_before.sql"), leaderboard_id, epoch, began_at)
        return not await connection.fetchval(queries.load("rankings/has_around.sql"), leaderboard_id, epoch, began_at)

    async def find_definition(self, connection: "Connection[Any]", ranking_id: int) -> LeaderboardDefinition | None:
        """Return the definition under which an archived period was made; None when it was not kept."""
        text = await connection.fetchval(queries.load("rankings/find_definition.sql"), ranking_id)
        return None if text is None else msgspec.json.decode(text, type=LeaderboardDefinition)

    async def list_unswept(self, connection: "Connection[Any]", count_max: int) -> list[tuple[int, RankingState]]:
        """Return rankings whose live entries are not needed any more but may still be there."""
        rows = await connection.fetch(queries.load("rankings/list_unswept.sql"), count_max)
        return [(row["ranking_id"], row["state"]) for row in rows]

    async def mark_swept(self, connection: "Connection[Any]", ranking_id: int) -> None:
        """Record that nothing is left to sweep of a ranking."""
        await connection.execute(queries.load("rankings/mark_swept.sql"), ranking_id)


def _ranking(row: Any) -> Ranking:
    name = RankingName(row["leaderboard_id"], row["epoch"], row["started_at"], row["part"])
    return Ranking(row["ranking_id"], name, row["ended_at"], row["state"], row["total"])
