"""Enters players into tournaments."""

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, InvalidError
from grandstand.domain.event_model import is_user_id
from grandstand.operations.announce import announce
from grandstand.operations.find_tournament import find_open_tournament
from grandstand.operations.tournament_views import ParticipantView
from grandstand.storage.bans import BanStore
from grandstand.storage.changes import Changes
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database
from grandstand.storage.tournaments import TournamentStore


class TournamentJoiner:
    """Enters players for one process. Every method raises `UnavailableError` without the database."""

    def __init__(
        self, database: Database, ledger: Ledger, tournaments: TournamentStore, bans: BanStore, changes: Changes
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._tournaments = tournaments
        self._bans = bans
        self._changes = changes

    async def join(self, tournament_id: str, user_id: str, occurrence: int | None = None) -> ParticipantView:
        """Enter a player into an occurrence: the named one, else the running one, else the next.

        Entering twice is the same as once.

        Raises:
            InvalidError: a wrong user id.
            NotFoundError: `tournament_not_found`, `occurrence_not_found`.
            ConflictError: `tournament_full`, `tournament_over` after the end, `player_banned`.
        """
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])
        now = clock.now()
        async with self._database.transaction() as connection:
            # Changes and bans hold the ledger alone: they come before all of this, or after it.
            await self._ledger.share(connection)
            item = await find_open_tournament(self._tournaments, connection, tournament_id, now, occurrence)
            status, players = await self._tournaments.lock(connection, tournament_id, item.occurrence)
            if status not in ("scheduled", "active"):
                raise ConflictError("tournament_over", f"The tournament {tournament_id!r} is over.")
            if await self._bans.find(connection, [user_id]):
                raise ConflictError("player_banned", "This player is banned.")
            known = await self._tournaments.find_participant(connection, tournament_id, item.occurrence, user_id)
            if known is None:
                most = item.definition.max_players
                if most is not None and players >= most:
                    raise ConflictError("tournament_full", f"The tournament {tournament_id!r} has {most} players.")
                await self._tournaments.add_participants(connection, tournament_id, item.occurrence, [user_id], now)
                known = await self._tournaments.find_participant(connection, tournament_id, item.occurrence, user_id)
        await announce(self._changes.tournaments)
        if known is None:
            raise RuntimeError("A participant was added and is not there.")
        return ParticipantView(
            tournament_id=tournament_id,
            occurrence=item.occurrence,
            user_id=user_id,
            joined_at=known.joined_at,
            attempts=known.attempts,
        )
