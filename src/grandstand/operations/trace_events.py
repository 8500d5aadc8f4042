"""Says what stored events are worth, and on which boards: the way from an event to the ranks that it led to."""

from itertools import islice
from typing import NamedTuple

import msgspec

from grandstand import clock
from grandstand.domain.event_model import StreamedEvent
from grandstand.domain.leaderboards import TOURNAMENT_PREFIX
from grandstand.domain.periods import period_id
from grandstand.domain.scores import UnrankedError
from grandstand.operations.catalog import LeaderboardCatalog, ScoredBoard
from grandstand.operations.read_events import StoredEvent
from grandstand.operations.score_events import value_of

TRACES_MAX = 8
"""Boards that are named for one event: a type may feed thousands."""

_NO_PAYLOAD = msgspec.Raw(b"{}")
_decode_payload = msgspec.json.Decoder().decode


class Trace(NamedTuple):
    """What an event is worth on one board or tournament; without a score, `reason` says why it has none.

    `period` is that of the event; None where it is the running one.
    """

    key: str
    title: str
    score: int | None
    reason: str | None = None
    is_tournament: bool = False
    period: str | None = None


class EventTracer:
    """Traces events for one process, by the rules that it knows, without asking an engine."""

    def __init__(self, catalog: LeaderboardCatalog) -> None:
        self._catalog = catalog

    def trace(self, event: StoredEvent) -> list[Trace]:
        """Return what an event is worth by the rules in force, on `TRACES_MAX` boards and one more at most.

        Whether it decides its player's score is up to the player's other events; whether the player was banned, taken
        off or held back meanwhile is not asked.
        """
        if not self._catalog.takes(event.event_type):
            return []
        payload = _decode_payload(event.payload)
        fed = self._catalog.fed_by(event.event_type, payload)
        in_force = (target for target in fed if self._catalog.is_in_force(target.board))
        return [_trace(target, event, payload) for target in islice(in_force, TRACES_MAX + 1)]


def _trace(target: ScoredBoard, event: StoredEvent, payload: object) -> Trace:
    board = target.board
    is_tournament = target.tournament is not None
    key = board.key.removeprefix(TOURNAMENT_PREFIX) if is_tournament else board.key
    title = board.definition.title or key
    streamed = StreamedEvent(
        event_type=event.event_type,
        user_id=event.user_id,
        payload=_NO_PAYLOAD,
        id=str(event.id),
        occurred_at=event.occurred_at,
    )
    try:
        value, period = value_of(target, streamed, payload, event.received_at)
    except UnrankedError as error:
        return Trace(key, title, None, error.reason, is_tournament)
    is_over = period.end is not None and period.end <= clock.now()
    return Trace(key, title, value.score, None, is_tournament, period_id(period.start) if is_over else None)
