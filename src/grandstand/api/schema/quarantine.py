"""The operations of the quarantine in the document."""

from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import OPERATORS, Json, answer, operation, path, problems, query
from grandstand.domain.plausibility import QUARANTINE_STATUSES
from grandstand.operations.manage_quarantine import FILTER_LENGTH_MAX, LIST_MAX, QuarantineList, QuarantineView

_QUARANTINE_ID = "0197a3c5-1b10-7b20-8c3d-4e5f60718293"
_HELD: Json = {
    "id": _QUARANTINE_ID,
    "leaderboard": "weekly",
    "event_id": "0197a3c4-1f00-7a10-9b2e-5d1c7a90b3e8",
    "event_type": "game_ended",
    "user_id": "ada",
    "score": 999_999,
    "occurred_at": "2026-01-31T12:00:00Z",
    "received_at": "2026-01-31T12:00:01Z",
    "reason": "gain_too_high",
    "status": "held",
    "quarantined_at": "2026-01-31T12:00:01.2Z",
    "decided_at": None,
    "unranked_reason": None,
}
_DECIDED = "2026-02-01T08:00:00Z"
_ID = path("quarantine_id", {"type": "string", "minLength": 1}, "Id of a quarantined event.", _QUARANTINE_ID)
_PROBLEMS = ("unauthorized", "forbidden", "unavailable")
_FILTER: Json = {"type": "string", "minLength": 1, "maxLength": FILTER_LENGTH_MAX}

QUARANTINE_SERVED = (QuarantineView, QuarantineList)
"""The structs that these operations serve."""

QUARANTINE: Json = {
    "/api/quarantine": {
        "get": operation(
            "listQuarantine",
            "Operations",
            "List quarantined events",
            OPERATORS,
            {"200": answer("The newest first.", "QuarantineList", {"quarantine": [_HELD], "next_cursor": None})}
            | problems("invalid", *_PROBLEMS),
            description="Events that are stored and kept off a leaderboard because they break its `plausibility`.",
            parameters=[
                query("leaderboard", _FILTER, "Only those of this leaderboard.", "weekly"),
                query("user_id", _FILTER, "Only those of this player.", "ada"),
                query("status", {"type": "string", "enum": list(QUARANTINE_STATUSES)}, "Only those that stand so."),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100},
                    "Most in a reply.",
                ),
                CURSOR,
            ],
        )
    },
    "/api/quarantine/{quarantine_id}/release": {
        "post": operation(
            "releaseQuarantined",
            "Operations",
            "Release a quarantined event",
            OPERATORS,
            {
                "200": answer(
                    "It counts from now on, or `unranked_reason` says why not.",
                    "QuarantineView",
                    _HELD | {"status": "released", "decided_at": _DECIDED},
                )
            }
            | problems("quarantine_not_found", "quarantine_decided", *_PROBLEMS),
            description="The event counts in the period in which it occurred, unless that is closed (`late`). A second "
            "release changes nothing.",
            parameters=[_ID],
        )
    },
    "/api/quarantine/{quarantine_id}/reject": {
        "post": operation(
            "rejectQuarantined",
            "Operations",
            "Reject a quarantined event",
            OPERATORS,
            {
                "200": answer(
                    "It never counts, in a replay neither.",
                    "QuarantineView",
                    _HELD | {"status": "rejected", "decided_at": _DECIDED},
                )
            }
            | problems("quarantine_not_found", "quarantine_decided", *_PROBLEMS),
            parameters=[_ID],
        )
    },
}
