"""The boards as one process knows them: by key for readers, by what an event says for workers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from grandstand.domain.leaderboards import Leaderboard, path_of, tournament_key
from grandstand.domain.rankings import Ranking
from grandstand.domain.scores import look_up
from grandstand.domain.scoring import DIRECT_EVENT_TYPE, ScoringRule, is_direct_write_to
from grandstand.domain.tournaments import TournamentRules
from grandstand.storage.index_reads import Indexed
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Connection


class ScoredBoard(NamedTuple):
    """A board with the rule that says what events are worth on it."""

    board: Leaderboard
    rule: ScoringRule
    pending: "ScoredBoard | None" = None
    tournament: TournamentRules | None = None


class LeaderboardCatalog:
    """All definitions in memory, brought up to date by revision."""

    def __init__(self, store: LeaderboardStore) -> None:
        self._store = store
        self._by_key: dict[str, ScoredBoard] = {}
        self._by_id: dict[int, Leaderboard] = {}
        self._all: list[Leaderboard] = []
        self._by_event_type: dict[str, _Fed] = {}
        self._tournament_types: set[str] = set()
        self._judged_types: set[str] = set()
        self._score_fields: dict[str, tuple[tuple[str, ...], ...]] = {}
        self.revision = 0
        """The newest revision that is known here."""

    def get(self, key: str) -> Leaderboard | None:
        """Return a board by its key."""
        found = self._by_key.get(key)
        return None if found is None else found.board

    def get_by_epoch(self, leaderboard_id: int, epoch: int) -> Leaderboard | None:
        """Return a board as it is in one of its epochs, in force or that of a replay; None for any other epoch."""
        board = self._by_id.get(leaderboard_id)
        while board is not None and board.epoch != epoch:
            board = board.pending
        return board

    def indexed(self, ranking: Ranking) -> Indexed | None:
        """Return how a ranking's index is read and written; None when its board has no such epoch any more."""
        board = self.get_by_epoch(ranking.name.leaderboard_id, ranking.name.epoch)
        return None if board is None else indexed(board, ranking.ranking_id)

    def get_tournament(self, tournament_id: str) -> Leaderboard | None:
        """Return the board that holds a tournament's scores."""
        return self.get(tournament_key(tournament_id))

    def all(self) -> list[Leaderboard]:
        """Return every board in the order of keys; a change makes a new list."""
        return self._all

    def takes(self, event_type: str) -> bool:
        """Whether events of this type may feed any board: others need not have their payload decoded."""
        return (
            event_type in self._by_event_type or event_type in self._tournament_types or event_type == DIRECT_EVENT_TYPE
        )

    def judges(self, event_type: str) -> bool:
        """Whether a board that is fed by events of this type asks whether they are plausible."""
        return event_type in self._judged_types

    def is_in_force(self, board: Leaderboard) -> bool:
        """Whether a board that an event feeds is the one that is read, and not what a replay makes beside it."""
        held = self._by_id.get(board.leaderboard_id)
        return held is not None and held.epoch == board.epoch

    def fed_by(self, event_type: str, payload: Any) -> Sequence[ScoredBoard]:
        """Return the boards that an event feeds: their type is its type, and it meets all their conditions."""
        if event_type == DIRECT_EVENT_TYPE:
            key = payload.get("leaderboard")
            found = self._by_key.get(key) if isinstance(key, str) else None
            if found is not None and is_direct_write_to(payload, found.board.key, found.board.leaderboard_id):
                return list(_with_pending(found))
            return ()
        fed = self._by_event_type.get(event_type)
        boards = () if fed is None else fed.find(payload)
        tournament_id = payload.get("tournament_id")
        if isinstance(tournament_id, str):
            scored = self._by_key.get(tournament_key(tournament_id))
            if scored is not None and scored.board.definition.event_type == event_type and scored.rule.belongs(payload):
                return [*boards, scored]
        return boards

    def score_fields(self) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """Return the payload paths that hold scores, by event type."""
        return self._score_fields

    async def refresh(self, connection: "Connection[Any]", revision: int = 0) -> None:
        """Take in what has changed since the newest known revision.

        `revision` is what the ledger says while the caller holds it: nothing older can appear later.
        """
        kept, deleted, tournaments = await self._store.changed_since(connection, self.revision)
        newest = max((board.revision for board in kept + deleted), default=0)
        if newest <= self.revision:
            # Nothing new, or another refresh of this process looked later and came in before.
            self.revision = max(self.revision, revision)
            return
        for board in deleted:
            held = self._by_key.get(board.key)
            if held is not None and held.board.leaderboard_id == board.leaderboard_id:
                del self._by_key[board.key]
        for board in kept:
            self._by_key[board.key] = _scored(board, tournaments.get(board.leaderboard_id))
        self.revision = max(newest, revision)
        self._index()

    def _index(self) -> None:
        by_event_type: dict[str, list[ScoredBoard]] = defaultdict(list)
        boards = [self._by_key[key] for key in sorted(self._by_key)]
        self._all = [scored.board for scored in boards]
        # An event names the tournament that it belongs to, so those are found by id.
        self._tournament_types = {
            scored.board.definition.event_type for scored in boards if scored.board.windows is not None
        }
        self._judged_types = {
            scored.board.definition.event_type for scored in boards if scored.board.definition.plausibility is not None
        }
        for each in boards:
            for scored in _with_pending(each) if each.board.windows is None else ():
                by_event_type[scored.board.definition.event_type].append(scored)
        self._by_id = {scored.board.leaderboard_id: scored.board for scored in self._by_key.values()}
        self._by_event_type = {event_type: _Fed(boards) for event_type, boards in by_event_type.items()}
        self._score_fields = {
            event_type: tuple(sorted({path for scored in boards if (path := _score_path(scored.board)) is not None}))
            for event_type, boards in by_event_type.items()
        }


def indexed(board: Leaderboard, ranking_id: int) -> Indexed:
    """Return how the index of one of a board's rankings is read and written."""
    return Indexed(ranking_id, board.direction, board.tie_bytes, bool(board.definition.keep))


def _scored(board: Leaderboard, tournament: TournamentRules | None = None) -> ScoredBoard:
    pending = None if board.pending is None else _scored(board.pending)
    return ScoredBoard(board, ScoringRule(board.definition), pending, tournament)


def _with_pending(scored: ScoredBoard) -> Iterator[ScoredBoard]:
    yield scored
    if scored.pending is not None:
        yield scored.pending


class _Fed:
    """The boards of one event type, found by one condition each: thousands of boards cost an event one look-up."""

    def __init__(self, boards: list[ScoredBoard]) -> None:
        self._always = [scored for scored in boards if not scored.board.definition.where]
        self._by_condition: dict[tuple[str, ...], dict[tuple[bool, Any], list[ScoredBoard]]] = {}
        for scored in boards:
            if scored.board.definition.where:
                field, value = next(iter(scored.board.definition.where.items()))
                values = self._by_condition.setdefault(path_of(field), {})
                values.setdefault(_condition(value), []).append(scored)

    def find(self, payload: Any) -> Sequence[ScoredBoard]:
        if not self._by_condition:
            return self._always
        return [*self._always, *self._meeting(payload)]

    def _meeting(self, payload: Any) -> Iterator[ScoredBoard]:
        for path, values in self._by_condition.items():
            found = look_up(payload, path)
            if not isinstance(found, dict | list):
                for scored in values.get(_condition(found), ()):
                    if scored.rule.belongs(payload):
                        yield scored


def _condition(value: Any) -> tuple[bool, Any]:
    # In Python True and 1 are one key; in JSON they differ.
    return isinstance(value, bool), value


def _score_path(board: Leaderboard) -> tuple[str, ...] | None:
    definition = board.definition
    return None if definition.operator == "count" or definition.field is None else path_of(definition.field)
