"""Takes back what was scored after the end of an occurrence, when that was moved to an earlier time.

Clocks differ, so an event may say that it occurred a little later than now; it counted while the end was later still.
Whoever stands where they do by such an event is scored anew from the stored events that occurred in time.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.domain.folding import Tally
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.periods import Period
from grandstand.domain.rankings import RankingName
from grandstand.domain.scores import UnrankedError
from grandstand.domain.scoring import ScoringRule
from grandstand.storage.changes import Changes
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Participant, Tournament, TournamentStore
from grandstand.storage.valkey_errors import OUT_OF_REACH

_READ_TIMEOUT_SECONDS = 600.0
_decode_payload = msgspec.json.Decoder().decode
_log = structlog.get_logger(__name__)


class ScoreCutter:
    """Cuts occurrences for one scheduler. Doing it again changes nothing."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        event_log: EventLog,
        tournaments: TournamentStore,
        rankings: RankingStore,
        entries: EntryStore,
        index: RankingIndex,
        changes: Changes,
        *,
        fence: Fence = no_fence,
    ) -> None:
        """`fence` begins every transaction that writes."""
        self._database = database
        self._ledger = ledger
        self._event_log = event_log
        self._tournaments = tournaments
        self._rankings = rankings
        self._entries = entries
        self._index = index
        self._changes = changes
        self._fence = fence

    async def cut(self, item: Tournament, board: Leaderboard) -> None:
        """Score anew whoever stands by an event from after the end of an occurrence that is due to be settled.

        Raises:
            UnavailableError: an engine is out of reach; nothing has changed.
        """
        async with self._database.connection() as connection:
            found = await self._rankings.find(
                connection, [RankingName(board.leaderboard_id, board.epoch, item.starts_at)]
            )
            if not found or found[0].state != "live":
                return
            ranking_id = found[0].ranking_id
            user_ids = await self._entries.users_from(connection, ranking_id, item.ends_at)
            # All that counts has arrived and is stored: there is nothing to hold up others for while it is read.
            events = await self._read(connection, item, board, user_ids) if user_ids else []
        if not user_ids:
            return
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._ledger.seize(connection)
            removed, entries = await self._score(connection, item, board, ranking_id, events)
            # Before the commit: were it lost after it, players would stay in the rank index.
            try:
                await self._index.remove(removed)
            except OUT_OF_REACH as error:
                raise UnavailableError("The rank index cannot be reached right now; try again.") from error
        _log.info("scores_cut", tournament=item.tournament_id, occurrence=item.occurrence, players=len(removed))
        try:
            await self._index.publish(entries, {ranking_id: board.direction})
            await self._changes.rankings({ranking_id})
        except OUT_OF_REACH as error:
            # The reconciler brings the index back in line.
            _log.warning("change_not_announced", error=str(error))

    async def _read(
        self, connection: "Connection[Any]", item: Tournament, board: Leaderboard, user_ids: Sequence[str]
    ) -> Sequence[Any]:
        period = Period(item.starts_at, item.ends_at)
        grace = period.grace if board.windows is None else board.windows.grace
        return await self._event_log.read_tournament(
            connection,
            item.tournament_id,
            board.definition.event_type,
            user_ids,
            occurred=(item.starts_at, item.ends_at),
            received=(item.created_at, item.ends_at + grace),
            timeout_seconds=_READ_TIMEOUT_SECONDS,
        )

    async def _score(
        self,
        connection: "Connection[Any]",
        item: Tournament,
        board: Leaderboard,
        ranking_id: int,
        events: Sequence[Any],
    ) -> tuple[list[Entry], list[Entry]]:
        """Replace the entries; return those that went and those that came. Bans may have taken some meanwhile."""
        user_ids = await self._entries.users_from(connection, ranking_id, item.ends_at)
        known = {each.user_id: each for each in await self._tournaments.list_participants(connection, item, user_ids)}
        removals = await self._entries.removals(connection, board.leaderboard_id)
        tally, attempts = _fold(item, board, events, known, removals)
        removed = [
            entry for user_id in user_ids for entry in await self._entries.remove(connection, [ranking_id], user_id)
        ]
        await self._tournaments.set_attempts(connection, item, {user_id: attempts[user_id] for user_id in known})
        return removed, await self._entries.fold(connection, {ranking_id: tally})


def _fold(
    item: Tournament,
    board: Leaderboard,
    events: Sequence[Any],
    known: dict[str, Participant],
    removals: dict[str, datetime],
) -> tuple[Tally, Counter[str]]:
    """Return what the events come to, and how many attempts each player has taken."""
    definition, rule = item.definition, ScoringRule(board.definition)
    tally, attempts = Tally(definition.operator, definition.order), Counter[str]()
    for row in events:
        user_id, payload = row["user_id"], _decode_payload(row["payload"])
        player, removed_at = known.get(user_id), removals.get(user_id)
        if player is None or not rule.belongs(payload) or attempts[user_id] == definition.max_attempts:
            continue
        if removed_at is not None and row["received_at"] <= removed_at:
            continue
        if definition.join == "required" and row["received_at"] < player.joined_at:
            continue
        try:
            value = rule.value(payload, row["occurred_at"], str(row["id"]))
        except UnrankedError:
            continue
        attempts[user_id] += 1
        tally.add(user_id, value)
    return tally, attempts
