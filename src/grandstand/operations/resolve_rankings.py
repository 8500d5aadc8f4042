"""Finds the rankings that tallies go to, and makes those that do not exist yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from grandstand.domain.rankings import Ranking, RankingName, RankingPart
from grandstand.storage.postgres import Connection
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore

SEGMENTS_MAX = 1_000
"""Segments one period of a board may have: their names come from players' clients."""

_KNOWN_MAX = 200_000


class RankingResolver:
    """Remembers the rankings that one process has written to, as long as no definition or period changes."""

    def __init__(self, store: RankingStore, index: RankingIndex) -> None:
        self._store = store
        self._index = index
        self._known: dict[RankingName, Ranking] = {}
        self._fresh: dict[RankingName, Ranking] = {}
        self._revision = 0
        self.has_made = False
        """Whether rankings were made since `begin`."""

    def begin(self, revision: int) -> None:
        """Begin a transaction that sees definitions and periods of `revision`."""
        self._fresh = {}
        self.has_made = False
        if revision != self._revision or len(self._known) > _KNOWN_MAX:
            self._known = {}
            self._revision = revision

    def commit(self) -> None:
        """Remember what was found or made since `begin`: its transaction is committed."""
        self._known.update(self._fresh)

    async def find(
        self, connection: "Connection[Any]", names: Mapping[RankingName, datetime | None]
    ) -> dict[RankingName, Ranking]:
        """Return those of the rankings (name → end) that exist."""
        missing = sorted(name for name in names if name not in self._known and name not in self._fresh)
        if missing:
            for ranking in await self._store.find(connection, missing):
                self._fresh.setdefault(ranking.name, ranking)
        found = {name: self._known.get(name, self._fresh.get(name)) for name in names}
        return {name: ranking for name, ranking in found.items() if ranking is not None}

    async def find_of_parts(self, connection: "Connection[Any]", parts: Sequence[RankingPart]) -> list[Ranking]:
        """Return the rankings of these parts that are not archived, of every period."""
        return await self._store.find_of_parts(connection, parts)

    async def resolve(
        self, connection: "Connection[Any]", names: Mapping[RankingName, datetime | None]
    ) -> dict[RankingName, Ranking]:
        """Return the rankings, made where they are missing; new segments beyond `SEGMENTS_MAX` are left out."""
        found = await self.find(connection, names)
        missing = [name for name in sorted(names) if name not in found]
        if missing:
            wanted = [(name, names[name]) for name in await self._within_limit(connection, missing)]
            made = await self._store.insert_missing(connection, wanted)
            # Before the commit, so before any entry can be in it: an empty index is a complete one.
            await self._index.complete_new(made)
            self.has_made = self.has_made or bool(made)
            found = await self.find(connection, names)
        return found

    async def _within_limit(self, connection: "Connection[Any]", missing: list[RankingName]) -> list[RankingName]:
        allowed: list[RankingName] = []
        room: dict[RankingName, int] = {}
        for name in missing:
            if name.part.startswith("s:"):
                whole = name._replace(part="")
                if whole not in room:
                    room[whole] = SEGMENTS_MAX - await self._store.count_segments(connection, whole)
                room[whole] -= 1
                if room[whole] < 0:
                    continue
            allowed.append(name)
        return allowed
