"""Writes a score directly to one board. It is an event like any other: durable, counted once, and seen by a replay."""

from typing import Any
from uuid import UUID

import msgspec

from grandstand import clock
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import Event, is_user_id
from grandstand.domain.ids import new_ids
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.payloads import read_number
from grandstand.domain.scores import UnrankedError
from grandstand.domain.scoring import DIRECT_EVENT_TYPE, ScoringRule
from grandstand.operations.find_ranking import RankingFinder
from grandstand.storage.event_streams import EventStreams
from grandstand.telemetry import traces

_REASONS = {
    "missing_field": "is needed",
    "not_a_number": "must be a number",
    "not_an_integer": "must be a whole number",
    "out_of_range": "must lie within ±(2^53 - 1)",
    "below_min_score": "is below the board's min_score",
    "above_max_score": "is above the board's max_score",
}


class ScoreRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/leaderboards/{key}/scores` takes. `id` makes a repeat harmless."""

    user_id: str
    score: Any
    id: UUID | None = None


class ScoreWritten(msgspec.Struct):
    """The acknowledgement: the score is durable, and ranked in a moment."""

    accepted: int
    id: UUID


class ScoreWriter:
    """Writes scores for one process."""

    def __init__(self, finder: RankingFinder, streams: EventStreams) -> None:
        self._finder = finder
        self._streams = streams

    async def write(self, key: str, body: bytes) -> ScoreWritten:
        """Append one score to the stream; when this returns it is durable.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value, or one that the board's rule refuses.
            NotFoundError: `leaderboard_not_found`.
            UnavailableError: the stream is out of reach.
        """
        board = await self._finder.board(key)
        request = _read(body)
        now = clock.now()
        payload = {"leaderboard": board.key, "leaderboard_id": board.leaderboard_id, "score": request.score}
        event_id = request.id or new_ids(1, now)[0]
        try:
            ScoringRule(board.definition).value(payload, now, str(event_id), is_direct=True)
        except UnrankedError as error:
            raise InvalidError([FieldError("score", _REASONS[error.reason])]) from None
        event = Event(
            event_type=DIRECT_EVENT_TYPE,
            user_id=request.user_id,
            payload=msgspec.Raw(msgspec.json.encode(payload, enc_hook=float)),
            id=event_id,
            occurred_at=now,
        )
        with traces.span("append"):
            await self._streams.append([event], [], now, (traces.current(), traces.NO_TRACE))
        return ScoreWritten(accepted=1, id=event_id)


_decode = msgspec.json.Decoder(ScoreRequest, float_hook=read_number).decode


def _read(body: bytes) -> ScoreRequest:
    request = decode_body(body, ScoreRequest, decode=_decode)
    if not is_user_id(request.user_id):
        raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])
    return request
