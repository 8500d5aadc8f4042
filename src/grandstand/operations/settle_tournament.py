"""Settles one occurrence: standings and prizes in one transaction, once.

    ended ──► its ranking is closed (no batch writes it any more) ──► standings + prizes + webhooks + `settled`, at once

The first step may be repeated; the second happens only while the status is `ended`, under a lock on the occurrence, so
of two schedulers one settles and the other finds it done. A scheduler that was paused in between holds the lock or has
lost it with its connection: there is no third case.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from grandstand.domain.ids import new_ids
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.rankings import RankingName
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import Prize, PrizeStore
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Tournament, TournamentStore

_STANDINGS_TIMEOUT_SECONDS = 600.0
_PRIZES_AT_ONCE = 2_000
"""Prizes of one statement: the loop goes on in between, and no statement nears its time limit."""

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
        *,
        fence: Fence = no_fence,
    ) -> None:
        """`fence` begins every transaction of a settlement."""
        self._database = database
        self._ledger = ledger
        self._tournaments = tournaments
        self._rankings = rankings
        self._prizes = prizes
        self._outbox = outbox
        self._fence = fence

    async def settle(self, item: Tournament, board: Leaderboard, now: datetime) -> int | None:
        """Settle an ended occurrence; return how many prizes were awarded, or None when it was settled already.

        Raises:
            UnavailableError: the database is out of reach; nothing was settled.
        """
        ranking_id = await self._close(item, board)
        async with self._database.transaction() as connection:
            await self._fence(connection)
            # A ban holds the ledger alone: it is before the standings, and they leave its player out, or after the
            # prizes, and voids them.
            await self._ledger.share(connection)
            status, _ = await self._tournaments.lock(connection, item.tournament_id, item.occurrence)
            if status != "ended":
                return None
            players = await self._tournaments.write_standings(
                connection, item, ranking_id, board.direction, _STANDINGS_TIMEOUT_SECONDS
            )
            prizes = await self._award(connection, item, players, now)
            await self._outbox.add(
                connection, "tournament.settled", {**_name(item), "players": players, "prizes": prizes}
            )
            await self._tournaments.step(connection, item, "settled", now)
        _log.info(
            "tournament_settled",
            tournament=item.tournament_id,
            occurrence=item.occurrence,
            players=players,
            prizes=prizes,
        )
        return prizes

    async def _close(self, item: Tournament, board: Leaderboard) -> int:
        """End the writing of scores; return the ranking."""
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            name = RankingName(board.leaderboard_id, board.epoch, item.starts_at)
            found = await self._rankings.find(connection, [name])
            if not found:
                # Nobody has scored. A score that comes too late finds a closed ranking, as it does elsewhere.
                await self._rankings.insert_missing(connection, [(name, item.ends_at)])
                found = await self._rankings.find(connection, [name])
            if found[0].state == "live":
                await self._ledger.next_leaderboards_revision(connection)
                await self._rankings.close(connection, [found[0].ranking_id])
            return found[0].ranking_id

    async def _award(self, connection: "Connection[Any]", item: Tournament, players: int, now: datetime) -> int:
        """Award the prizes of every rule; return how many there are."""
        expires_at = now + timedelta(days=item.definition.claim_days)
        count = 0
        for number, rule in enumerate(item.definition.prizes):
            first, last = rule.ranks(players)
            for rank in range(first, last + 1, _PRIZES_AT_ONCE):
                ranks = (rank, min(last, rank + _PRIZES_AT_ONCE - 1))
                prizes = await self._prizes.award(
                    connection,
                    item.tournament_id,
                    item.occurrence,
                    (number, rule),
                    ranks,
                    new_ids(ranks[1] - ranks[0] + 1, now),
                    now,
                    expires_at,
                )
                await self._outbox.add_many(connection, "prize.awarded", [_told(item, prize) for prize in prizes])
                count += len(prizes)
        return count


def _name(item: Tournament) -> dict[str, Any]:
    return {"tournament_id": item.tournament_id, "occurrence": item.occurrence}


def _told(item: Tournament, prize: Prize) -> dict[str, Any]:
    return {
        **_name(item),
        "prize_id": str(prize.prize_id),
        "user_id": prize.user_id,
        "rank": prize.rank,
        "kind": prize.kind,
        "amount": prize.amount,
        "metadata": msgspec.json.decode(prize.metadata),
        "expires_at": prize.expires_at,
    }
