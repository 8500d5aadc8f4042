"""Decides which new events of a batch are not plausible, inside the batch's transaction, and keeps those apart.

An event is judged once, when it is stored, by the definition in force then. What the rates need stands in PostgreSQL
and is held until the commit: a batch that is lost leaves nothing behind, and one that is delivered again finds its
events known.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from grandstand import clock
from grandstand.domain.event_model import StreamedEvent
from grandstand.domain.ids import new_ids
from grandstand.domain.plausibility import Plausibility, QuarantineReason, judge_alone
from grandstand.domain.scores import UnrankedError
from grandstand.domain.scoring import DIRECT_EVENT_TYPE
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.score_events import Held, Removals, is_removed, value_of
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.quarantine import MinuteKey, NewHeld, QuarantineStore

MINUTES_KEPT = timedelta(days=1)
"""How long after its last event what a player had in a minute is kept."""

_PRUNED_AT_ONCE = 10_000
_decode_payload = msgspec.json.Decoder().decode


class _Asked(NamedTuple):
    """An event that would score on a board which asks whether it is plausible."""

    rules: Plausibility
    leaderboard_id: int
    event: StreamedEvent
    received_at: datetime
    score: int
    payload: Any


class EventJudge:
    """Judges for one process."""

    def __init__(self, quarantine: QuarantineStore) -> None:
        self._quarantine = quarantine

    async def judge(
        self,
        connection: "Connection[Any]",
        catalog: LeaderboardCatalog,
        events: Sequence[tuple[StreamedEvent, datetime]],
        removals: Removals,
    ) -> Held:
        """Return which of the (event, received_at) pairs are kept apart on which boards, and why."""
        held: dict[tuple[int, str], QuarantineReason] = {}
        asked: list[_Asked] = []
        rated: dict[MinuteKey, list[_Asked]] = defaultdict(list)
        for each in _asked(catalog, events, removals):
            asked.append(each)
            reason = judge_alone(each.rules, each.score, each.payload, lacks_signature=each.event.lacks_signature)
            if reason is not None:
                held[each.leaderboard_id, each.event.id] = reason
            elif each.rules.has_rates:
                minute = each.event.occurred_at.replace(second=0, microsecond=0)
                rated[each.leaderboard_id, each.event.user_id, minute].append(each)
        now = clock.now()
        if rated:
            minutes = await self._quarantine.hold_minutes(connection, list(rated), now)
            for key, theirs in rated.items():
                # What a player's client sends in one batch counts in the order in which it happened.
                for each in sorted(theirs, key=_order):
                    reason = minutes[key].judge(each.rules, each.score)
                    if reason is not None:
                        held[each.leaderboard_id, each.event.id] = reason
            await self._quarantine.set_minutes(connection, minutes)
        if held:
            await self._quarantine.add(connection, _rows(asked, held, now))
        return held

    async def prune(self, database: Database) -> None:
        """Forget what players had in minutes that nothing was added to for long."""
        oldest, pruned = clock.now() - MINUTES_KEPT, _PRUNED_AT_ONCE
        while pruned == _PRUNED_AT_ONCE:
            async with database.connection() as connection:
                pruned = await self._quarantine.prune_minutes(connection, oldest, _PRUNED_AT_ONCE)


def _asked(
    catalog: LeaderboardCatalog, events: Sequence[tuple[StreamedEvent, datetime]], removals: Removals
) -> Iterator[_Asked]:
    """Yield what would score on boards with plausibility; direct writes are the game server's word and not asked."""
    # Types are few and events many, of which most are not asked.
    types = {event_type for event_type in {event.event_type for event, _ in events} if catalog.judges(event_type)}
    types.discard(DIRECT_EVENT_TYPE)
    for event, received_at in events if types else ():
        if event.event_type not in types:
            continue
        payload = _decode_payload(event.payload)
        for target in catalog.fed_by(event.event_type, payload):
            board, rules = target.board, target.board.definition.plausibility
            # A rule that a replay is bringing in judges nothing before it is in force.
            if rules is None or not catalog.is_in_force(board) or is_removed(board, event, received_at, removals):
                continue
            try:
                value, _ = value_of(target, event, payload, received_at)
            except UnrankedError:
                continue
            yield _Asked(rules, board.leaderboard_id, event, received_at, value.score, payload)


def _rows(asked: Sequence[_Asked], held: Held, now: datetime) -> list[NewHeld]:
    found = [each for each in asked if (each.leaderboard_id, each.event.id) in held]
    found.sort(key=_order)
    return [
        NewHeld(
            quarantine_id, each.event.id, each.leaderboard_id, each.event.user_id, each.event.event_type, each.score,
            each.event.occurred_at, each.received_at, held[each.leaderboard_id, each.event.id], now,
        )
        for quarantine_id, each in zip(new_ids(len(found), now), found, strict=True)
    ]  # fmt: skip


def _order(each: _Asked) -> tuple[datetime, datetime, str]:
    return each.received_at, each.event.occurred_at, each.event.id
