"""Says what stored events are worth, and on which boards: the way from an event to the ranks that it led to."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import msgspec

from grandstand import clock
from grandstand.domain.event_model import stored_event
from grandstand.domain.leaderboards import TOURNAMENT_PREFIX
from grandstand.domain.periods import period_id
from grandstand.domain.plausibility import QuarantineReason, QuarantineStatus
from grandstand.domain.scores import UnrankedError
from grandstand.operations.catalog import LeaderboardCatalog, ScoredBoard
from grandstand.operations.read_events import EventScore, StoredEvent
from grandstand.operations.route_reads import Reads
from grandstand.operations.score_events import value_of
from grandstand.storage.postgres import Database
from grandstand.storage.quarantine import QuarantineStore

TRACES_MAX = 8
"""Boards that are named for one event: a type may feed thousands."""

SCORES_MAX = 20
"""Boards that are named for one event where programs ask."""

SCORED_EVENTS_MAX = 50
"""Events that they may ask about at once."""

_Apart = Mapping[tuple[UUID, int], tuple[QuarantineReason, QuarantineStatus]]
_decode_payload = msgspec.json.Decoder().decode


class Trace(NamedTuple):
    """What an event is worth on one board or tournament; without a score, `reason` says why it has none.

    `period` is that of the event; None where it is the running one. `quarantine` is set where the reason is one of it.
    """

    key: str
    title: str
    score: int | None
    reason: str | None = None
    is_tournament: bool = False
    period: str | None = None
    quarantine: QuarantineStatus | None = None


class EventTracer:
    """Traces events for one process, by the rules that it knows. Raises `UnavailableError` without the database."""

    def __init__(self, database: Database | Reads, catalog: LeaderboardCatalog, quarantine: QuarantineStore) -> None:
        self._database = database
        self._catalog = catalog
        self._quarantine = quarantine

    async def trace(self, events: Sequence[StoredEvent], boards_max: int = TRACES_MAX + 1) -> dict[UUID, list[Trace]]:
        """Return by id what each event is worth by the rules in force, on `boards_max` boards at most.

        Whether it decides its player's score is up to the player's other events; whether the player was banned or taken
        off meanwhile is not asked.
        """
        fed = [(event, self._fed(event, boards_max)) for event in events]
        judged = [
            (event.id, target.board.leaderboard_id)
            for event, (_, targets) in fed
            if self._catalog.judges(event.event_type)
            for target in targets
        ]
        apart: _Apart = {}
        if judged:
            apart = await self._database.read(lambda connection: self._quarantine.kept_apart(connection, judged))
        return {
            event.id: [_trace(target, event, payload, apart) for target in targets] for event, (payload, targets) in fed
        }

    async def add_scores(self, events: Sequence[StoredEvent]) -> None:
        """Write into each event what `trace` says of it, on `SCORES_MAX` boards at most."""
        traces = await self.trace(events, SCORES_MAX)
        for event in events:
            event.scores = [_view(trace) for trace in traces[event.id]]

    def _fed(self, event: StoredEvent, boards_max: int) -> tuple[object, list[ScoredBoard]]:
        """Return an event's payload, and the boards and tournaments that it feeds."""
        if not self._catalog.takes(event.event_type):
            return None, []
        payload = _decode_payload(event.payload)
        fed = self._catalog.fed_by(event.event_type, payload)
        in_force = (target for target in fed if self._catalog.is_in_force(target.board))
        return payload, list(islice(in_force, boards_max))


def _view(trace: Trace) -> EventScore:
    return EventScore(
        leaderboard=None if trace.is_tournament else trace.key,
        tournament=trace.key if trace.is_tournament else None,
        score=trace.score,
        reason=trace.reason,
        period=trace.period,
        quarantine=trace.quarantine,
    )


def _trace(target: ScoredBoard, event: StoredEvent, payload: object, apart: _Apart) -> Trace:
    board = target.board
    is_tournament = target.tournament is not None
    key = board.key.removeprefix(TOURNAMENT_PREFIX) if is_tournament else board.key
    title = board.definition.title or key
    if (found := apart.get((event.id, board.leaderboard_id))) is not None:
        reason, status = found
        return Trace(key, title, None, reason, is_tournament, quarantine=status)
    streamed = stored_event(event.event_type, event.user_id, event.id, event.occurred_at)
    try:
        value, period = value_of(target, streamed, payload, event.received_at)
    except UnrankedError as error:
        return Trace(key, title, None, error.reason, is_tournament)
    is_over = period.end is not None and period.end <= clock.now()
    return Trace(key, title, value.score, None, is_tournament, period_id(period.start) if is_over else None)
