"""Moves tournaments along: every overdue step, in the order in which the steps were due.

    scheduled ──starts_at──► active ──ends_at──► ended ──grace over, all that arrived is processed──► settled
        │                      │                   │
        └──────────────────────┴───────cancel──────┴──► cancelled

When an occurrence becomes active and the tournament repeats, the next one is scheduled; those that should have begun
meanwhile are scheduled first of all, so that they take scores while the steps before them are done. What was due while
nothing ran is done at the next start, step by step as it would have been.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.domain.periods import BEGINNING, LATEST
from grandstand.operations.announce import announce
from grandstand.operations.begin_occurrence import begin_occurrence
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.cut_scores import ScoreCutter
from grandstand.operations.schedule_occurrences import OccurrenceScheduler
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.storage.changes import Changes
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.leases import LeaseLostError
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.tournaments import DueStep, Tournament, TournamentStore

SLACK = timedelta(seconds=10)
"""What an event may take from its `received_at` to the stream; also the clocks of hosts differ a little."""

_ROUND_MAX = 500
_BATCH_MAX = 100
"""Occurrences that end, or whose rankings are closed, in one transaction: batches of events wait for it."""
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
        cutter: ScoreCutter,
        outbox: Outbox,
        registry: StreamRegistry,
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
        self._cutter = cutter
        self._outbox = outbox
        self._registry = registry
        self._changes = changes
        self._slack = slack
        self._fence = fence
        self._scheduler = OccurrenceScheduler(database, ledger, tournaments, fence=fence)

    async def run(self) -> int:
        """Take every step that is due by now; return how many there were.

        A step that fails is logged and stays due; it holds up no other tournament.

        Raises:
            UnavailableError: an engine is out of reach; what was done is done.
            LeaseLostError: the term is over; what was done is done.
        """
        await self._scheduler.make_overdue()
        count = skipped = 0
        while due := await self._due(skipped):
            taken = await self._round(due)
            count += taken
            if not taken:
                # What cannot be done now holds up nothing behind it.
                skipped += len(due)
        return count

    async def _round(self, due: list[DueStep]) -> int:
        count = 0
        next_due_at = LATEST
        for batch in self._batches(due):
            # What a step has made due comes before what was due after it.
            items = [item for due_at, item in batch if due_at <= next_due_at]
            if not items:
                break
            taken = await self._take(items)
            count += len(taken)
            if taken:
                await announce(self._changes.tournaments, self._changes.prizes)
            next_due_at = min([next_due_at, *map(self._due_after, taken)])
        return count

    def _batches(self, due: list[DueStep]) -> Iterator[list[DueStep]]:
        """Cut into runs of the same step, none of which makes one due that comes before the last of its run."""
        batch: list[DueStep] = []
        next_due_at = LATEST
        for step in due:
            is_same = bool(batch) and batch[0].item.status == step.item.status
            if batch and (not is_same or step.due_at > next_due_at or len(batch) == _BATCH_MAX):
                yield batch
                batch, next_due_at = [], LATEST
            batch.append(step)
            next_due_at = min(next_due_at, self._due_after(step.item))
        if batch:
            yield batch

    async def _due(self, skipped: int = 0) -> list[DueStep]:
        now = clock.now()
        # What is in a stream may still be a score of an ended occurrence: it waits until that is processed.
        try:
            settle_by = await self._registry.processed_until() - self._slack
        except UnavailableError as error:
            # Nobody knows what waits in a stream out of reach. What begins and ends goes by the time alone.
            _log.warning("tournaments_wait_for_streams", error=error.detail)
            settle_by = BEGINNING
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)
            return await self._tournaments.list_due(connection, now, settle_by, _ROUND_MAX, skipped)

    def _due_after(self, item: Tournament) -> datetime:
        """Return when the step after the one that `item` waits for is due; no other step makes one due earlier."""
        if item.status == "scheduled":
            return item.ends_at
        board = self._catalog.get_tournament(item.tournament_id)
        if item.status == "ended" or board is None or board.windows is None:
            return LATEST
        return item.ends_at + board.windows.grace

    async def _take(self, items: list[Tournament]) -> list[Tournament]:
        """Take the same step of each; return those that took it. One's trouble is not that of all others."""
        with _Contained(items):
            return await self._step(items)
        if len(items) == 1:
            return []
        return [taken for item in items for taken in await self._take([item])]

    async def _step(self, items: list[Tournament]) -> list[Tournament]:
        if items[0].status == "active":
            return await self._end(items)
        if items[0].status == "ended":
            return await self._settle(items)
        taken: list[Tournament] = []
        for item in items:
            with _Contained([item]):
                if await self._activate(item):
                    taken.append(item)
        return taken

    async def _activate(self, item: Tournament) -> bool:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            current = await self._current(connection, item)
            if current is None or current.starts_at > clock.now():
                return False
            await begin_occurrence(connection, self._ledger, self._tournaments, self._outbox, current)
        await self._announce()
        return True

    async def _end(self, items: list[Tournament]) -> list[Tournament]:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.share(connection)
            ended = await self._tournaments.end_all(connection, items, clock.now())
        return [item for item in items if (item.tournament_id, item.occurrence) in ended]

    async def _settle(self, items: list[Tournament]) -> list[Tournament]:
        """Close the rankings together, then settle one after the other, each in a transaction of its own."""
        boards = ((item, self._catalog.get_tournament(item.tournament_id)) for item in items)
        known = [(item, board) for item, board in boards if board is not None]
        if not known:
            return []
        for item, board in known:
            if item.is_cut:
                await self._cutter.cut(item, board)
        ranking_ids = await self._settler.close(known)
        await self._announce()
        taken: list[Tournament] = []
        for (item, board), ranking_id in zip(known, ranking_ids, strict=True):
            with _Contained([item]):
                if await self._settler.settle(item, board, ranking_id, clock.now()) is not None:
                    taken.append(item)
        return taken

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


class _Contained:
    """Logs what goes wrong with tournaments, and goes on: it is tried again. Engines and leases concern all others."""

    def __init__(self, items: list[Tournament]) -> None:
        self._items = items

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, (UnavailableError, LeaseLostError)):
            return False
        names = [(item.tournament_id, item.occurrence) for item in self._items]
        _log.error("tournament_step_failed", tournaments=names, exc_info=error)
        return True
