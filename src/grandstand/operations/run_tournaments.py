"""Moves tournaments along: every overdue step, in the order in which the steps were due.

    scheduled ──starts_at──► active ──ends_at──► ended ──grace over, all that arrived is processed──► settled
        │                      │                   │
        └──────────────────────┴───────cancel──────┴──► cancelled

When an occurrence becomes active and the tournament repeats, the next one is scheduled. What was due while nothing ran
is done at the next start, step by step as it would have been.
"""

from datetime import timedelta

import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.tournaments import Window, next_window
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.storage.changes import Changes
from grandstand.storage.event_stream import EventStream
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Database
from grandstand.storage.tournaments import Tournament, TournamentStore

SLACK = timedelta(seconds=10)
"""What an event may take from its `received_at` to the stream; also the clocks of hosts differ a little."""

_ROUND_MAX = 500
_log = structlog.get_logger(__name__)


class TournamentRunner:
    """Takes the steps that are due. Several at once take each step once."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        catalog: LeaderboardCatalog,
        tournaments: TournamentStore,
        settler: TournamentSettler,
        outbox: Outbox,
        stream: EventStream,
        changes: Changes,
        *,
        slack: timedelta = SLACK,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._catalog = catalog
        self._tournaments = tournaments
        self._settler = settler
        self._outbox = outbox
        self._stream = stream
        self._changes = changes
        self._slack = slack

    async def run(self) -> int:
        """Take every step that is due by now; return how many there were.

        Raises:
            UnavailableError: an engine is out of reach; what was done is done.
        """
        count = 0
        while True:
            due = await self._due()
            taken = 0
            for item in due:
                taken += await self._step(item)
            count += taken
            if not taken:
                return count

    async def _due(self) -> list[Tournament]:
        now = clock.now()
        depth = await self._stream.depth()
        # What is in the stream may still be a score of an ended occurrence: it waits until that is processed.
        settle_by = now - timedelta(seconds=depth.lag_seconds) - self._slack
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            return await self._tournaments.list_due(connection, now, settle_by, _ROUND_MAX)

    async def _step(self, item: Tournament) -> bool:
        if item.status == "scheduled":
            return await self._activate(item)
        if item.status == "active":
            return await self._end(item)
        board = self._catalog.get_tournament(item.tournament_id)
        if board is None:
            return False
        is_settled = await self._settler.settle(item, board, clock.now()) is not None
        if is_settled:
            await self._announce()
        return is_settled

    async def _activate(self, item: Tournament) -> bool:
        following = next_window(item.definition, Window(item.occurrence, item.starts_at, item.ends_at))
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            if not await self._tournaments.step(connection, item, "active"):
                return False
            if following is not None:
                await self._tournaments.insert_occurrence(connection, item.tournament_id, following, "scheduled")
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._tournaments.publish_windows(connection, item.tournament_id, item.leaderboard_id, revision)
            await self._outbox.add(
                connection,
                "tournament.started",
                {
                    "tournament_id": item.tournament_id,
                    "occurrence": item.occurrence,
                    "starts_at": item.starts_at,
                    "ends_at": item.ends_at,
                },
            )
        await self._announce()
        return True

    async def _end(self, item: Tournament) -> bool:
        async with self._database.transaction() as connection:
            return await self._tournaments.step(connection, item, "ended")

    async def _announce(self) -> None:
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))
