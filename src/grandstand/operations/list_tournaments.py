"""Reads tournaments: one, or all."""

from typing import get_args

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.list_cursors import check_limit
from grandstand.domain.tournaments import Status, is_tournament_id
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.route_reads import Reads
from grandstand.operations.tournament_views import TournamentList, TournamentView, tournament_view
from grandstand.storage.postgres import Database
from grandstand.storage.tournaments import TournamentStore

LIST_MAX = 1000
_STATUSES: tuple[Status, ...] = get_args(Status)


class TournamentLister:
    """Shows tournaments for one process. Every method raises `UnavailableError` without the database."""

    def __init__(self, database: Database | Reads, tournaments: TournamentStore, known: KnownTournaments) -> None:
        self._database = database
        self._tournaments = tournaments
        self._known = known

    async def get(self, tournament_id: str, occurrence: int | None = None, *, is_fresh: bool = True) -> TournamentView:
        """Return a tournament with its running occurrence, or a named one: as it is now, or a moment ago.

        Raises:
            NotFoundError: `tournament_not_found`.
        """
        find = self._known.read if is_fresh else self._known.find
        return tournament_view(await find(tournament_id, occurrence))

    async def list(
        self, status: str | None, *, limit: int, cursor: str | None, public_only: bool = False
    ) -> TournamentList:
        """Return tournaments in the order of ids: all, or those that everyone may see.

        Raises:
            InvalidError: an unknown status, a limit out of range, or a text that is no cursor.
        """
        if status is not None and status not in _STATUSES:
            raise InvalidError([FieldError("status", "must be scheduled, active, ended, settled or cancelled")])
        check_limit(limit, LIST_MAX)
        if cursor is not None and not is_tournament_id(cursor):
            raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")])
        items = await self._database.read(
            lambda connection: self._tournaments.list_all(
                connection, status, cursor or "", limit + 1, public_only=public_only
            )
        )
        return TournamentList(
            tournaments=[tournament_view(item) for item in items[:limit]],
            next_cursor=items[limit - 1].tournament_id if len(items) > limit else None,
        )
