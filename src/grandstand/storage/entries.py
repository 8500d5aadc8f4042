"""The entries table: one row a (ranking, user), the truth from which every rank follows."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from grandstand.domain.folding import Tally
from grandstand.domain.leaderboards import Order
from grandstand.domain.ranking import direction
from grandstand.domain.scores import SCORE_MAX
from grandstand.storage import queries
from grandstand.storage.array_texts import array_of_texts, array_text
from grandstand.storage.postgres import Connection, open_cursor


class Entry(NamedTuple):
    """One row as the rank index needs it. A higher `version` of the same user is newer."""

    ranking_id: int
    user_id: str
    score: int
    tie_key: bytes
    achieved_at: datetime
    metadata: str | None
    version: int


class Move(msgspec.Struct):
    """One player who stands or scores differently in another ranking; None where the player is not in one."""

    user_id: str
    rank_before: int | None
    rank_after: int | None
    score_before: int | None
    score_after: int | None


class EntryStore:
    """Combines tallies with the stored entries and reads them; every method runs on the caller's connection."""

    async def fold(self, connection: "Connection[Any]", tallies: Mapping[int, Tally]) -> list[Entry]:
        """Combine a batch, `ranking_id` → tally, with what is stored; return the entries that changed.

        One statement for each kind of fold, whatever the number of boards. Rows go in one order everywhere
        (kind, ranking, user), so batches side by side cannot deadlock.
        """
        kinds: dict[tuple[str, int], list[int]] = defaultdict(list)
        for ranking_id in sorted(tallies):
            tally = tallies[ranking_id]
            if tally.values:
                kinds[_KINDS[tally.operator], _argument(tally.operator, tally.order)].append(ranking_id)
        changed: list[Entry] = []
        for (query, argument), ranking_ids in sorted(kinds.items()):
            columns = _columns(tallies, ranking_ids)
            arguments = columns if query == _FOLD_LATEST else (*columns, argument)
            rows = await connection.fetch(queries.load(query), *arguments)
            changed.extend(_entry(row) for row in rows)
        return changed

    async def find(self, connection: "Connection[Any]", pairs: Iterable[tuple[int, str]]) -> list[Entry]:
        """Return the stored entries of these (ranking, user) pairs; pairs without one are left out."""
        wanted = sorted(pairs)
        rows = await connection.fetch(
            queries.load("entries/find_pairs.sql"), [pair[0] for pair in wanted], [pair[1] for pair in wanted]
        )
        return [_entry(row) for row in rows]

    async def chunk(self, connection: "Connection[Any]", ranking_id: int, after: str, size_max: int) -> list[Entry]:
        """Return up to `size_max` entries of a ranking in the order of user ids, beginning after one of them."""
        rows = await connection.fetch(queries.load("entries/list_chunk.sql"), ranking_id, after, size_max)
        return [_entry(row) for row in rows]

    async def remove(self, connection: "Connection[Any]", ranking_ids: Sequence[int], user_id: str) -> list[Entry]:
        """Delete a user's entries; return them with the versions of their removal. Needs the ledger alone."""
        rows = await connection.fetch(queries.load("entries/remove_user.sql"), ranking_ids, user_id)
        return [_entry(row) for row in rows]

    async def users_from(self, connection: "Connection[Any]", ranking_id: int, moment: datetime) -> list[str]:
        """Return the users whose entry was reached at `moment` or later."""
        rows = await connection.fetch(queries.load("entries/list_users_from.sql"), ranking_id, moment)
        return [row["user_id"] for row in rows]

    async def remove_everywhere(self, connection: "Connection[Any]", user_id: str) -> list[Entry]:
        """Delete a user's entries in every ranking that is not final. Needs the ledger alone."""
        rows = await connection.fetch(queries.load("entries/remove_everywhere.sql"), user_id)
        return [_entry(row) for row in rows]

    async def record_removal(
        self, connection: "Connection[Any]", leaderboard_id: int, user_id: str, removed_at: datetime
    ) -> None:
        """Remember that what arrived before `removed_at` counts no more for this user."""
        await connection.execute(queries.load("entries/record_removal.sql"), leaderboard_id, user_id, removed_at)

    async def removals(self, connection: "Connection[Any]", leaderboard_id: int) -> dict[str, datetime]:
        """Return when each removed user of a board was removed last."""
        rows = await connection.fetch(queries.load("entries/list_removals.sql"), leaderboard_id)
        return {row["user_id"]: row["removed_at"] for row in rows}

    async def removals_since(self, connection: "Connection[Any]", moment: datetime) -> dict[tuple[int, str], datetime]:
        """Return when (board, user) pairs were removed, for those whose last removal was at `moment` or later."""
        rows = await connection.fetch(queries.load("entries/list_removals_since.sql"), moment)
        return {(row["leaderboard_id"], row["user_id"]): row["removed_at"] for row in rows}

    async def renew(self, connection: "Connection[Any]", ranking_id: int, versions: Mapping[str, int]) -> list[Entry]:
        """Give those of the entries (user → version) that are still of that version a new one; return them."""
        user_ids = sorted(versions)
        rows = await connection.fetch(
            queries.load("entries/renew.sql"), ranking_id, user_ids, [versions[user_id] for user_id in user_ids]
        )
        return [_entry(row) for row in rows]

    async def next_version(self, connection: "Connection[Any]") -> int:
        """Return a version that is newer than that of every change so far."""
        version: int = await connection.fetchval(queries.load("entries/next_version.sql"))
        return version

    async def touch(self, connection: "Connection[Any]") -> None:
        """Change nothing.

        Raises:
            asyncpg.PostgresError: no entry could be changed right now.
        """
        await connection.execute(queries.load("entries/touch.sql"))

    async def count(self, connection: "Connection[Any]", ranking_id: int) -> int:
        """Return how many entries a ranking has."""
        count: int = await connection.fetchval(queries.load("entries/count_ranking.sql"), ranking_id)
        return count

    async def stream(
        self, connection: "Connection[Any]", ranking_id: int, chunk_entries: int
    ) -> AsyncGenerator[list[Entry], None]:
        """Yield every entry of a ranking in chunks, in no order. Needs a transaction around it."""
        cursor = await open_cursor(connection, queries.load("entries/list_ranking.sql"), ranking_id)
        while rows := await cursor.fetch(chunk_entries):
            yield [_entry(row) for row in rows]

    async def has_any(self, connection: "Connection[Any]", ranking_ids: Sequence[int]) -> bool:
        """Return whether any of the rankings has entries."""
        return bool(await connection.fetchval(queries.load("entries/has_any.sql"), ranking_ids))

    async def compare(
        self, connection: "Connection[Any]", before: tuple[int, int], after: tuple[int, int], moves_max: int
    ) -> tuple[int, list[Move]]:
        """Compare two rankings, given as (ranking, direction): how many players moved, and the first of them."""
        rows = await connection.fetch(
            queries.load("entries/compare_rankings.sql"), before[0], after[0], before[1], after[1], moves_max
        )
        moves = [
            Move(row["user_id"], row["rank_before"], row["rank_after"], row["score_before"], row["score_after"])
            for row in rows
        ]
        return (rows[0]["moved"] if rows else 0), moves

    async def delete_chunk(self, connection: "Connection[Any]", ranking_id: int, size_max: int) -> int:
        """Delete up to `size_max` entries of a ranking that no board uses; return how many there were."""
        status = await connection.execute(queries.load("entries/delete_chunk.sql"), ranking_id, size_max)
        return int(status.rpartition(" ")[2])


_FOLD_BEST, _FOLD_LATEST, _FOLD_SUM = "entries/fold_best.sql", "entries/fold_latest.sql", "entries/fold_sum.sql"
_KINDS = {"best": _FOLD_BEST, "latest": _FOLD_LATEST, "sum": _FOLD_SUM, "count": _FOLD_SUM}


def _argument(operator: str, order: Order) -> int:
    """Return the last argument of the fold's statement; boards with the same one share a statement."""
    if operator == "best":
        return direction(order)
    return SCORE_MAX


def _columns(tallies: Mapping[int, Tally], ranking_ids: Sequence[int]) -> tuple[Any, ...]:
    """Return the arguments of a fold, as texts of arrays but for the times."""
    rows = [
        (ranking_id, user_id, tallies[ranking_id].values[user_id])
        for ranking_id in ranking_ids
        for user_id in sorted(tallies[ranking_id].values)
    ]
    tie_keys = [row[2].tie_key.hex() for row in rows]
    return (
        array_text(str(row[0]) for row in rows),
        array_of_texts([row[1] for row in rows]),
        array_text(str(row[2].score) for row in rows),
        array_text([f'"\\\\x{key}"' for key in tie_keys] if any(tie_keys) else ['""'] * len(rows)),
        [row[2].achieved_at for row in rows],
        array_text(str(row[2].event_id) for row in rows),
        array_of_texts([row[2].metadata for row in rows]),
    )


def _entry(row: Any) -> Entry:
    return Entry._make(row)
