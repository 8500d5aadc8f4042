"""Display names for boards, from a bounded memory that hears of every change."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from grandstand.domain.errors import UnavailableError
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.gathered_lookups import GatheredLookups
from grandstand.storage.players import PlayerStore
from grandstand.storage.postgres import Database

_KNOWN_MAX = 100_000
_FEW = 25


class PlayerNames:
    """Knows the display names of the players that boards were asked for."""

    def __init__(self, database: Database, players: PlayerStore, feed: ChangeFeed) -> None:
        self._database = database
        self._players = players
        self._feed = feed
        self._known: dict[str, str | None] = {}
        self._generation: int | None = None
        self._single: GatheredLookups[None, str, str | None] = GatheredLookups(self._ask)

    async def find(self, user_ids: Iterable[str]) -> dict[str, str | None]:
        """Return the users' display names; without the database, None for those not in memory: ranks matter more."""
        generation = self._feed.names_generation()
        if generation is None or generation != self._generation or len(self._known) > _KNOWN_MAX:
            self._known = {}
            self._generation = generation
        wanted = list(user_ids)
        missing = [user_id for user_id in wanted if user_id not in self._known]
        known = self._known
        if missing:
            try:
                if len(missing) <= _FEW:
                    # Those beside a rank or in a neighbourhood: with those of whoever else looks at this moment.
                    names = await asyncio.gather(*(self._single.find(None, user_id) for user_id in missing))
                    found: Mapping[str, str | None] = dict(zip(missing, names, strict=True))
                else:
                    found = await self._ask(None, missing)
            except UnavailableError:
                return {user_id: known.get(user_id) for user_id in wanted}
            known.update(found)
        return {user_id: known.get(user_id) for user_id in wanted}

    async def _ask(self, _: None, user_ids: Sequence[str]) -> Mapping[str, str | None]:
        async with self._database.connection() as connection:
            found = await self._players.find_names(connection, user_ids)
        return {user_id: found.get(user_id) for user_id in user_ids}
