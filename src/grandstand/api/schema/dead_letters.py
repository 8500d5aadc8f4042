"""The operations of dead letters in the document, with the schema that only they use."""

from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import ADMINS, BODY_PROBLEMS, Json, answer, body, operation, path, problems, query
from grandstand.domain.dead_letters import LETTER_STATUSES
from grandstand.operations.dead_letter_views import (
    DeadLetterDetail,
    DeadLetterList,
    DeadLettersReplayed,
    DeadLetterView,
)
from grandstand.operations.manage_dead_letters import FILTER_LENGTH_MAX, KEPT_DAYS, LIST_MAX, REPLAY_MAX

_LETTER_ID = "0197a3c5-0a10-7b20-8c3d-4e5f60718293"
_LETTER: Json = {
    "id": _LETTER_ID,
    "form": "event",
    "event_id": "0197a3c4-1f00-7a10-9b2e-5d1c7a90b3e8",
    "event_type": "game_ended",
    "user_id": "ada",
    "occurred_at": "2026-01-31T12:00:00Z",
    "received_at": "2026-01-31T12:00:01Z",
    "priority": "high",
    "events": 1,
    "error": "UntranslatableCharacterError",
    "message": "unsupported Unicode escape sequence",
    "attempts": 3,
    "first_failed_at": "2026-01-31T12:00:01.2Z",
    "last_failed_at": "2026-01-31T12:00:07.4Z",
    "status": "dead",
    "replayed_at": None,
}
_BODY = (
    '{"event_type":"game_ended","user_id":"ada","payload":{"score":1,"note":"\\u0000"},'
    '"id":"0197a3c4-1f00-7a10-9b2e-5d1c7a90b3e8","occurred_at":"2026-01-31T12:00:00Z"}'
)
_REPLAYED: Json = _LETTER | {"status": "replayed", "replayed_at": "2026-02-01T08:00:00Z"}

_ID = path("letter_id", {"type": "string", "minLength": 1}, "Id of a dead letter.", _LETTER_ID)
_PROBLEMS = ("unauthorized", "forbidden", "unavailable")
_FILTER: Json = {"type": "string", "minLength": 1, "maxLength": FILTER_LENGTH_MAX}
_TEXT: Json = _FILTER | {"type": ["string", "null"], "pattern": "^[^\\u0000]+$"}

DEAD_LETTERS_SERVED = (DeadLetterView, DeadLetterDetail, DeadLetterList, DeadLettersReplayed)
"""The structs that these operations serve."""

DEAD_LETTERS_SCHEMAS: Json = {
    "ReplayRequest": {
        "type": "object",
        "title": "ReplayRequest",
        "additionalProperties": False,
        "properties": {
            "event_type": _TEXT | {"description": "Only events of this type."},
            "user_id": _TEXT | {"description": "Only events of this player."},
            "error": _TEXT | {"description": "Only events that failed with this class of error."},
            "limit": {"type": "integer", "minimum": 1, "maximum": REPLAY_MAX, "default": REPLAY_MAX},
        },
    }
}

DEAD_LETTERS: Json = {
    "/api/dead-letters": {
        "get": operation(
            "listDeadLetters",
            "Operations",
            "List dead letters",
            ADMINS,
            {
                "200": answer(
                    "The newest first, without bodies.",
                    "DeadLetterList",
                    {"dead_letters": [_LETTER], "next_cursor": None},
                )
            }
            | problems("invalid", *_PROBLEMS),
            description="Events that were acknowledged and could not be processed in any attempt. Those that were "
            f"replayed stay listed as `replayed` for {KEPT_DAYS} days.",
            parameters=[
                query("status", {"type": "string", "enum": list(LETTER_STATUSES)}, "Only those that stand so."),
                query("event_type", _FILTER, "Only events of this type.", "game_ended"),
                query("user_id", _FILTER, "Only events of this player.", "ada"),
                query("error", _FILTER, "Only those of this class of error.", "UntranslatableCharacterError"),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100},
                    "Most in a reply.",
                ),
                CURSOR,
            ],
        )
    },
    "/api/dead-letters/replay": {
        "post": operation(
            "replayDeadLetters",
            "Operations",
            "Replay many dead letters",
            ADMINS,
            {"202": answer("They are on their way.", "DeadLettersReplayed", {"replayed": 250, "remaining": 0})}
            | problems(*_PROBLEMS, *BODY_PROBLEMS),
            description="The oldest first; no body means all. What fails again meanwhile is not sent a second time.",
            requestBody=body("ReplayRequest", {"all": {}, "some": {"event_type": "game_ended", "limit": 100}})
            | {"required": False},
        )
    },
    "/api/dead-letters/{letter_id}": {
        "get": operation(
            "getDeadLetter",
            "Operations",
            "Read a dead letter with what came",
            ADMINS,
            {
                "200": answer(
                    "The body is text, or base64 where it is no UTF-8.",
                    "DeadLetterDetail",
                    _LETTER | {"body": _BODY, "body_base64": None},
                )
            }
            | problems("dead_letter_not_found", *_PROBLEMS),
            parameters=[_ID],
        ),
        "delete": operation(
            "deleteDeadLetter",
            "Operations",
            "Delete a dead letter and its event",
            ADMINS,
            {"204": {"description": "Deleted."}} | problems("dead_letter_not_found", *_PROBLEMS),
            parameters=[_ID],
        ),
    },
    "/api/dead-letters/{letter_id}/replay": {
        "post": operation(
            "replayDeadLetter",
            "Operations",
            "Replay a dead letter",
            ADMINS,
            {"202": answer("The event is on its way, durably.", "DeadLetterView", _REPLAYED)}
            | problems("dead_letter_not_found", *_PROBLEMS),
            description="As if the event came now, with its own id; one that is on its way is not sent again. If it "
            "fails again it is dead again.",
            parameters=[_ID],
        )
    },
}
