"""Finishes erasures: takes a player's id out of all that is stored, a bounded piece a transaction.

Every step may be repeated and none depends on what another process remembers, so a scheduler that is killed in the
middle leaves an erasure that the next round goes on with.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.storage.changes import Changes
from grandstand.storage.erasures import Erasure, ErasureStore
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.reports import ReportStore
from grandstand.storage.rollups import Counted, RollupsBusyError, RollupStore

_ROUND_MAX = 100
_EVENTS = 2_000
_RANKINGS = 1_000
_ROWS = 5_000
_SLACK = timedelta(seconds=10)
"""What an event may take from its `received_at` to the stream; also the clocks of hosts differ a little."""

_FIRST = UUID(int=0)
_log = structlog.get_logger(__name__)


class ErasureFinisher:
    """Finishes what is under way, for the scheduler that leads."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        erasures: ErasureStore,
        registry: StreamRegistry,
        index: RankingIndex,
        changes: Changes,
        *,
        slack: timedelta = _SLACK,
        fence: Fence = no_fence,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._erasures = erasures
        self._registry = registry
        self._index = index
        self._changes = changes
        self._slack = slack
        self._fence = fence
        self._rollups = RollupStore()
        self._reports = ReportStore()

    async def finish(self) -> int:
        """Finish the erasures whose players' older events are all processed; return how many were finished.

        Raises:
            UnavailableError, valkey.exceptions.ValkeyError: an engine is out of reach; the next round goes on.
            LeaseLostError: the term is over.
        """
        async with self._database.connection() as connection:
            pending = await self._erasures.list_pending(connection, _ROUND_MAX)
        if not pending:
            return 0
        # What waits in a stream may be the player's: it would come back after the erasure.
        processed_until = await self._registry.processed_until() - self._slack
        due = [erasure for erasure in pending if erasure.requested_at < processed_until]
        try:
            return sum([await self._finish_one(erasure) for erasure in due])
        except RollupsBusyError:
            # They are counted or rebuilt right now; the next round goes on.
            return 0

    async def _finish_one(self, erasure: Erasure) -> bool:
        if await self._in_transaction(self._erasures.has_unarchived, erasure):
            return False
        # Before the events: attempts are counted from them.
        await self._in_transaction(self._erasures.rename_finals, erasure)
        while await self._in_transaction(self._erasures.rename_events, erasure, _EVENTS):
            pass
        # After the events: from now on no partition leaves with the id in it. A round of archiving writes files anew.
        if await self._in_transaction(self._erasures.has_archived_events, erasure):
            return False
        await self._in_transaction(self._erasures.rename_quarantine, erasure)
        await self._in_transaction(self._erasures.delete_dead_letters, erasure)
        for step, first, limits in (
            (self._erasures.rename_dead_blocks, _FIRST, ()),
            (self._erasures.rename_archives, 0, (_RANKINGS,)),
            (self._erasures.rename_audit, 0, (_ROWS,)),
            (self._erasures.rename_outbox, _FIRST, (_ROWS,)),
        ):
            last: Any = first
            while last is not None:
                last = await self._in_transaction(step, erasure, last, *limits)
        await self._in_transaction(self._erasures.delete_unswept_entries, erasure)
        await self._clean_index(erasure)
        # Before the ledger is held, so that little is left to count while batches wait for it.
        while not (await self._in_transaction(self._count_rollups)).is_all:
            pass
        async with self._database.transaction() as connection:
            await self._fence(connection)
            # Never waits, so nobody waits behind it for the ledger; a rebuild may hold it for long.
            await self._rollups.lock(connection)
            # Alone: no replay is to have read events of before and not yet heard that they do not count.
            await self._ledger.seize(connection)
            if await self._erasures.rename_events(connection, erasure, _EVENTS) or (
                await self._erasures.has_archived_events(connection, erasure)
            ):
                # An archive came back after they were renamed, or is about to; the next round goes on.
                return False
            # No batch is under way: of what is counted, what was received after the request stays the player's.
            while not (await self._rollups.count(connection)).is_all:
                pass
            await self._rollups.rename(connection, erasure.user_id, erasure.pseudonym, erasure.requested_at)
            # Payloads of the player may have given groups their names.
            await self._reports.forget_values(connection)
            await self._erasures.end_player(connection, erasure)
        # Once, for a new life may have brought the id back.
        for table in await self._in_transaction(self._erasures.list_statistics, erasure):
            # Without the fence, for whose end the next leader would wait: it takes long, and harms nothing done twice.
            async with self._database.transaction() as connection:
                await self._erasures.analyze(connection, table)
        await self._in_transaction(self._erasures.finish, erasure, clock.now())
        _log.info("player_erased", erasure_id=str(erasure.erasure_id))
        await self._announce()
        return True

    async def _count_rollups(self, connection: "Connection[Any]") -> Counted:
        await self._rollups.lock(connection)
        return await self._rollups.count(connection)

    async def _in_transaction(self, step: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            return await step(connection, *arguments)

    async def _clean_index(self, erasure: Erasure) -> None:
        last = 0
        while rankings := await self._rankings_behind(last):
            await self._index.erase(rankings, erasure.user_id)
            last = rankings[-1][0]

    async def _rankings_behind(self, last: int) -> list[tuple[int, bool]]:
        async with self._database.connection() as connection:
            return list(await self._erasures.unswept_rankings(connection, last, _RANKINGS))

    async def _announce(self) -> None:
        try:
            await self._changes.names()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))
