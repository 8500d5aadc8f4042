"""The operations of leaderboards in the document."""

from grandstand.api.live import LIVE_ENTRIES, LIVE_ENTRIES_MAX
from grandstand.api.schema import examples
from grandstand.api.schema.parts import (
    ANYONE,
    BODY_PROBLEMS,
    OPERATORS,
    Json,
    answer,
    body,
    content,
    operation,
    path,
    problems,
    query,
    ref,
)
from grandstand.domain.scoring import SEGMENT_LENGTH_MAX
from grandstand.operations.list_leaderboards import LIST_MAX
from grandstand.operations.read_leaderboard import NEARBY_MAX, PAGE_MAX

USER = path("user_id", ref("UserId"), "The player, percent-encoded (`/` as `%2F`).", "ada")
_KEY = path("key", {"type": "string", "minLength": 1, "maxLength": 64}, "Key of a leaderboard.", "global")
_PERIOD = query(
    "period",
    {"type": "string"},
    "Id of the period to read, from `/periods`; the one under way when missing. `all_time` is the first run of a "
    "leaderboard that does not recur.",
)
_SEGMENT = query(
    "segment",
    {"type": "string", "minLength": 1, "maxLength": SEGMENT_LENGTH_MAX},
    "On leaderboards with `segment_by`: the value whose players alone are ranked. The whole when missing.",
)
_BUCKET = query(
    "bucket",
    {"type": "string"},
    "On leaderboards with `bucket_size`: a bucket's number, or `own` for that of the player whom the request names or "
    "whose token it carries. The whole when missing. Not together with `segment`.",
)
_PART = [_PERIOD, _SEGMENT, _BUCKET]
NAMED_USER = query("user_id", ref("UserId"), "Adds this player's own entry as `user`.")
_LIMIT_SCHEMA: Json = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 100}
CURSOR = query("cursor", {"type": "string"}, "`next_cursor` of the page before.")

LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Id of the last update that was seen.",
}
CACHED: Json = {
    "ETag": {"schema": {"type": "string"}, "description": "On public leaderboards."},
    "Cache-Control": {"schema": {"type": "string"}, "description": "Public leaderboards may be kept for seconds."},
}
NOT_MODIFIED: Json = {"304": {"description": "Nothing has changed since the `ETag` in `If-None-Match`."}}
_READ_PROBLEMS = ("unauthorized", "forbidden", "leaderboard_not_found", "period_not_found", "invalid", "unavailable")
_CHANGE_PROBLEMS = ("unauthorized", "forbidden", "leaderboard_not_found", "unavailable")

_DEFINITIONS: Json = {
    "/api/leaderboards": {
        "get": operation(
            "listLeaderboards",
            "Leaderboards",
            "List definitions",
            ANYONE,
            {
                "200": answer(
                    "Those you may see, in the order of keys.", "LeaderboardList", examples.LEADERBOARDS, CACHED
                )
            }
            | NOT_MODIFIED
            | problems("unauthorized", "invalid", "unavailable"),
            parameters=[
                query(
                    "limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": LIST_MAX}, "Definitions."
                ),
                CURSOR,
            ],
        )
    },
    "/api/leaderboards/{key}": {
        "get": operation(
            "readLeaderboard",
            "Leaderboards",
            "Read ranks",
            ANYONE,
            {"200": answer("A page of entries.", "Page", examples.PAGE, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            description="From the top, from `from_rank`, or from where `cursor` continues. A player token implies "
            "`user_id`. `period_ends_at` is when the next period begins.",
            parameters=[
                _KEY,
                query("limit", _LIMIT_SCHEMA, "Entries."),
                CURSOR,
                query("from_rank", {"type": "integer", "minimum": 1}, "First rank of the page. Not with `cursor`."),
                NAMED_USER,
                *_PART,
            ],
        ),
        "put": operation(
            "putLeaderboard",
            "Leaderboards",
            "Create or change a leaderboard",
            OPERATORS,
            {
                "200": answer("Changed, or the same as before.", "LeaderboardView", examples.LEADERBOARD),
                "201": answer("Created.", "LeaderboardView", examples.LEADERBOARD),
            }
            | problems("leaderboard_has_entries", *_CHANGE_PROBLEMS, *BODY_PROBLEMS),
            description="Replaces the definition as a whole: what is left out has its default. Events count from when "
            "this is answered. What decides scores and places changes only while there are no entries in running "
            "periods; `grandstand replay` changes it with them. Title, visibility and tiers change at any time.",
            parameters=[_KEY],
            requestBody=body(
                "LeaderboardDefinition",
                {"usual": examples.DEFINITION, "short": examples.SHORT_DEFINITION, "weekly": examples.WEEKLY},
            ),
        ),
        "delete": operation(
            "deleteLeaderboard",
            "Leaderboards",
            "Delete a leaderboard and its entries",
            OPERATORS,
            {"204": {"description": "Deleted, archives too. The key is free at once."}}
            | problems("leaderboard_protected", *_CHANGE_PROBLEMS),
            parameters=[_KEY],
        ),
    },
    "/api/leaderboards/{key}/definition": {
        "get": operation(
            "readDefinition",
            "Leaderboards",
            "Read a definition",
            ANYONE,
            {"200": answer("Every field, defaults filled in.", "LeaderboardView", examples.LEADERBOARD, CACHED)}
            | NOT_MODIFIED
            | problems("unauthorized", "forbidden", "leaderboard_not_found", "unavailable"),
            parameters=[_KEY],
        )
    },
    "/api/leaderboards/{key}/reset": {
        "post": operation(
            "resetLeaderboard",
            "Leaderboards",
            "End the running period now and begin the next",
            OPERATORS,
            {"200": answer("The definition, with the end of the new period.", "LeaderboardView", examples.LEADERBOARD)}
            | problems(*_CHANGE_PROBLEMS),
            description="The ended period is archived behind it and stays readable. Events that occurred in it still "
            "count there for two minutes.",
            parameters=[_KEY],
        )
    },
    "/api/leaderboards/{key}/scores": {
        "post": operation(
            "writeScore",
            "Leaderboards",
            "Write a score directly",
            OPERATORS,
            {"202": answer("The score is durable, and ranked in a moment.", "ScoreWritten", examples.SCORE_WRITTEN)}
            | problems(*_CHANGE_PROBLEMS, *BODY_PROBLEMS),
            description="Counts like an event of the leaderboard whose `where` is met: by the same operator, limits "
            "and period, once for each `id`, and in a replay. It has no payload, so nothing for `keep`, `tie_breaks` "
            "or a segment.",
            parameters=[_KEY],
            requestBody=body("ScoreRequest", {"usual": examples.SCORE_REQUEST}),
        )
    },
}

_READS: Json = {
    "/api/leaderboards/{key}/users/{user_id}": {
        "get": operation(
            "readUserRank",
            "Leaderboards",
            "Read one player's rank",
            ANYONE,
            {"200": answer("The player's place.", "UserRank", examples.USER_RANK, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            description="Of a private leaderboard, a player's token reads that player's own place.",
            parameters=[_KEY, USER, *_PART],
        ),
        "delete": operation(
            "removeUser",
            "Leaderboards",
            "Take a player off a leaderboard",
            OPERATORS,
            {"204": {"description": "Removed from the running periods, with all their parts."}}
            | problems("not_ranked", "invalid", *_CHANGE_PROBLEMS),
            description="Later scores count anew. Archived periods stay as they are. A replay leaves out what arrived "
            "before the removal.",
            parameters=[_KEY, USER],
        ),
    },
    "/api/leaderboards/user/{user_id}": {
        "get": operation(
            "readGlobalUserRank",
            "Leaderboards",
            "Read one player's rank on `global`",
            ANYONE,
            {"200": answer("The player's place.", "UserRank", examples.USER_RANK, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            description="Kept for old clients; the same as `/api/leaderboards/global/users/{user_id}`.",
            parameters=[USER, *_PART],
        )
    },
    "/api/leaderboards/{key}/users/{user_id}/nearby": {
        "get": operation(
            "readNearby",
            "Leaderboards",
            "Read the ranks around a player",
            ANYONE,
            {"200": answer("The player's entry amid its neighbours.", "Page", examples.NEARBY, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            parameters=[
                _KEY,
                USER,
                *(
                    query(name, {"type": "integer", "minimum": 0, "maximum": NEARBY_MAX, "default": 5}, text)
                    for name, text in (("above", "Better entries."), ("below", "Worse entries."))
                ),
                *_PART,
            ],
        )
    },
    "/api/leaderboards/{key}/lookup": {
        "post": operation(
            "lookUpUsers",
            "Leaderboards",
            "Read the ranks of some players",
            ANYONE,
            {"200": answer("Those ranked, by rank, and those not.", "Lookup", examples.LOOKUP)}
            | problems("malformed", "request_timeout", "body_too_large", "unsupported_media_type", *_READ_PROBLEMS),
            description="A friends board: up to 200 players.",
            parameters=[_KEY, *_PART],
            requestBody=body("LookupRequest", {"usual": {"user_ids": ["ada", "grace"]}}),
        )
    },
    "/api/leaderboards/{key}/periods": {
        "get": operation(
            "listPeriods",
            "Leaderboards",
            "List the periods that have ended",
            ANYONE,
            {"200": answer("Newest first; each is readable with `?period=`.", "PeriodList", examples.PERIODS, CACHED)}
            | NOT_MODIFIED
            | problems("unauthorized", "forbidden", "leaderboard_not_found", "invalid", "unavailable"),
            parameters=[_KEY, query("limit", _LIMIT_SCHEMA, "Periods."), CURSOR],
        )
    },
    "/api/leaderboards/{key}/live": {
        "get": operation(
            "listenToLeaderboard",
            "Leaderboards",
            "Listen to the top entries",
            ANYONE,
            {
                "200": {
                    "description": "Server-Sent Events. `update`: a page as `readLeaderboard` has it, at once and "
                    "then when it has changed, at most one a second; its `id` names what it says. A comment every 15 "
                    "seconds keeps the connection.",
                    "content": content({"type": "string"}, examples.LIVE, "text/event-stream"),
                }
            }
            | problems("not_ranked", *_READ_PROBLEMS),
            description="A listener that falls behind misses what lies between and gets the newest state; one that "
            "takes nothing for 10 seconds is dropped. With `Last-Event-ID` (browsers send it by themselves) the first "
            "update comes when something is new. The stream ends when the leaderboard is deleted or its visibility "
            "changes, and when the server stops: connect again.",
            parameters=[
                _KEY,
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": LIVE_ENTRIES_MAX, "default": LIVE_ENTRIES},
                    "Entries of each update.",
                ),
                *_PART,
                LAST_EVENT_ID,
            ],
        )
    },
}

LEADERBOARDS: Json = _DEFINITIONS | _READS
