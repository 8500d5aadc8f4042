"""Settles occurrences: standings and prizes of each in one transaction, once.

    ended ──► its ranking is closed (no batch writes it any more) ──► `settled` + standings + prizes + webhooks, at once

The first step may be repeated, and is done for several occurrences together; the second happens only while the status
is `ended`, under a lock on the occurrence, so of two schedulers one settles and the other finds it done. A scheduler
that was paused in between holds the lock or has lost it with its connection: there is no third case.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
import structlog

from grandstand.domain.ids import new_ids
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.rankings import RankingName
from grandstand.domain.webhooks import EventType
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import Prize, PrizeStore
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Tournament, TournamentStore
from grandstand.telemetry import metrics, traces

_SORT_TIMEOUT_SECONDS = 600.0
_ROWS_AT_ONCE = 250
"""Standings or prizes of one statement. A statement of about a millisecond: between two, whoever takes in events gets
the processor, where there are few of them."""
_IDS_AT_ONCE = 4_000
"""So many are in rising order."""

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

    async def close(self, items: Sequence[tuple[Tournament, Leaderboard]]) -> list[int]:
        """End the writing of scores of ended occurrences; return their rankings in the same order.

        Raises:
            UnavailableError: the database is out of reach; nothing was closed.
        """
        names = [RankingName(board.leaderboard_id, board.epoch, item.starts_at) for item, board in items]
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            # Where nobody has scored, a score that comes too late finds a closed ranking, as it does elsewhere.
            ends = [item.ends_at for item, _ in items]
            await self._rankings.insert_missing(connection, sorted(zip(names, ends, strict=True)))
            found = {ranking.name: ranking for ranking in await self._rankings.find(connection, names)}
            live = [ranking.ranking_id for ranking in found.values() if ranking.state == "live"]
            if live:
                await self._ledger.next_leaderboards_revision(connection)
                await self._rankings.close(connection, live)
        return [found[name].ranking_id for name in names]

    async def settle(self, item: Tournament, board: Leaderboard, ranking_id: int, now: datetime) -> int | None:
        """Settle an ended occurrence whose ranking is closed.

        Return how many prizes were awarded, or None when it was settled or cancelled meanwhile.

        Raises:
            UnavailableError: the database is out of reach; nothing was settled.
        """
        with metrics.timed("settle"), traces.work("settle tournament", **{"grandstand.tournament": item.tournament_id}):
            return await self._settle(item, board, ranking_id, now)

    async def _settle(self, item: Tournament, board: Leaderboard, ranking_id: int, now: datetime) -> int | None:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            # A ban holds the ledger alone: it is before the standings, and they leave its player out, or after the
            # prizes, and voids them.
            await self._ledger.share(connection)
            if not await self._tournaments.settle(connection, item, now):
                return None
            with traces.span("standings"):
                players = await self._tournaments.write_standings(
                    connection, item, ranking_id, board.direction,
                    timeout_seconds=_SORT_TIMEOUT_SECONDS, rows_at_once=_ROWS_AT_ONCE,
                )  # fmt: skip
            with traces.span("prizes"):
                prizes = await self._award(connection, item, players, now)
        _log.info(
            "tournament_settled",
            tournament=item.tournament_id,
            occurrence=item.occurrence,
            players=players,
            prizes=prizes,
        )
        return prizes

    async def _award(self, connection: "Connection[Any]", item: Tournament, players: int, now: datetime) -> int:
        """Award the prizes of every rule and tell of them, and of the settlement; return how many prizes there are."""
        expires_at = now + timedelta(days=item.definition.claim_days)
        given = _given(item, players, now)
        count = 0
        told: list[tuple[EventType, Any]] = []
        while some := list(islice(given, _ROWS_AT_ONCE)):
            await self._outbox.add_many(connection, told)
            prizes = await self._prizes.award(
                connection, item.tournament_id, item.occurrence, item.definition.prizes, some, now, expires_at
            )
            told = [("prize.awarded", _told(item, prize)) for prize in prizes]
            count += len(prizes)
        settled = {**_name(item), "players": players, "prizes": count}
        await self._outbox.add_many(connection, [*told, ("tournament.settled", settled)])
        return count


def _given(item: Tournament, players: int, now: datetime) -> Iterator[tuple[UUID, int, int]]:
    """Yield (new id, number of the rule, rank) of every prize."""
    for number, rule in enumerate(item.definition.prizes):
        first, last = rule.ranks(players)
        for start in range(first, last + 1, _IDS_AT_ONCE):
            for offset, prize_id in enumerate(new_ids(min(_IDS_AT_ONCE, last + 1 - start), now)):
                yield prize_id, number, start + offset


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
