"""Display names for boards, from a bounded memory that hears of every change."""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from grandstand.domain.errors import UnavailableError
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.gathered_lookups import GatheredLookups
from grandstand.storage.players import PlayerStore
from grandstand.storage.postgres import Connection, Database

_KNOWN_MAX = 100_000
_FORGOTTEN_AT_ONCE = _KNOWN_MAX // 8
"""How many are forgotten when there are too many: those that were asked for first."""

ALL_MAX = 20_000
"""Players of whom something has been said up to whom all names are kept: then whoever is not among them has none."""

_ALL_AGAIN_SECONDS = 60.0
"""Least time between two readings of all names, which cost as much as some thousand look-ups."""

_ALL_AGE_MAX_SECONDS = 60.0
"""How long all names are kept where no change is heard of: one that nobody told of is shown by then."""

_Asked = tuple[str, ...]
_Names = Mapping[str, str | None]


class PlayerNames:
    """Knows the display names of the players that boards were asked for; of few players, of all.

    Where most players have no name, or a game is young, a board then needs no look-up at all.
    """

    def __init__(self, database: Database, players: PlayerStore, feed: ChangeFeed) -> None:
        self._database = database
        self._players = players
        self._feed = feed
        self._known: dict[str, str | None] = {}
        self._has_all = False
        self._all_again_at = self._all_until = 0.0
        self._generation: int | None = None
        self._gathered: GatheredLookups[None, _Asked, _Names] = GatheredLookups(self._ask, len)

    async def find(self, user_ids: Iterable[str]) -> dict[str, str | None]:
        """Return the users' display names; without the database, None for those not in memory: ranks matter more."""
        wanted = list(user_ids)
        if (names := self.known(wanted)) is not None:
            return names
        known = self._known
        missing = tuple([user_id for user_id in wanted if user_id not in known])
        # Those that are not missing may be forgotten meanwhile.
        names = {user_id: known.get(user_id) for user_id in wanted}
        try:
            # With those of whoever else looks at about this moment.
            found = await self._gathered.find(None, missing)
        except UnavailableError:
            return names
        for user_id in missing:
            names[user_id] = known[user_id] = found[user_id]
        return names

    def known(self, user_ids: Sequence[str]) -> dict[str, str | None] | None:
        """Return the users' display names if those of all are in memory, and up to date; else None."""
        generation = self._feed.names_generation()
        is_old = self._has_all and time.monotonic() >= self._all_until
        if generation is None or generation != self._generation or is_old:
            self._known = {}
            self._has_all = False
            self._generation = generation
        elif len(self._known) > _KNOWN_MAX and not self._has_all:
            for user_id in list(islice(self._known, _FORGOTTEN_AT_ONCE)):
                del self._known[user_id]
        known = self._known
        if not self._has_all:
            for user_id in user_ids:
                if user_id not in known:
                    return None
        return {user_id: known.get(user_id) for user_id in user_ids}

    async def _ask(self, _: None, asked: Sequence[_Asked]) -> Mapping[_Asked, _Names]:
        user_ids = list(dict.fromkeys(chain.from_iterable(asked)))
        async with self._database.connection() as connection:
            if self._generation is not None and time.monotonic() >= self._all_again_at:
                self._all_again_at = time.monotonic() + _ALL_AGAIN_SECONDS
                await self._learn_all(connection)
            found = await self._players.find_names(connection, user_ids)
        return dict.fromkeys(asked, dict.fromkeys(user_ids) | found)

    async def _learn_all(self, connection: "Connection[Any]") -> None:
        """Read all names, unless there are many players; what changes meanwhile is heard of, and makes them old."""
        generation, until = self._generation, time.monotonic() + _ALL_AGE_MAX_SECONDS
        if await self._players.has_more_than(connection, ALL_MAX):
            return
        found = await self._players.list_names(connection)
        if self._generation == generation:
            self._known = dict(found)
            self._has_all, self._all_until = True, until
