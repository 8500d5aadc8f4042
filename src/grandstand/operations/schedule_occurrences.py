"""Schedules the occurrences of repeating tournaments that should have begun while no scheduler ran.

They take scores from then on, whatever steps of earlier ones are still to be taken.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from grandstand import clock
from grandstand.domain.tournaments import Window, next_window
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database
from grandstand.storage.tournaments import Tournament, TournamentStore

_AT_ONCE = 1_000
"""Occurrences of one transaction, which holds up batches of events."""


class OccurrenceScheduler:
    """Makes what is missing. Several at once make each occurrence once."""

    def __init__(
        self, database: Database, ledger: Ledger, tournaments: TournamentStore, *, fence: Fence = no_fence
    ) -> None:
        """`fence` begins every transaction."""
        self._database = database
        self._ledger = ledger
        self._tournaments = tournaments
        self._fence = fence

    async def make_overdue(self) -> None:
        """Schedule every occurrence that should have begun by now, but for the first after each that there is.

        That one is made when the one before it begins.

        Raises:
            UnavailableError: the database is out of reach; what was done is done.
            LeaseLostError: the term is over; what was done is done.
        """
        now = clock.now()
        async with self._database.connection() as connection:
            items = await self._tournaments.list_last_due(connection, now)
        for item in items:
            while next(_overdue(item, now), None) is not None:
                last = await self._extend(item, now)
                if last is None:
                    break
                item = last  # noqa: PLW2901 - it goes on behind what was made

    async def _extend(self, item: Tournament, now: datetime) -> Tournament | None:
        """Schedule some of the occurrences after one; return the last, or None when the item is another by now."""
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            current = await self._tournaments.find(connection, item.tournament_id, item.occurrence)
            if current is None or current.status != "scheduled":
                return None
            windows = list(islice(_overdue(current, now), _AT_ONCE))
            if not windows or not await self._tournaments.insert_occurrences(connection, item.tournament_id, windows):
                return None
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._tournaments.publish_windows(connection, item.tournament_id, item.leaderboard_id, revision)
            return await self._tournaments.find(connection, item.tournament_id, windows[-1].occurrence)


def _overdue(item: Tournament, now: datetime) -> Iterator[Window]:
    """Yield the occurrences after one that should have begun by now."""
    window = next_window(item.definition, Window(item.occurrence, item.starts_at, item.ends_at))
    while window is not None and window.starts_at <= now:
        yield window
        window = next_window(item.definition, window)
