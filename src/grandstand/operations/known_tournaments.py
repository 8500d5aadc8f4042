"""Remembers tournaments as they were read a moment ago: every read of one begins with what and when it is."""

from grandstand.operations.answer_cache import AnswerCache
from grandstand.operations.find_tournament import find_tournament
from grandstand.operations.route_reads import Reads, Server
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.postgres import Database
from grandstand.storage.tournaments import Tournament, TournamentStore

_COUNT_MAX = 2_000


class KnownTournaments:
    """The tournaments that one process knows.

    A change of the tournament, a step that it takes and whoever joins are heard of. How many `players` have come in by
    scoring is not: that number is as old as the age that is stated, at most.
    """

    def __init__(
        self, database: Database | Reads, tournaments: TournamentStore, feed: ChangeFeed, age_max_seconds: float
    ) -> None:
        self._database = database
        self._tournaments = tournaments
        self._feed = feed
        self._cache: AnswerCache[tuple[str, int | None], Tournament] = AnswerCache(
            "tournaments", age_max_seconds=age_max_seconds, weight_max=_COUNT_MAX
        )

    async def find(self, tournament_id: str, occurrence: int | None = None) -> Tournament:
        """Return a tournament with its running occurrence, else the next, else the last; or with a named one.

        Raises:
            NotFoundError: `tournament_not_found`, `occurrence_not_found`.
            UnavailableError: it is not known here, and the database is out of reach.
        """
        return await self._cache.get(
            (tournament_id, occurrence),
            self._feed.tournaments_generation,
            lambda: self.read(tournament_id, occurrence),
        )

    def generation(self) -> int | None:
        """Return a number that is new after every change that is heard of; None while changes go unheard."""
        return self._feed.tournaments_generation()

    async def read(self, tournament_id: str, occurrence: int | None = None, *, server: Server = "any") -> Tournament:
        """Return the same as it is now."""
        return await self._database.read(
            lambda connection: find_tournament(self._tournaments, connection, tournament_id, occurrence), server=server
        )
