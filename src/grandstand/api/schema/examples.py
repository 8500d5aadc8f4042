"""Examples of the document, each a request or an answer as it really looks."""

from typing import Any

Json = dict[str, Any]

EVENT: Json = {"event_type": "game_ended", "user_id": "ada", "payload": {"score": 1200, "mode": "ranked"}}
EVENT_FULL: Json = {
    "id": "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7",
    "event_type": "purchase",
    "user_id": "grace",
    "payload": {"item": "hat", "price": 3},
    "occurred_at": "2026-01-31T12:00:00Z",
}
EVENTS_RECEIPT: Json = {
    "accepted": 1,
    "rejected": [
        {
            "index": 1,
            "code": "invalid_user_id",
            "message": "`user_id` must be 1 to 255 characters, none of them a control character.",
        }
    ],
}
IMPORT_LINES = (
    '{"id":"8c54646b-c547-515b-be5d-8fa66c0b9d20","occurred_at":"2016-05-26T14:36:55Z",'
    '"event_type":"game_ended","user_id":"u2103","payload":{"score":3}}\n'
    '{"id":"dc89154f-d5db-5196-9672-0651bbc555c2","occurred_at":"2016-05-26T14:37:02Z",'
    '"event_type":"purchase","user_id":"u62","payload":{"price":5}}\n'
)
IMPORT_REPORT: Json = {
    "lines": 28521,
    "accepted": 28520,
    "rejected_count": 1,
    "rejected": [{"line": 17, "code": "invalid_event", "message": "The event is not valid JSON."}],
}
SESSION: Json = {
    "user_id": "u_0197a3c25b1e7c408d2a3f6b9e10c4d7",
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1XzAxOTcifQ.c2lnbmF0dXJl",
    "expires_at": "2026-01-31T13:00:00Z",
    "signing_key": "gs_sign_…",
}
DEFINITION: Json = {
    "title": "Best level",
    "event_type": "game_ended",
    "field": "score",
    "where": {"mode": "ranked"},
    "operator": "best",
    "order": "desc",
    "period": "all_time",
    "timezone": "UTC",
    "visibility": "public",
    "min_score": None,
    "max_score": 100000,
    "segment_by": "country",
    "keep": ["level"],
    "tiers": [{"id": "gold", "top_percent": 5}, {"id": "silver", "top_percent": 20}],
    "bucket_size": None,
    "tie_breaks": [{"field": "assists", "order": "desc"}],
}
SHORT_DEFINITION: Json = {"event_type": "enemy_down", "operator": "count"}
WEEKLY: Json = {
    "event_type": "game_ended",
    "field": "score",
    "operator": "best",
    "period": "weekly",
    "timezone": "Europe/Berlin",
    "bucket_size": 50,
}
LEADERBOARD: Json = {"key": "level", "period_ends_at": None} | DEFINITION
LEADERBOARDS: Json = {"leaderboards": [LEADERBOARD], "next_cursor": None}
_ENTRY: Json = {
    "rank": 1,
    "user_id": "ada",
    "display_name": "Ada",
    "score": 1200,
    "achieved_at": "2026-01-31T12:00:00Z",
}
PAGE: Json = {
    "leaderboard": "global",
    "period": "all_time",
    "period_ends_at": None,
    "total": 1,
    "as_of": "2026-01-31T12:00:01Z",
    "entries": [_ENTRY],
    "next_cursor": None,
}
NEARBY: Json = PAGE | {"user": _ENTRY}
USER_RANK: Json = _ENTRY | {
    "total": 1,
    "percentile": 100.0,
    "leaderboard": "global",
    "period": "all_time",
    "period_ends_at": None,
}
LOOKUP: Json = {
    "leaderboard": "global",
    "period": "all_time",
    "period_ends_at": None,
    "total": 1,
    "as_of": "2026-01-31T12:00:01Z",
    "entries": [_ENTRY],
    "not_ranked": ["grace"],
}
PERIODS: Json = {
    "periods": [
        {
            "id": "20260118T230000Z",
            "started_at": "2026-01-18T23:00:00Z",
            "ended_at": "2026-01-25T23:00:00Z",
            "total": 4711,
        }
    ],
    "next_cursor": None,
}
LIVE = (
    "retry: 2000\n\n"
    "event: update\nid: 6c1f0a52d5b84e0b9a1c77d3\n"
    'data: {"leaderboard":"global","period":"all_time","period_ends_at":null,"total":1,"as_of":"2026-01-31T12:00:01Z",'
    '"entries":[{"rank":1,"user_id":"ada","display_name":"Ada","score":1200,"achieved_at":"2026-01-31T12:00:00Z"}],'
    '"next_cursor":null}\n\n'
    ": still here\n\n"
)
SCORE_REQUEST: Json = {"user_id": "ada", "score": 1200, "id": "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"}
SCORE_WRITTEN: Json = {"accepted": 1, "id": "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"}
PLAYER_REQUEST: Json = {"display_name": "Ada", "country": "GB", "metadata": {"clan": "red"}}
PLAYER: Json = (
    {"user_id": "ada"}
    | PLAYER_REQUEST
    | {
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    }
)
HEALTH: Json = {
    "status": "ok",
    "version": "0.1.0",
    "postgres": "ok",
    "valkey": "ok",
    "stream": {"depth": 0, "lag_seconds": 0.0, "loss": None},
}
_POOL_USE: Json = {"total": 2, "idle": 1, "waiting": 0, "max": 50}
POOL: Json = {"total": 4, "idle": 2, "waiting": 0, "max": 100} | {"pools": {"write": _POOL_USE, "read": _POOL_USE}}
METRICS = (
    "# HELP grandstand_events_accepted_total Events acknowledged, durable in the stream.\n"
    "# TYPE grandstand_events_accepted_total counter\n"
    'grandstand_events_accepted_total{priority="high"} 42.0\n'
)

_DETAILS: dict[str, str] = {
    "malformed": "The body is not valid JSON.",
    "unauthorized": "This key is unknown or revoked.",
    "forbidden": "This needs a server key.",
    "leaderboard_not_found": "There is no leaderboard 'level'.",
    "period_not_found": "The leaderboard 'level' has no period '20260118T230000Z'.",
    "tournament_not_found": "There is no tournament 'friday-cup'.",
    "occurrence_not_found": "This tournament has no occurrence 9.",
    "prize_not_found": "There is no such prize.",
    "webhook_not_found": "There is no such webhook.",
    "key_not_found": "No key has this id.",
    "key_limit_reached": "There are 1000 keys in force; revoke some first.",
    "key_not_live": "This key is out of force; make a new one.",
    "key_set_by_environment": "GRANDSTAND_SERVER_KEY sets this key: change or remove it there.",
    "last_admin_key": "No other admin key lasts; make one first.",
    "delivery_not_found": "There is no such delivery.",
    "player_not_found": "There is no such player.",
    "player_not_banned": "This player is not banned.",
    "tournament_exists": "There is a tournament 'friday-cup' already.",
    "tournament_full": "The tournament 'friday-cup' has 1000 players.",
    "tournament_over": "The tournament 'friday-cup' is over.",
    "tournament_has_scores": "Somebody has scored in occurrence 2 of 'friday-cup': its start stays.",
    "tournament_not_active": "The tournament 'friday-cup' is scheduled.",
    "tournament_settled": "The tournament 'friday-cup' is settled.",
    "player_banned": "This player is banned.",
    "already_claimed": "This prize is claimed already.",
    "prize_voided": "This prize was voided.",
    "prize_not_pending": "This prize is claimed.",
    "prize_expired": "This prize was not claimed in time.",
    "webhook_limit_reached": "There are 50 webhooks; delete one first.",
    "webhook_disabled": "The webhook is disabled because it answered 410 Gone; enable it first.",
    "dead_letter_not_found": "There is no such dead letter.",
    "quarantine_not_found": "There is no such quarantined event.",
    "quarantine_decided": "This event was released already.",
    "not_ranked": "This player has no entry on the leaderboard 'global'.",
    "request_timeout": "The body did not arrive within 60 seconds.",
    "leaderboard_has_entries": "What decides scores cannot change under existing entries; replay the board with "
    "the new rule, reset it, or delete it.",
    "leaderboard_protected": "The leaderboard 'global' always exists.",
    "batch_too_large": "The batch has 101 events; at most 100 are taken at once.",
    "body_too_large": "The body has more than 1048576 bytes once decoded.",
    "unsupported_media_type": "This content type is not read here; send application/json.",
    "invalid": "limit: must be between 1 and 1000",
    "rate_limited": "More than 200 requests in 60 seconds; try again in 41.",
    "unavailable": "Events cannot be taken right now; send them again.",
    "report_being_counted": "This is being counted; ask again.",
}
_EXTRA: dict[str, Json] = {
    "invalid": {"errors": [{"path": "limit", "message": "must be between 1 and 1000"}]},
    "rate_limited": {"retry_after": 41},
    "unavailable": {"retry_after": 1},
    "report_being_counted": {"retry_after": 5},
}


def problem(code: str, status: int, title: str | None) -> Json:
    """Return an example of a problem."""
    return {
        "type": f"/schema#{code}",
        "title": title,
        "status": status,
        "detail": _DETAILS[code],
        "code": code,
        **_EXTRA.get(code, {}),
    }
