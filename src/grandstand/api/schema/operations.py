"""What every route takes and answers, as operations of the document. A test holds this list beside the routes."""

from typing import Any

from grandstand.api.problems import CODES, MEDIA_TYPE
from grandstand.api.schema import examples
from grandstand.domain.errors import GrandstandError
from grandstand.operations.read_leaderboard import NEARBY_MAX, PAGE_MAX

Json = dict[str, Any]

_ANYONE: list[Json] = [{}, {"client_key": []}, {"player_token": []}, {"server_key": []}, {"admin_key": []}]
_OPERATORS: list[Json] = [{"server_key": []}, {"admin_key": []}]
_SENDERS: list[Json] = [{"player_token": []}, *_OPERATORS]
_OPENERS: list[Json] = [{"client_key": []}, *_OPERATORS]

_TITLES = {error.code: error.title for error in GrandstandError.__subclasses__() if "code" in error.__dict__}
_BODY_PROBLEMS = ("malformed", "request_timeout", "body_too_large", "unsupported_media_type", "invalid")


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Json, example: Any, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": schema, "examples": {"usual": {"value": example}}}}


def _answer(description: str, schema: str, example: Any, headers: Json | None = None) -> Json:
    answer: Json = {"description": description, "content": _content(_ref(schema), example)}
    return answer | {"headers": headers} if headers else answer


def _problems(*codes: str) -> Json:
    """Return the problem responses of the codes, those of one status together."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code][0], []).append(code)
    responses: Json = {}
    for status, same in sorted(by_status.items()):
        response: Json = {
            "description": " Or: ".join(CODES[code][1] for code in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": _ref("Problem"),
                    "examples": {
                        code: {"value": examples.problem(code, status, _TITLES.get(code, "Not found"))} for code in same
                    },
                }
            },
        }
        if "unavailable" in same:
            response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        if "unauthorized" in same:
            response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        responses[str(status)] = response
    return responses


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _path(name: str, schema: Json, description: str, example: str) -> Json:
    return {
        "name": name, "in": "path", "required": True, "schema": schema, "description": description, "example": example,
    }  # fmt: skip


_KEY = _path("key", {"type": "string", "minLength": 1, "maxLength": 64}, "Key of a leaderboard.", "global")
_USER = _path("user_id", _ref("UserId"), "The player, percent-encoded (`/` as `%2F`).", "ada")
_PERIOD = _query("period", {"type": "string"}, "Period to read; the one under way when missing.")
_NAMED_USER = _query("user_id", _ref("UserId"), "Adds this player's own entry as `user`.")

_CACHED: Json = {
    "ETag": {"schema": {"type": "string"}, "description": "On public leaderboards."},
    "Cache-Control": {"schema": {"type": "string"}, "description": "Public leaderboards may be kept for seconds."},
}
_NOT_MODIFIED: Json = {"304": {"description": "Nothing has changed since the `ETag` in `If-None-Match`."}}
_READ_PROBLEMS = ("unauthorized", "forbidden", "leaderboard_not_found", "invalid", "unavailable")


def _operation(
    name: str, tag: str, summary: str, security: list[Json], responses: Json, *, description: str = "", **more: Any
) -> Json:
    operation: Json = {
        "operationId": name, "tags": [tag], "summary": summary, "security": security, "responses": responses,
    }  # fmt: skip
    return operation | ({"description": description} if description else {}) | more


def _body(schema: str, named: dict[str, Any]) -> Json:
    content = {"schema": _ref(schema), "examples": {name: {"value": value} for name, value in named.items()}}
    return {"required": True, "content": {"application/json": content}}


_EVENTS: Json = {
    "/api/events": {
        "post": _operation(
            "postEvents",
            "Events",
            "Send events",
            _SENDERS,
            {"202": _answer("The accepted events are durable.", "EventsReceipt", examples.EVENTS_RECEIPT)}
            | _problems("unauthorized", "forbidden", "batch_too_large", "unavailable", *_BODY_PROBLEMS),
            description="One event, an array, or an object with `events`; 100 events and 1 MiB decoded at most, plain, "
            "gzip or zstd. Valid events are taken even when a neighbour is not; 422 when none is valid.",
            requestBody=_body(
                "EventBody",
                {
                    "one": examples.EVENT,
                    "array": [examples.EVENT, examples.EVENT_FULL],
                    "object": {"events": [examples.EVENT]},
                },
            ),
        )
    },
    "/api/events/import": {
        "post": _operation(
            "importEvents",
            "Events",
            "Import history",
            _OPERATORS,
            {"200": _answer("What became of the lines.", "ImportReport", examples.IMPORT_REPORT)}
            | _problems(
                "malformed", "unauthorized", "forbidden", "request_timeout", "unsupported_media_type", "unavailable"
            ),
            description="One event a line, of any age and in any number. After a 503 its `lines` are done: go on after "
            "them, or begin anew, for events with ids count once.",
            requestBody={
                "required": True,
                "content": _content({"type": "string"}, examples.IMPORT_LINES, "application/x-ndjson"),
            },
        )
    },
}

_PLAYERS: Json = {
    "/api/players/sessions": {
        "post": _operation(
            "openSession",
            "Players",
            "Open a player session",
            _OPENERS,
            {"201": _answer("A token that speaks for the user.", "Session", examples.SESSION)}
            | _problems("unauthorized", "forbidden", "unavailable", *_BODY_PROBLEMS),
            description="With a client key: `device_id`, or `user_id` and the `signature` of your server. With a "
            "server key: `user_id`.",
            requestBody=_body(
                "SessionRequest",
                {"device": {"device_id": "3f6b9e10-c4d7-4a55-9d0e-0197a3c25b1e"}, "user": {"user_id": "ada"}},
            ),
        )
    }
}

_LEADERBOARDS: Json = {
    "/api/leaderboards": {
        "get": _operation(
            "listLeaderboards",
            "Leaderboards",
            "List definitions",
            _ANYONE,
            {"200": _answer("Those you may see.", "LeaderboardList", {"leaderboards": [examples.LEADERBOARD]})}
            | _problems("unauthorized", "unavailable"),
        )
    },
    "/api/leaderboards/{key}": {
        "get": _operation(
            "readLeaderboard",
            "Leaderboards",
            "Read ranks",
            _ANYONE,
            {"200": _answer("A page of entries.", "Page", examples.PAGE, _CACHED)}
            | _NOT_MODIFIED
            | _problems(*_READ_PROBLEMS),
            description="From the top, from `from_rank`, or from where `cursor` continues. A player token implies "
            "`user_id`.",
            parameters=[
                _KEY,
                _query("limit", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 100}, "Entries."),
                _query("cursor", {"type": "string"}, "`next_cursor` of the page before."),
                _query("from_rank", {"type": "integer", "minimum": 1}, "First rank of the page."),
                _NAMED_USER,
                _PERIOD,
            ],
        ),
        "put": _operation(
            "putLeaderboard",
            "Leaderboards",
            "Create or change a leaderboard",
            _OPERATORS,
            {
                "200": _answer("Changed, or the same as before.", "LeaderboardView", examples.LEADERBOARD),
                "201": _answer("Created.", "LeaderboardView", examples.LEADERBOARD),
            }
            | _problems(
                "unauthorized",
                "forbidden",
                "leaderboard_not_found",
                "leaderboard_has_entries",
                "unavailable",
                *_BODY_PROBLEMS,
            ),
            parameters=[_KEY],
            requestBody=_body("LeaderboardDefinition", {"usual": examples.DEFINITION}),
        ),
        "delete": _operation(
            "deleteLeaderboard",
            "Leaderboards",
            "Delete a leaderboard and its entries",
            _OPERATORS,
            {"204": {"description": "Deleted."}}
            | _problems("unauthorized", "forbidden", "leaderboard_not_found", "leaderboard_protected", "unavailable"),
            parameters=[_KEY],
        ),
    },
    "/api/leaderboards/{key}/definition": {
        "get": _operation(
            "readDefinition",
            "Leaderboards",
            "Read a definition",
            _ANYONE,
            {"200": _answer("Every field, defaults filled in.", "LeaderboardView", examples.LEADERBOARD)}
            | _problems("unauthorized", "forbidden", "leaderboard_not_found", "unavailable"),
            parameters=[_KEY],
        )
    },
    "/api/leaderboards/{key}/users/{user_id}": {
        "get": _operation(
            "readUserRank",
            "Leaderboards",
            "Read one player's rank",
            _ANYONE,
            {"200": _answer("The player's place.", "UserRank", examples.USER_RANK, _CACHED)}
            | _NOT_MODIFIED
            | _problems("not_ranked", *_READ_PROBLEMS),
            parameters=[_KEY, _USER, _PERIOD],
        )
    },
    "/api/leaderboards/user/{user_id}": {
        "get": _operation(
            "readGlobalUserRank",
            "Leaderboards",
            "Read one player's rank on `global`",
            _ANYONE,
            {"200": _answer("The player's place.", "UserRank", examples.USER_RANK, _CACHED)}
            | _NOT_MODIFIED
            | _problems("not_ranked", *_READ_PROBLEMS),
            description="Kept for old clients; the same as `/api/leaderboards/global/users/{user_id}`.",
            parameters=[_USER, _PERIOD],
        )
    },
    "/api/leaderboards/{key}/users/{user_id}/nearby": {
        "get": _operation(
            "readNearby",
            "Leaderboards",
            "Read the ranks around a player",
            _ANYONE,
            {"200": _answer("The player's entry amid its neighbours.", "Page", examples.NEARBY, _CACHED)}
            | _NOT_MODIFIED
            | _problems("not_ranked", *_READ_PROBLEMS),
            parameters=[
                _KEY,
                _USER,
                *(
                    _query(name, {"type": "integer", "minimum": 0, "maximum": NEARBY_MAX, "default": 5}, text)
                    for name, text in (("above", "Better entries."), ("below", "Worse entries."))
                ),
                _PERIOD,
            ],
        )
    },
    "/api/leaderboards/{key}/lookup": {
        "post": _operation(
            "lookUpUsers",
            "Leaderboards",
            "Read the ranks of some players",
            _ANYONE,
            {"200": _answer("Those ranked, by rank, and those not.", "Lookup", examples.LOOKUP)}
            | _problems("unauthorized", "forbidden", "leaderboard_not_found", "unavailable", *_BODY_PROBLEMS),
            description="A friends board: up to 200 players.",
            parameters=[_KEY],
            requestBody=_body("LookupRequest", {"usual": {"user_ids": ["ada", "grace"]}}),
        )
    },
}

_HEALTH: Json = {
    "/api/health": {
        "get": _operation(
            "readHealth",
            "Operations",
            "Read the state of the engines and the stream",
            _OPERATORS,
            {"200": _answer("`degraded` when an engine is out of reach.", "Health", examples.HEALTH)}
            | _problems("unauthorized", "forbidden"),
        )
    },
    "/api/health/live": {
        "get": _operation(
            "readLive",
            "Operations",
            "Whether this process answers",
            _ANYONE,
            {"200": _answer("It does.", "Alive", {"status": "ok"})},
        )
    },
    "/api/health/ready": {
        "get": _operation(
            "readReady",
            "Operations",
            "Whether this process can do its work",
            _ANYONE,
            {"200": _answer("It can.", "Alive", {"status": "ok"})} | _problems("unavailable"),
        )
    },
    "/api/health/pool": {
        "get": _operation(
            "readPool",
            "Operations",
            "Read how database connections are used",
            _OPERATORS,
            {"200": _answer("Of this process.", "PoolHealth", examples.POOL)} | _problems("unauthorized", "forbidden"),
        )
    },
    "/metrics": {
        "get": _operation(
            "readMetrics",
            "Operations",
            "Read all numbers",
            _OPERATORS,
            {
                "200": {
                    "description": "Prometheus' text format.",
                    "content": _content({"type": "string"}, examples.METRICS, "text/plain"),
                }
            }
            | _problems("unauthorized", "forbidden"),
        )
    },
}

PATHS: Json = _EVENTS | _PLAYERS | _LEADERBOARDS | _HEALTH
