"""Finds the occurrence of a tournament that a request is about."""

from datetime import datetime
from typing import Any

from grandstand.domain.errors import ConflictError, NotFoundError
from grandstand.domain.tournaments import is_tournament_id
from grandstand.storage.postgres import Connection
from grandstand.storage.tournaments import Tournament, TournamentStore


async def find_tournament(
    tournaments: TournamentStore, connection: "Connection[Any]", tournament_id: str, occurrence: int | None = None
) -> Tournament:
    """Return a tournament with its running occurrence, else the next, else the last; or with a named one.

    Raises:
        NotFoundError: `tournament_not_found`, `occurrence_not_found`.
    """
    item = None
    if is_tournament_id(tournament_id):
        item = await tournaments.find(connection, tournament_id, occurrence)
    if item is not None:
        return item
    if occurrence is not None:
        await find_tournament(tournaments, connection, tournament_id)
        raise NotFoundError("occurrence_not_found", f"This tournament has no occurrence {occurrence}.")
    raise NotFoundError("tournament_not_found", f"There is no tournament {tournament_id!r}.")


async def find_open_tournament(
    tournaments: TournamentStore,
    connection: "Connection[Any]",
    tournament_id: str,
    now: datetime,
    occurrence: int | None = None,
) -> Tournament:
    """Return a tournament with the occurrence that may be entered and changed: the running one, else the next.

    Raises:
        NotFoundError: `tournament_not_found`, `occurrence_not_found`.
        ConflictError: `tournament_over` when there is none, or the named one is over by now.
    """
    if occurrence is None and is_tournament_id(tournament_id):
        item = await tournaments.find_open(connection, tournament_id, now)
        if item is not None:
            return item
    item = await find_tournament(tournaments, connection, tournament_id, occurrence)
    if item.status not in ("scheduled", "active") or item.ends_at <= now:
        status = item.status if item.status in ("cancelled", "settled") else "over"
        raise ConflictError("tournament_over", f"The tournament {tournament_id!r} is {status}.")
    return item
