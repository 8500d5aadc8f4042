"""The boards as one process knows them: by key for readers, by event type for workers."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from grandstand.domain.leaderboards import Leaderboard
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Connection


class LeaderboardCatalog:
    """All definitions in memory, brought up to date by revision."""

    def __init__(self, store: LeaderboardStore) -> None:
        self._store = store
        self._by_key: dict[str, Leaderboard] = {}
        self._by_event_type: dict[str, list[Leaderboard]] = {}
        self._score_fields: dict[str, tuple[tuple[str, ...], ...]] = {}
        self.revision = 0
        """The newest revision that is known here."""

    def get(self, key: str) -> Leaderboard | None:
        """Return a board by its key."""
        return self._by_key.get(key)

    def all(self) -> list[Leaderboard]:
        """Return every board in the order of keys."""
        return [self._by_key[key] for key in sorted(self._by_key)]

    def for_event_type(self, event_type: str) -> list[Leaderboard]:
        """Return the boards that events of this type may feed."""
        return self._by_event_type.get(event_type, [])

    def score_fields(self) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """Return the payload paths that hold scores, by event type."""
        return self._score_fields

    async def refresh(self, connection: "Connection[Any]") -> None:
        """Take in what has changed since the newest known revision."""
        kept, deleted = await self._store.changed_since(connection, self.revision)
        newest = max((board.revision for board in kept + deleted), default=0)
        if newest <= self.revision:
            # Nothing new, or another refresh of this process looked later and came in before.
            return
        for board in deleted:
            held = self._by_key.get(board.key)
            if held is not None and held.leaderboard_id == board.leaderboard_id:
                del self._by_key[board.key]
        for board in kept:
            self._by_key[board.key] = board
        self.revision = newest
        self._index()

    def put(self, board: Leaderboard) -> None:
        """Take in one board that was found apart; the revision stays, so `refresh` still sees what lies between."""
        self._by_key[board.key] = board
        self._index()

    def _index(self) -> None:
        by_event_type: dict[str, list[Leaderboard]] = defaultdict(list)
        for key in sorted(self._by_key):
            by_event_type[self._by_key[key].definition.event_type].append(self._by_key[key])
        self._by_event_type = dict(by_event_type)
        self._score_fields = {
            event_type: tuple(sorted({path for board in boards if (path := _score_path(board)) is not None}))
            for event_type, boards in by_event_type.items()
        }


def _score_path(board: Leaderboard) -> tuple[str, ...] | None:
    return None if board.rule.operator == "count" else board.rule.path
