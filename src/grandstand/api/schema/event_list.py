"""The operation that reads stored events in the document."""

from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import OPERATORS, Json, answer, operation, problems, query
from grandstand.domain.event_model import USER_ID_LENGTH_MAX
from grandstand.operations.read_events import LIST_MAX, TYPE_LENGTH_MAX, TYPES_MAX, EventList, EventScore, StoredEvent
from grandstand.operations.trace_events import SCORED_EVENTS_MAX, SCORES_MAX

EVENT_LIST_SERVED = (StoredEvent, EventScore, EventList)
"""The structs that this operation serves."""

_STORED: Json = {
    "id": "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7",
    "event_type": "game_ended",
    "user_id": "ada",
    "occurred_at": "2026-01-31T12:00:00Z",
    "received_at": "2026-01-31T12:00:01.2Z",
    "processed_at": "2026-01-31T12:00:01.4Z",
    "payload": {"score": 1200, "mode": "ranked"},
    "scores": [
        {
            "leaderboard": "global", "tournament": None, "score": 1200, "reason": None, "period": None,
            "quarantine": None,
        },
        {
            "leaderboard": "weekly", "tournament": None, "score": None, "reason": "below_min_score", "period": None,
            "quarantine": None,
        },
    ],
}  # fmt: skip
_MOMENT: Json = {"type": "string", "format": "date-time"}

EVENT_LIST: Json = operation(
    "listEvents",
    "Events",
    "List stored events",
    OPERATORS,
    {
        "200": answer(
            "The newest first, by when they were received.", "EventList", {"events": [_STORED], "next_cursor": None}
        )
    }
    | problems("invalid", "unauthorized", "forbidden", "unavailable"),
    description="Of a player, of a type, of both, or all of them; where events of more than "
    f"{TYPES_MAX} types are stored, one of the two has to be named. An event is listed once it is processed. What the "
    "retention has moved to the archive is not listed.",
    parameters=[
        query("user_id", {"type": "string", "minLength": 1, "maxLength": USER_ID_LENGTH_MAX}, "Of this player.", "ada"),
        query(
            "event_type",
            {"type": "string", "minLength": 1, "maxLength": TYPE_LENGTH_MAX},
            "Of this type.",
            "game_ended",
        ),
        query("from", _MOMENT, "Received at this time or later.", "2026-01-31T00:00:00Z"),
        query("to", _MOMENT, "Received before this time.", "2026-02-01T00:00:00Z"),
        query("limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Most in a reply."),
        query(
            "scores",
            {"type": "boolean", "default": False},
            "Whether each event says what it is worth by today's rules, or why nothing, on each board and tournament "
            f"that it feeds ({SCORES_MAX} of them at most). `limit` is then {SCORED_EVENTS_MAX} at most, and a key "
            "that is narrowed needs `leaderboards:read`, too.",
            True,
        ),
        CURSOR,
    ],
)
