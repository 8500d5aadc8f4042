"""The entries table: one row a (ranking, user), the truth from which every rank follows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from grandstand.domain.folding import Tally
from grandstand.domain.leaderboards import Order
from grandstand.domain.ranking import direction
from grandstand.domain.scores import SCORE_MAX
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class Entry(NamedTuple):
    """One row as the rank index needs it. A higher `version` of the same user is newer."""

    ranking_id: int
    user_id: str
    score: int
    achieved_at: datetime
    version: int


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
            columns = _columns(tallies, ranking_ids, exact=query == _FOLD_SUM)
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

    async def has_any(self, connection: "Connection[Any]", ranking_id: int) -> bool:
        """Return whether the ranking has entries."""
        return bool(await connection.fetchval(queries.load("entries/has_any.sql"), ranking_id))

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


def _columns(tallies: Mapping[int, Tally], ranking_ids: Sequence[int], *, exact: bool) -> tuple[list[Any], ...]:
    rankings: list[int] = []
    users: list[str] = []
    scores: list[int | Decimal] = []
    times: list[datetime] = []
    events: list[Any] = []
    for ranking_id in ranking_ids:
        values = tallies[ranking_id].values
        for user_id in sorted(values):
            value = values[user_id]
            rankings.append(ranking_id)
            users.append(user_id)
            scores.append(Decimal(value.score) if exact else value.score)
            times.append(value.achieved_at)
            events.append(value.event_id)
    return rankings, users, scores, times, events


def _entry(row: Any) -> Entry:
    return Entry(*cast("tuple[int, str, int, datetime, int]", tuple(row)))
