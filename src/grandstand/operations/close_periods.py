"""Closes periods that have ended: one step ends the writing, then the ranks are archived in bulk behind it.

    live ──(ended, grace over, everything received by then is processed)──► closed ──(copied with ranks)──► archived

A closed ranking is still read from the rank index or its entries; an archived one from the archive. Its live entries
are swept afterwards. Each step may be repeated after a crash.
"""

import time
from datetime import timedelta
from typing import Any

import structlog
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import UnavailableError
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.periods import BEGINNING, GRACE, period_id
from grandstand.domain.rankings import WHOLE, Ranking
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.storage.archive import ArchiveStore
from grandstand.storage.changes import Changes
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.leases import LeaseLostError
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rankings import RankingStore

_ROUND_MAX = 200
_SLACK = timedelta(seconds=10)
"""What an event may take from its `received_at` to the stream; also the clocks of hosts differ a little."""

_ARCHIVE_TIMEOUT_SECONDS = 600.0
_log = structlog.get_logger(__name__)


class PeriodCloser:
    """Closes and archives for one deployment; several at once do each step once."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        catalog: LeaderboardCatalog,
        rankings: RankingStore,
        archive: ArchiveStore,
        registry: StreamRegistry,
        changes: Changes,
        outbox: Outbox,
        *,
        fence: Fence = no_fence,
    ) -> None:
        """`fence` begins every transaction that closes or archives."""
        self._database = database
        self._ledger = ledger
        self._catalog = catalog
        self._rankings = rankings
        self._archive = archive
        self._registry = registry
        self._changes = changes
        self._outbox = outbox
        self._fence = fence

    async def close(self) -> int:
        """Close and archive what is due; return how many rankings were archived.

        A ranking that fails is logged and stays due; it holds up no other.

        Raises:
            UnavailableError: an engine is out of reach; what was archived is archived.
            LeaseLostError: the term is over; what was archived is archived.
        """
        # What is in a stream may still belong to a period: it closes when nothing so old is left to process.
        processed_until = await self._registry.processed_until()
        async with self._database.connection() as connection:
            due = await self._rankings.list_to_close(connection, processed_until - GRACE - _SLACK, _ROUND_MAX)
            await self._catalog.refresh(connection)
        live = [ranking.ranking_id for ranking in due if ranking.state == "live"]
        if live:
            await self._end_writing(live)
        count = 0
        for ranking in due:
            count += await self._try(ranking)
        if live or count:
            await self._announce()
        return count

    async def _end_writing(self, ranking_ids: list[int]) -> None:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            # A new revision makes every worker look at the states of rankings again.
            await self._ledger.next_leaderboards_revision(connection)
            await self._rankings.close(connection, ranking_ids)

    async def _try(self, ranking: Ranking) -> bool:
        try:
            return await self._archive_one(ranking)
        except (UnavailableError, LeaseLostError):
            raise
        except Exception:  # noqa: BLE001 - one ranking's trouble is not that of all others; it is tried again
            _log.exception("period_not_archived", ranking_id=ranking.ranking_id, part=ranking.name.part)
            return False

    async def _archive_one(self, ranking: Ranking) -> bool:
        board = self._catalog.get_by_epoch(ranking.name.leaderboard_id, ranking.name.epoch)
        if board is None:
            return False
        started = time.perf_counter()
        async with self._database.transaction() as connection:
            await self._fence(connection)
            total = await self._archive.archive(
                connection, ranking.ranking_id, board.direction, timeout_seconds=_ARCHIVE_TIMEOUT_SECONDS
            )
            if total is not None:
                await self._tell(connection, board, ranking, total)
        if total is None:
            return False
        _log.info(
            "period_archived",
            leaderboard=board.key,
            ranking_id=ranking.ranking_id,
            part=ranking.name.part,
            entries=total,
            seconds=round(time.perf_counter() - started, 3),
        )
        return True

    async def _tell(self, connection: "Connection[Any]", board: Leaderboard, ranking: Ranking, total: int) -> None:
        """Tell of the end of a period, once for all its parts; a tournament tells of its own end when it is settled."""
        started_at = ranking.name.started_at
        if ranking.name.part != WHOLE or board.windows is not None:
            return
        await self._outbox.add(
            connection,
            "leaderboard.period_closed",
            {
                "leaderboard": board.key,
                "period": period_id(started_at),
                "started_at": None if started_at == BEGINNING else started_at,
                "ended_at": ranking.ended_at,
                "total": total,
            },
        )

    async def _announce(self) -> None:
        try:
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("periods_not_announced", error=str(error))
