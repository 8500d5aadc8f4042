"""Counts a player's stored events anew: every value that counts, in every ranking that it counts in.

Shares the meaning of a definition with the workers (what an event is worth, when periods begin), and nothing of how
they bring scores together: no batches, no tallies, no statements that fold.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from grandstand.domain.folding import Value
from grandstand.domain.rankings import WHOLE, segment_part
from grandstand.domain.scores import UnrankedError
from grandstand.domain.scoring import DIRECT_EVENT_TYPE
from grandstand.invariants.check import Look
from grandstand.invariants.stored_boards import CountedBoard, StoredBoards
from grandstand.storage.event_archives import EventArchives
from grandstand.storage.postgres import Connection

_decode = msgspec.json.Decoder().decode

Place = tuple[int, datetime, str]
"""A ranking of the epoch in force: (leaderboard, start of the period, part)."""


class Candidates(NamedTuple):
    """One player's events: `values` by ranking, and boards of which it cannot be said what counts."""

    user_id: str
    values: Mapping[Place, list[Value]]
    doubtful: set[int]
    ever: Mapping[int, int]
    """For each board of a tournament, how many events of whatever time it might have taken as attempts."""
    has_removals: bool
    """Whether the player was ever taken off a board, or a ban was lifted."""
    is_partial: bool = False
    """Whether the player has archived events that were not read: then nothing can be decided."""


class Recount:
    """Reads players' events in one snapshot."""

    def __init__(self, look: Look, connection: "Connection[Any]", boards: StoredBoards) -> None:
        self._look = look
        self._connection = connection
        self._boards = boards
        self._slack = timedelta(seconds=look.scope.clock_difference_seconds)
        self._events_left = look.scope.events_max if look.scope.sample is not None else None

    async def count(self, user_ids: Sequence[str]) -> AsyncIterator[Candidates]:
        """Yield what each user's events come to; a sample stops short where it has read enough events."""
        removed = await self._removals(user_ids)
        found = await self._look.rows(self._connection, "quarantined_of_users", list(user_ids))
        held = {(row["event_id"], row["leaderboard_id"]) for row in found}
        limit = None if self._events_left is None else self._events_left + 1
        rows = await self._look.rows(self._connection, "events_of_users", list(user_ids), limit)
        is_cut = limit is not None and len(rows) == limit
        if self._events_left is not None:
            self._events_left -= min(len(rows), self._events_left)
        events = {user_id: list(mine) for user_id, mine in groupby(rows, key=itemgetter("user_id"))}
        last = rows[-1]["user_id"] if is_cut else None
        partial = await self._add_archived(events, user_ids)
        for user_id in user_ids:
            # The order of rows is that of the database's bytes: of a cut read, only what came before is whole.
            if last is not None and (user_id == last or user_id not in events):
                continue
            if user_id in partial:
                yield Candidates(user_id, {}, set(), {}, False, is_partial=True)
                continue
            yield self._candidates(user_id, events.get(user_id, []), removed.get(user_id, {}), held)

    async def _add_archived(self, events: dict[str, list[Any]], user_ids: Sequence[str]) -> set[str]:
        """Add archived events to those of the table; return the users whose archived events cannot be read here."""
        archived = await EventArchives().archived_users(self._connection, user_ids)
        reader = self._look.subject.archived
        if not archived or reader is None or not reader.is_set_up:
            return archived
        async for chunk in reader.of_users(self._connection, archived):
            for row in chunk:
                events.setdefault(row["user_id"], []).append(row)
        return set()

    async def _removals(self, user_ids: Sequence[str]) -> dict[str, dict[int, datetime]]:
        removed: dict[str, dict[int, datetime]] = defaultdict(dict)
        for row in await self._look.rows(self._connection, "removals_of_users", list(user_ids)):
            removed[row["user_id"]][row["leaderboard_id"]] = row["removed_at"]
        return removed

    def _candidates(
        self, user_id: str, rows: Sequence[Any], removed: Mapping[int, datetime], held: Set[tuple[UUID, int]]
    ) -> Candidates:
        values: dict[Place, list[Value]] = defaultdict(list)
        doubtful: set[int] = set()
        ever: dict[int, int] = defaultdict(int)
        for row in rows:
            payload = _decode(row["payload"])
            for each in self._boards.fed_by(row["event_type"], payload):
                leaderboard_id = each.board.leaderboard_id
                if (row["id"], leaderboard_id) in held:
                    continue
                if each.counts_since is None:
                    doubtful.add(leaderboard_id)
                elif row["processed_at"] < each.counts_since:
                    continue
                value = _value(each, row, payload)
                if value is None:
                    continue
                if each.board.windows is not None:
                    ever[leaderboard_id] += 1
                if self._is_doubtful(each, row, removed):
                    doubtful.add(leaderboard_id)
                if not _is_removed(row["received_at"], leaderboard_id, removed):
                    for place in _places(each, row, payload):
                        values[place].append(value)
        return Candidates(user_id, values, doubtful, ever, bool(removed))

    def _is_doubtful(self, each: CountedBoard, row: Any, removed: Mapping[int, datetime]) -> bool:
        """Whether clocks, or the order in which things were processed, decided whether or where an event counts."""
        occurred_at, received_at = row["occurred_at"], row["received_at"]
        # What is processed before a reset is counted as if there were none. By either clock, as one may be wrong.
        ahead = [reset for reset in each.board.resets if min(received_at, row["processed_at"]) <= reset + self._slack]
        if any(occurred_at >= reset for reset in ahead):
            return True
        if ahead:
            period = each.board.schedule.at(occurred_at)
            # By a clock that ran ahead it came after a grace of which nobody knew yet.
            if period.end in ahead and not period.takes(received_at):
                return True
        moments = [moment for key in (0, each.board.leaderboard_id) if (moment := removed.get(key)) is not None]
        return any(moment < received_at <= moment + self._slack for moment in moments)


def _value(each: CountedBoard, row: Any, payload: Any) -> Value | None:
    try:
        is_direct = row["event_type"] == DIRECT_EVENT_TYPE
        return each.rule.value(payload, row["occurred_at"], str(row["id"]), is_direct=is_direct)
    except UnrankedError:
        return None


def _is_removed(received_at: datetime, leaderboard_id: int, removed: Mapping[int, datetime]) -> bool:
    return any(received_at <= removed[key] for key in (0, leaderboard_id) if key in removed)


def _places(each: CountedBoard, row: Any, payload: Any) -> list[Place]:
    leaderboard_id, occurred_at, received_at = each.board.leaderboard_id, row["occurred_at"], row["received_at"]
    if each.board.windows is not None:
        return [
            (leaderboard_id, window.starts_at, WHOLE)
            for window in each.occurrences
            if window.starts_at <= occurred_at < window.ends_at and received_at < window.ends_at + window.grace
        ]
    began_at = each.board.began_at
    if began_at is not None and occurred_at < began_at:
        return []
    period = each.board.schedule.at(occurred_at)
    if not period.takes(received_at):
        return []
    segment = each.rule.segment(payload)
    parts = [WHOLE] if segment is None else [WHOLE, segment_part(segment)]
    return [(leaderboard_id, period.start, part) for part in parts]
