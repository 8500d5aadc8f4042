"""The boards and tournaments as they are stored, made ready to judge what a stored event counts for."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.scoring import DIRECT_EVENT_TYPE, ScoringRule, is_direct_write_to
from grandstand.domain.tournaments import Status, TournamentDefinition
from grandstand.invariants.check import Look
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Connection

_decode_tournament = msgspec.json.Decoder(TournamentDefinition).decode


class Occurrence(NamedTuple):
    """A run of a tournament. `is_moved`: its window was another one before; `is_changed`: its rules were others."""

    tournament_id: str
    occurrence: int
    starts_at: datetime
    ends_at: datetime
    status: Status
    players: int
    is_moved: bool
    settled_at: datetime | None
    leaderboard_id: int
    definition: TournamentDefinition
    is_changed: bool
    grace: timedelta


class CountedBoard(NamedTuple):
    """A board with what events are worth on it; those stored before `counts_since` do not count (None: not known)."""

    board: Leaderboard
    rule: ScoringRule
    counts_since: datetime | None
    occurrences: tuple[Occurrence, ...]


class StoredBoards:
    """All boards of one snapshot."""

    def __init__(self, boards: list[CountedBoard]) -> None:
        self.by_id = {each.board.leaderboard_id: each for each in boards}
        self._by_type: dict[str, list[CountedBoard]] = defaultdict(list)
        self._by_key: dict[str, CountedBoard] = {}
        self._by_tournament: dict[str, CountedBoard] = {}
        for each in boards:
            if each.board.windows is None:
                self._by_type[each.board.definition.event_type].append(each)
            elif each.occurrences:
                self._by_tournament[each.occurrences[0].tournament_id] = each
            self._by_key[each.board.key] = each

    def fed_by(self, event_type: str, payload: Any) -> list[CountedBoard]:
        """Return the boards that an event feeds."""
        if event_type == DIRECT_EVENT_TYPE:
            each = self._by_key.get(payload.get("leaderboard"))
            is_fed = each is not None and is_direct_write_to(payload, each.board.key, each.board.leaderboard_id)
            return [each] if each is not None and is_fed else []
        fed = [each for each in self._by_type.get(event_type, ()) if each.rule.belongs(payload)]
        tournament_id = payload.get("tournament_id")
        each = self._by_tournament.get(tournament_id) if isinstance(tournament_id, str) else None
        if each is not None and each.board.definition.event_type == event_type and each.rule.belongs(payload):
            fed.append(each)
        return fed


async def read_boards(look: Look, connection: "Connection[Any]") -> StoredBoards:
    """Read every board that is not deleted."""
    kept = (await LeaderboardStore().changed_since(connection, 0)).kept
    since = {row["leaderboard_id"]: row["counts_since"] for row in await look.rows(connection, "counted_boards")}
    occurrences: dict[int, list[Occurrence]] = defaultdict(list)
    for occurrence in await read_occurrences(look, connection):
        occurrences[occurrence.leaderboard_id].append(occurrence)
    return StoredBoards(
        [
            CountedBoard(
                board,
                ScoringRule(board.definition),
                since.get(board.leaderboard_id),
                tuple(occurrences[board.leaderboard_id]),
            )
            for board in kept
        ]
    )


async def read_occurrences(look: Look, connection: "Connection[Any]") -> list[Occurrence]:
    """Read every occurrence of every tournament."""
    return [
        Occurrence(
            row["tournament_id"], row["occurrence"], row["starts_at"], row["ends_at"], row["status"], row["players"],
            row["is_moved"], row["settled_at"], row["leaderboard_id"], _decode_tournament(row["definition"]),
            row["is_changed"], timedelta(seconds=row["grace_seconds"]),
        )
        for row in await look.rows(connection, "occurrences")
    ]  # fmt: skip
