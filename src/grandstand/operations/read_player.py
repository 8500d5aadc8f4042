"""Reads what is known of a player: what was said, when it was seen, its ranks, its prizes, and whether it is banned."""

from datetime import datetime
from typing import Any

import msgspec

from grandstand import clock
from grandstand.domain.errors import NotFoundError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.leaderboards import TOURNAMENT_PREFIX
from grandstand.domain.rankings import Ranking
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.leaderboard_views import UserRank
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.read_tournament import TournamentRank, TournamentReader
from grandstand.operations.tournament_views import PrizeView, prize_view
from grandstand.storage.bans import BanStore
from grandstand.storage.players import PlayerStore
from grandstand.storage.postgres import Database
from grandstand.storage.prizes import PrizeStore
from grandstand.storage.rankings import RankingStore

RANKS_MAX = 200
PRIZES_MAX = 100


class PlayerProfile(msgspec.Struct, kw_only=True):
    """What is known of a player. `first_seen_at` and `last_seen_at` are when events arrived.

    `ranks` are those in running periods and tournaments, `RANKS_MAX` at most; `prizes` the newest `PRIZES_MAX`.
    """

    user_id: str
    display_name: str | None
    country: str | None
    metadata: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    is_banned: bool
    banned_at: datetime | None
    ranks: list[UserRank]
    tournaments: list[TournamentRank]
    prizes: list[PrizeView]


class PlayerReader:
    """Reads players for one process. Raises `UnavailableError` when neither engine can answer."""

    def __init__(
        self,
        database: Database,
        players: PlayerStore,
        bans: BanStore,
        prizes: PrizeStore,
        rankings: RankingStore,
        catalog: LeaderboardCatalog,
        reader: LeaderboardReader,
        tournaments: TournamentReader,
    ) -> None:
        self._database = database
        self._players = players
        self._bans = bans
        self._prizes = prizes
        self._rankings = rankings
        self._catalog = catalog
        self._reader = reader
        self._tournaments = tournaments

    async def get(self, user_id: str) -> PlayerProfile:
        """Return what is known of a player.

        Raises:
            NotFoundError: `player_not_found` when that is nothing at all.
        """
        if not is_user_id(user_id):
            raise _not_found()
        async with self._database.connection() as connection:
            player = await self._players.find(connection, user_id)
            first_at, last_at = await self._players.find_seen(connection, user_id)
            ban = await self._bans.get(connection, user_id)
            prizes = await self._prizes.list_newest(connection, user_id, PRIZES_MAX)
            await self._catalog.refresh(connection)
            held = await self._rankings.list_of_user(connection, user_id, clock.now(), RANKS_MAX)
        if player is None and first_at is None and not prizes and not held:
            raise _not_found()
        ranks, tournaments = await self._ranks(user_id, held)
        return PlayerProfile(
            user_id=user_id,
            display_name=None if player is None else player.display_name,
            country=None if player is None else player.country,
            metadata={} if player is None else msgspec.json.decode(player.metadata),
            created_at=None if player is None else player.created_at,
            updated_at=None if player is None else player.updated_at,
            first_seen_at=first_at,
            last_seen_at=last_at,
            is_banned=ban is not None,
            banned_at=None if ban is None else ban[0],
            ranks=ranks,
            tournaments=tournaments,
            prizes=[prize_view(prize) for prize in prizes],
        )

    async def _ranks(self, user_id: str, held: list[Ranking]) -> tuple[list[UserRank], list[TournamentRank]]:
        ranks: list[UserRank] = []
        tournaments: list[TournamentRank] = []
        for ranking in held:
            board = self._catalog.get_by_epoch(ranking.name.leaderboard_id, ranking.name.epoch)
            if board is None:
                continue
            try:
                if board.windows is None:
                    ranks.append(await self._reader.user(board.key, user_id))
                    continue
                tournament_id = board.key.removeprefix(TOURNAMENT_PREFIX)
                occurrence = board.windows.occurrence(ranking.name.started_at)
                tournaments.append(await self._tournaments.user(tournament_id, user_id, occurrence=occurrence))
            except NotFoundError:
                # Taken off, reset or replayed since it was listed.
                continue
        return ranks, tournaments


def _not_found() -> NotFoundError:
    return NotFoundError("player_not_found", "There is no such player.")
