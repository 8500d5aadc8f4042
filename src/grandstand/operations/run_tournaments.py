"""Moves tournaments along: every overdue step, in the order in which the steps were due.

    scheduled ──starts_at──► active ──ends_at──► ended ──grace over, all that arrived is processed──► settled
        │                      │                   │
        └──────────────────────┴───────cancel──────┴──► cancelled

When an occurrence becomes active and the tournament repeats, the next one is scheduled. What was due while nothing ran
is done at the next start, step by step as it would have been.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.domain.periods import LATEST
from grandstand.domain.tournaments import Window, next_window
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.storage.changes import Changes
from grandstand.storage.event_stream import EventStream
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.leases import LeaseLostError
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.tournaments import DueStep, Tournament, TournamentStore

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
        fence: Fence = no_fence,
    ) -> None:
        """`fence` begins every transaction that takes a step."""
        self._database = database
        self._ledger = ledger
        self._catalog = catalog
        self._tournaments = tournaments
        self._settler = settler
        self._outbox = outbox
        self._stream = stream
        self._changes = changes
        self._slack = slack
        self._fence = fence

    async def run(self) -> int:
        """Take every step that is due by now; return how many there were.

        A step that fails is logged and stays due; it holds up no other tournament.

        Raises:
            UnavailableError: an engine is out of reach; what was done is done.
            LeaseLostError: the term is over; what was done is done.
        """
        count = 0
        while True:
            taken = 0
            next_due_at = LATEST
            for due_at, item in await self._due():
                # What a step has made due comes before what was due after it.
                if due_at > next_due_at:
                    break
                if await self._try(item):
                    taken += 1
                    next_due_at = min(next_due_at, self._due_after(item))
            count += taken
            if not taken:
                return count

    async def _due(self) -> list[DueStep]:
        now = clock.now()
        depth = await self._stream.depth()
        # What is in the stream may still be a score of an ended occurrence: it waits until that is processed.
        settle_by = now - timedelta(seconds=depth.lag_seconds) - self._slack
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            return await self._tournaments.list_due(connection, now, settle_by, _ROUND_MAX)

    def _due_after(self, item: Tournament) -> datetime:
        """Return when the step after the one that `item` waits for is due; no other step makes one due earlier."""
        if item.status == "scheduled":
            return item.ends_at
        board = self._catalog.get_tournament(item.tournament_id)
        if item.status == "ended" or board is None or board.windows is None:
            return LATEST
        return item.ends_at + board.windows.grace

    async def _try(self, item: Tournament) -> bool:
        try:
            return await self._step(item)
        except (UnavailableError, LeaseLostError):
            raise
        except Exception:  # noqa: BLE001 - one tournament's trouble is not that of all others; it is tried again
            _log.exception("tournament_step_failed", tournament=item.tournament_id, occurrence=item.occurrence)
            return False

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
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            current = await self._current(connection, item)
            if current is None or current.starts_at > clock.now():
                return False
            item = current
            await self._tournaments.step(connection, item, "active")
            following = next_window(item.definition, Window(item.occurrence, item.starts_at, item.ends_at))
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
            await self._fence(connection)
            await self._ledger.share(connection)
            current = await self._current(connection, item)
            if current is None or current.ends_at > clock.now():
                return False
            return await self._tournaments.step(connection, current, "ended")

    async def _current(self, connection: "Connection[Any]", item: Tournament) -> Tournament | None:
        """Return an occurrence as it is by now, or None when it is not in the same status any more.

        Changes hold the ledger alone: while the caller has it, there are none.
        """
        current = await self._tournaments.find(connection, item.tournament_id, item.occurrence)
        return current if current is not None and current.status == item.status else None

    async def _announce(self) -> None:
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))
