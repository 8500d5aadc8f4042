"""Settles one occurrence: standings and prizes in one transaction, once.

    ended ──► its ranking is closed (no batch writes it any more) ──► standings + prizes + webhooks + `settled`, at once

The first step may be repeated; the second happens only while the status is `ended`, under a lock on the occurrence, so
of two schedulers one settles and the other finds it done. A scheduler that was paused in between holds the lock or has
lost it with its connection: there is no third case.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from grandstand.domain.ids import new_ids
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.rankings import RankingName
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import Prize, PrizeStore
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Tournament, TournamentStore

SETTLE_TIMEOUT_SECONDS = 600.0
_log = structlog.get_logger(__name__)


class TournamentSettler:
    """Settles occurrences for one scheduler."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        tournaments: TournamentStore,
        rankings: RankingStore,
        prizes: PrizeStore,
        outbox: Outbox,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._tournaments = tournaments
        self._rankings = rankings
        self._prizes = prizes
        self._outbox = outbox

    async def settle(self, item: Tournament, board: Leaderboard, now: datetime) -> int | None:
        """Settle an ended occurrence; return how many prizes were awarded, or None when it was settled already.

        Raises:
            UnavailableError: the database is out of reach; nothing was settled.
        """
        ranking_id = await self._close(item, board)
        async with self._database.transaction() as connection:
            status, _ = await self._tournaments.lock(connection, item.tournament_id, item.occurrence)
            if status != "ended":
                return None
            players = 0
            if ranking_id is not None:
                players = await self._tournaments.write_standings(connection, item, ranking_id, board.direction)
            prizes = await self._award(connection, item, players, now)
            await self._tell(connection, item, players, prizes)
            await self._tournaments.step(connection, item, "settled", now)
        _log.info(
            "tournament_settled",
            tournament=item.tournament_id,
            occurrence=item.occurrence,
            players=players,
            prizes=len(prizes),
        )
        return len(prizes)

    async def _close(self, item: Tournament, board: Leaderboard) -> int | None:
        """End the writing of scores; return the ranking, or None when nobody has scored."""
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            name = RankingName(board.leaderboard_id, board.epoch, item.starts_at)
            found = await self._rankings.find(connection, [name])
            if not found:
                return None
            if found[0].state == "live":
                await self._ledger.next_leaderboards_revision(connection)
                await self._rankings.close(connection, [found[0].ranking_id])
            return found[0].ranking_id

    async def _award(self, connection: "Connection[Any]", item: Tournament, players: int, now: datetime) -> list[Prize]:
        expires_at = now + timedelta(days=item.definition.claim_days)
        prizes: list[Prize] = []
        for number, rule in enumerate(item.definition.prizes):
            first, last = rule.ranks(players)
            if first <= last:
                prize_ids = new_ids(last - first + 1, now)
                prizes += await self._prizes.award(
                    connection,
                    item.tournament_id,
                    item.occurrence,
                    (number, rule),
                    (first, last),
                    prize_ids,
                    now,
                    expires_at,
                )
        return prizes

    async def _tell(
        self, connection: "Connection[Any]", item: Tournament, players: int, prizes: Sequence[Prize]
    ) -> None:
        name = {"tournament_id": item.tournament_id, "occurrence": item.occurrence}
        await self._outbox.add(connection, "tournament.settled", {**name, "players": players, "prizes": len(prizes)})
        await self._outbox.add_many(
            connection,
            "prize.awarded",
            [
                {
                    **name,
                    "prize_id": str(prize.prize_id),
                    "user_id": prize.user_id,
                    "rank": prize.rank,
                    "kind": prize.kind,
                    "amount": prize.amount,
                    "metadata": msgspec.json.decode(prize.metadata),
                    "expires_at": prize.expires_at,
                }
                for prize in prizes
            ],
        )
