"""What every route takes and answers, as operations of the document. A test holds this list beside the routes."""

from grandstand.api.schema import examples, tournament_examples
from grandstand.api.schema.analytics import ANALYTICS
from grandstand.api.schema.audit import AUDIT
from grandstand.api.schema.boards import LEADERBOARDS, USER
from grandstand.api.schema.dead_letters import DEAD_LETTERS
from grandstand.api.schema.event_list import EVENT_LIST
from grandstand.api.schema.key_operations import KEYS
from grandstand.api.schema.parts import (
    ANYONE,
    BODY_PROBLEMS,
    OPENERS,
    OPERATORS,
    PLAYERS,
    SENDERS,
    Json,
    answer,
    body,
    content,
    operation,
    problems,
)
from grandstand.api.schema.privacy import ERASURE, EXPORT
from grandstand.api.schema.prizes import PRIZES
from grandstand.api.schema.quarantine import QUARANTINE
from grandstand.api.schema.tournaments import TOURNAMENTS
from grandstand.api.schema.webhook_operations import WEBHOOKS

_EVENTS: Json = {
    "/api/events": {
        "get": EVENT_LIST,
        "post": operation(
            "postEvents",
            "Events",
            "Send events",
            SENDERS,
            {"202": answer("The accepted events are durable.", "EventsReceipt", examples.EVENTS_RECEIPT)}
            | problems("unauthorized", "forbidden", "batch_too_large", "unavailable", *BODY_PROBLEMS),
            description="One event, an array, or an object with `events`; 100 events and 1 MiB decoded at most, plain, "
            "gzip or zstd. Valid events are taken even when a neighbour is not; 422 when none is valid.",
            requestBody=body(
                "EventBody",
                {
                    "one": examples.EVENT,
                    "array": [examples.EVENT, examples.EVENT_FULL],
                    "object": {"events": [examples.EVENT]},
                },
            ),
        ),
    },
    "/api/events/import": {
        "post": operation(
            "importEvents",
            "Events",
            "Import history",
            OPERATORS,
            {"200": answer("What became of the lines.", "ImportReport", examples.IMPORT_REPORT)}
            | problems(
                "malformed", "unauthorized", "forbidden", "request_timeout", "unsupported_media_type", "unavailable"
            ),
            description="One event a line, of any age and in any number. After a 503 its `lines` are done: go on after "
            "them, or begin anew, for events with ids count once.",
            requestBody={
                "required": True,
                "content": content({"type": "string"}, examples.IMPORT_LINES, "application/x-ndjson"),
            },
        )
    },
}

_PLAYERS: Json = {
    "/api/players/sessions": {
        "post": operation(
            "openSession",
            "Players",
            "Open a player session",
            OPENERS,
            {"201": answer("A token that speaks for the user.", "Session", examples.SESSION)}
            | problems("unauthorized", "forbidden", "player_banned", "unavailable", *BODY_PROBLEMS),
            description="With a client key: `device_id`, or `user_id` and the `signature` of your server. With a "
            "server key: `user_id`.",
            requestBody=body(
                "SessionRequest",
                {"device": {"device_id": "3f6b9e10-c4d7-4a55-9d0e-0197a3c25b1e"}, "user": {"user_id": "ada"}},
            ),
        )
    },
    "/api/players/sessions/refresh": {
        "post": operation(
            "refreshSession",
            "Players",
            "Renew a player token",
            PLAYERS,
            {"201": answer("A new token of the same session.", "Session", examples.SESSION)}
            | problems("unauthorized", "forbidden", "unavailable"),
            description="For a token that is still good. After `GRANDSTAND_PLAYER_SESSION_MAX_SECONDS` a new proof is "
            "needed: open a session.",
        )
    },
    "/api/players/{user_id}/sessions": {
        "delete": operation(
            "endSessions",
            "Players",
            "Put every token of a player out of force",
            SENDERS,
            {"204": {"description": "Every process refuses them within `GRANDSTAND_CREDENTIAL_REFRESH_SECONDS`."}}
            | problems("unauthorized", "forbidden", "invalid", "unavailable"),
            description="For a server key, and for the player: log out everywhere.",
            parameters=[USER],
        )
    },
    "/api/players/{user_id}": {
        "get": operation(
            "readPlayer",
            "Players",
            "Read what is known of a player",
            SENDERS,
            {"200": answer("The player.", "PlayerProfile", tournament_examples.PROFILE)}
            | problems("unauthorized", "forbidden", "player_not_found", "invalid", "unavailable"),
            description="For a server key, and for the player's own token.",
            parameters=[USER],
        ),
        "put": operation(
            "putPlayer",
            "Players",
            "Say who a player is",
            SENDERS,
            {"200": answer("The player as it is now.", "PlayerView", examples.PLAYER)}
            | problems("unauthorized", "forbidden", "unavailable", *BODY_PROBLEMS),
            description="Replaces what was said before; leaderboards show `display_name` at once. A player's own token "
            "may set name and country; `metadata` is the game's and stays as it is.",
            parameters=[USER],
            requestBody=body("PlayerRequest", {"usual": examples.PLAYER_REQUEST}),
        ),
        "delete": operation(
            "erasePlayer",
            "Players",
            "Erase a player",
            SENDERS,
            {"202": answer("It has begun; so it is the second time.", "ErasureView", ERASURE)}
            | problems("unauthorized", "forbidden", "invalid", "unavailable"),
            description="For a server key, and for the player's own token. The player is off every running board and "
            "out of every session at once. The id is then taken out of all that is stored, which goes on after the "
            "answer; archived ranks, prizes and the counts of events stay, under a name that leads nowhere. Events "
            "that arrive later begin anew.",
            parameters=[USER],
        ),
    },
    "/api/players/{user_id}/export": {
        "get": operation(
            "exportPlayer",
            "Players",
            "Export everything that is kept of a player",
            SENDERS,
            {"200": answer("One document of any length.", "PlayerExport", EXPORT)}
            | problems("unauthorized", "forbidden", "player_not_found", "invalid", "unavailable"),
            description="For a server key, and for the player's own token. As of one moment.",
            parameters=[USER],
        )
    },
    "/api/players/{user_id}/ban": {
        "post": operation(
            "banPlayer",
            "Players",
            "Ban a player",
            OPERATORS,
            {"200": answer("Banned; so it is the second time.", "BanView", tournament_examples.BAN)}
            | problems("unauthorized", "forbidden", "unavailable", *BODY_PROBLEMS),
            description="Takes the player off every leaderboard and tournament that is not archived, refuses "
            "new scores, and voids prizes that are not claimed, at once.",
            parameters=[USER],
            requestBody=body("BanRequest", {"usual": {"reason": "speed hack"}}),
        )
    },
    "/api/players/{user_id}/unban": {
        "post": operation(
            "unbanPlayer",
            "Players",
            "Lift a ban",
            OPERATORS,
            {
                "200": answer(
                    "Scores count from now on; what was taken stays so.", "BanView", tournament_examples.UNBANNED
                )
            }
            | problems("unauthorized", "forbidden", "player_not_banned", "invalid", "unavailable"),
            parameters=[USER],
        )
    },
}

_HEALTH: Json = {
    "/api/health": {
        "get": operation(
            "readHealth",
            "Operations",
            "Read the state of the engines and the stream",
            OPERATORS,
            {"200": answer("`degraded` when an engine is out of reach.", "Health", examples.HEALTH)}
            | problems("unauthorized", "forbidden"),
        )
    },
    "/api/health/live": {
        "get": operation(
            "readLive",
            "Operations",
            "Whether this process answers",
            ANYONE,
            {"200": answer("It does.", "Alive", {"status": "ok"})},
            is_limited=False,
        )
    },
    "/api/health/ready": {
        "get": operation(
            "readReady",
            "Operations",
            "Whether this process can do its work",
            ANYONE,
            {"200": answer("It can.", "Alive", {"status": "ok"})} | problems("unavailable"),
            is_limited=False,
        )
    },
    "/api/health/pool": {
        "get": operation(
            "readPool",
            "Operations",
            "Read how database connections are used",
            OPERATORS,
            {"200": answer("Of this process.", "PoolHealth", examples.POOL)} | problems("unauthorized", "forbidden"),
        )
    },
    "/metrics": {
        "get": operation(
            "readMetrics",
            "Operations",
            "Read all numbers",
            OPERATORS,
            {
                "200": {
                    "description": "Prometheus' text format.",
                    "content": content({"type": "string"}, examples.METRICS, "text/plain"),
                }
            }
            | problems("unauthorized", "forbidden"),
        )
    },
}

PATHS: Json = (
    _EVENTS
    | _PLAYERS
    | LEADERBOARDS
    | TOURNAMENTS
    | PRIZES
    | WEBHOOKS
    | DEAD_LETTERS
    | QUARANTINE
    | KEYS
    | AUDIT
    | ANALYTICS
    | _HEALTH
)
