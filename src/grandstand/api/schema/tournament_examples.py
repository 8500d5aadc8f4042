"""Examples of tournaments, prizes and bans, each as it really looks."""

from typing import Any

from grandstand.api.schema import examples

Json = dict[str, Any]

TOURNAMENT_REQUEST: Json = {
    "id": "friday-cup",
    "title": "Friday cup",
    "starts_at": "2026-01-30T18:00:00Z",
    "ends_at": "2026-01-30T20:00:00Z",
    "event_type": "game_ended",
    "field": "score",
    "where": {"mode": "ranked"},
    "operator": "best",
    "order": "desc",
    "join": "open",
    "max_players": 1000,
    "max_attempts": 3,
    "visibility": "public",
    "prizes": [
        {"from": 1, "kind": "gold", "amount": 500, "metadata": {"badge": "champion"}},
        {"from": 2, "to": 10, "kind": "gold", "amount": 100},
        {"top_percent": 10, "kind": "xp", "amount": 50},
    ],
    "claim_days": 30,
    "repeat": "cron: 0 18 * * 5",
}
SHORT_TOURNAMENT: Json = {
    "starts_at": "2026-01-30T18:00:00Z", "ends_at": "2026-01-30T20:00:00Z", "event_type": "enemy_down",
    "operator": "count",
}  # fmt: skip
TOURNAMENT: Json = TOURNAMENT_REQUEST | {
    "status": "active",
    "occurrence": 1,
    "next_starts_at": "2026-02-06T18:00:00Z",
    "settled_at": None,
    "players": 1,
}
TOURNAMENTS: Json = {"tournaments": [TOURNAMENT], "next_cursor": None}
PATCH: Json = {"ends_at": "2026-01-30T21:00:00Z", "max_attempts": 5}
PARTICIPANT: Json = {
    "tournament_id": "friday-cup", "occurrence": 1, "user_id": "ada", "joined_at": "2026-01-30T18:05:00Z",
    "attempts": 0,
}  # fmt: skip
_PART: Json = {"leaderboard": "friday-cup", "period": "20260130T180000Z", "period_ends_at": "2026-01-30T20:00:00Z"}
PAGE: Json = examples.PAGE | _PART
NEARBY: Json = examples.NEARBY | _PART
LOOKUP: Json = examples.LOOKUP | _PART
RANK: Json = {
    "tournament_id": "friday-cup",
    "occurrence": 1,
    "rank": 1,
    "user_id": "ada",
    "display_name": "Ada",
    "score": 1200,
    "achieved_at": "2026-01-30T18:30:00Z",
    "total": 1,
    "percentile": 100.0,
    "attempts": 2,
}
LIVE = examples.LIVE.replace("global", "friday-cup").replace("all_time", "20260130T180000Z")
PREVIEW: Json = {
    "tournament_id": "friday-cup",
    "occurrence": 1,
    "players": 1,
    "total_prizes": 2,
    "total_amounts": {"gold": 500, "xp": 50},
    "prizes": [
        {"rank": 1, "user_id": "ada", "rule": 0, "kind": "gold", "amount": 500},
        {"rank": 1, "user_id": "ada", "rule": 2, "kind": "xp", "amount": 50},
    ],
}
PRIZE: Json = {
    "id": "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7",
    "user_id": "ada",
    "tournament_id": "friday-cup",
    "occurrence": 1,
    "rank": 1,
    "kind": "gold",
    "amount": 500,
    "metadata": {"badge": "champion"},
    "status": "pending",
    "awarded_at": "2026-01-30T20:02:10Z",
    "claimed_at": None,
    "expires_at": "2026-03-01T20:02:10Z",
}
CLAIMED: Json = PRIZE | {"status": "claimed", "claimed_at": "2026-01-31T12:00:00Z"}
VOIDED: Json = PRIZE | {"status": "voided"}
PRIZES: Json = {"prizes": [PRIZE], "next_cursor": None}
PROFILE: Json = examples.PLAYER | {
    "first_seen_at": "2026-01-12T08:15:00Z",
    "last_seen_at": "2026-01-31T12:00:00Z",
    "is_banned": False,
    "banned_at": None,
    "ranks": [examples.USER_RANK],
    "tournaments": [RANK],
    "prizes": [PRIZE],
}
BAN: Json = {"user_id": "mallory", "is_banned": True, "banned_at": "2026-01-31T12:00:00Z", "prizes_voided": 1}
UNBANNED: Json = {"user_id": "mallory", "is_banned": False, "banned_at": None, "prizes_voided": 0}
