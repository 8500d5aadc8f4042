"""The reusable parts of the document: schemas (most of them derived from the structs that are served), credentials."""

from typing import Any

import msgspec

from grandstand.api.events import EventsReceipt
from grandstand.api.import_lines import ImportReport
from grandstand.api.leaderboards import LeaderboardList
from grandstand.api.problems import Problem
from grandstand.api.schema.analytics import ANALYTICS_SCHEMAS, ANALYTICS_SERVED
from grandstand.api.schema.audit import AUDIT_SERVED
from grandstand.api.schema.dead_letters import DEAD_LETTERS_SCHEMAS, DEAD_LETTERS_SERVED
from grandstand.api.schema.definition import describe
from grandstand.api.schema.event_list import EVENT_LIST_SERVED
from grandstand.api.schema.key_operations import KEY_SCHEMAS, KEY_SERVED
from grandstand.api.schema.privacy import PRIVACY_SCHEMAS, PRIVACY_SERVED
from grandstand.api.schema.quarantine import QUARANTINE_SERVED
from grandstand.api.schema.webhook_operations import WEBHOOK_SCHEMAS, WEBHOOK_SERVED
from grandstand.domain.credentials import DEVICE_ID_LENGTH_MAX, DEVICE_ID_LENGTH_MIN
from grandstand.domain.event_model import USER_ID_LENGTH_MAX
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.domain.scores import SCORE_MAX
from grandstand.domain.tournaments import TournamentDefinition
from grandstand.operations.ban_player import REASON_LENGTH_MAX, BanView
from grandstand.operations.check_health import Health, PoolHealth
from grandstand.operations.define_leaderboard import LeaderboardView
from grandstand.operations.leaderboard_views import Lookup, Page, PeriodList, UserRank
from grandstand.operations.open_session import Session
from grandstand.operations.put_player import METADATA_BYTES_MAX, NAME_LENGTH_MAX, PlayerView
from grandstand.operations.read_leaderboard import LOOKUP_MAX
from grandstand.operations.read_player import PlayerProfile
from grandstand.operations.read_tournament import Preview, TournamentRank
from grandstand.operations.tournament_views import ParticipantView, PrizeList, PrizeView, TournamentList, TournamentView
from grandstand.operations.write_score import ScoreWritten

Json = dict[str, Any]

_SERVED = (
    EventsReceipt,
    ImportReport,
    Session,
    LeaderboardDefinition,
    LeaderboardView,
    LeaderboardList,
    Page,
    UserRank,
    Lookup,
    PeriodList,
    ScoreWritten,
    PlayerView,
    PlayerProfile,
    BanView,
    TournamentDefinition,
    TournamentView,
    TournamentList,
    ParticipantView,
    TournamentRank,
    Preview,
    PrizeView,
    PrizeList,
    *WEBHOOK_SERVED,
    *DEAD_LETTERS_SERVED,
    *EVENT_LIST_SERVED,
    *QUARANTINE_SERVED,
    *KEY_SERVED,
    *AUDIT_SERVED,
    *ANALYTICS_SERVED,
    *PRIVACY_SERVED,
    Health,
    PoolHealth,
    Problem,
)

_TOURNAMENT_ID = "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"

# What a pattern of JSON Schema can say of it; lone surrogates are no characters at all.
USER_ID: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": USER_ID_LENGTH_MAX,
    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    "description": "Your id of the player: 1 to 255 characters, none of them a control character.",
}

_EVENT: Json = {
    "type": "object",
    "title": "Event",
    "required": ["event_type", "user_id"],
    "properties": {
        "event_type": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,50}$"},
        "user_id": {"$ref": "#/components/schemas/UserId"},
        "payload": {
            "type": "object",
            "default": {},
            "description": "Whatever describes the event, 16 KiB at most; leaderboards read scores from it.",
        },
        "id": {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "The same id counts once, however often it is sent. UUIDv7 is the best for the database.",
        },
        "occurred_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it happened on the client's clock; now, when missing.",
        },
        "signature": {
            "type": ["string", "null"],
            "pattern": "^[0-9a-fA-F]{64}$",
            "description": "HMAC-SHA256 of the event with the session's `signing_key`, in hex. Checked where a player "
            "token sends it; it needs `id` and `occurred_at`.",
        },
    },
}

_EVENT_BODY: Json = {
    "title": "EventBody",
    "oneOf": [
        {"$ref": "#/components/schemas/Event"},
        {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Event"}},
        {
            "type": "object",
            "required": ["events"],
            "properties": {"events": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Event"}}},
        },
    ],
}

_SESSION_REQUEST: Json = {
    "title": "SessionRequest",
    "oneOf": [
        {
            "type": "object",
            "required": ["device_id"],
            "properties": {
                "device_id": {
                    "type": "string",
                    "minLength": DEVICE_ID_LENGTH_MIN,
                    "maxLength": DEVICE_ID_LENGTH_MAX,
                    "description": "A secret of the device's own, made once and kept on it; only its hash is stored.",
                }
            },
        },
        {
            "type": "object",
            "required": ["user_id"],
            "properties": {
                "user_id": {"$ref": "#/components/schemas/UserId"},
                "signature": {
                    "type": ["string", "null"],
                    "description": "Needed with a client key: HMAC-SHA256 of the user id in hex. The HMAC key is "
                    "SHA-256(server key); for keys of more than 64 characters, as made ones are, plain "
                    "HMAC-SHA256 with the server key gives the same (RFC 2104).",
                },
            },
        },
    ],
}

_LOOKUP_REQUEST: Json = {
    "type": "object",
    "title": "LookupRequest",
    "required": ["user_ids"],
    "properties": {
        "user_ids": {"type": "array", "maxItems": LOOKUP_MAX, "items": {"$ref": "#/components/schemas/UserId"}}
    },
}

_SCORE_REQUEST: Json = {
    "type": "object",
    "title": "ScoreRequest",
    "required": ["user_id", "score"],
    "additionalProperties": False,
    "properties": {
        "user_id": {"$ref": "#/components/schemas/UserId"},
        "score": {
            "type": "integer",
            "minimum": -SCORE_MAX,
            "maximum": SCORE_MAX,
            "description": "Within the leaderboard's own limits, too.",
        },
        "id": {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "The same id counts once, however often it is sent; made by the server when missing.",
        },
    },
}

_PLAYER_REQUEST: Json = {
    "type": "object",
    "title": "PlayerRequest",
    "additionalProperties": False,
    "properties": {
        "display_name": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": NAME_LENGTH_MAX,
            "description": "What leaderboards show: printable characters, and none that turn the direction of text.",
        },
        "country": {"type": ["string", "null"], "pattern": "^[A-Z]{2}$", "description": "ISO 3166, such as DE."},
        "metadata": {
            "type": "object",
            "description": f"Whatever the game keeps of a player, {METADATA_BYTES_MAX} bytes at most. Server key only.",
        },
    },
}

_JOIN_REQUEST: Json = {
    "type": "object",
    "title": "JoinRequest",
    "additionalProperties": False,
    "properties": {
        "user_id": {
            "anyOf": [{"$ref": "#/components/schemas/UserId"}, {"type": "null"}],
            "description": "Who joins; needed with a server key.",
        }
    },
}
_REASON: Json = {"type": "string", "minLength": 1, "maxLength": REASON_LENGTH_MAX, "pattern": "^[^\\u0000]+$"}
_BAN_REQUEST: Json = {
    "type": "object",
    "title": "BanRequest",
    "required": ["reason"],
    "additionalProperties": False,
    "properties": {"reason": _REASON},
}
_VOID_REQUEST: Json = {
    "type": "object",
    "title": "VoidRequest",
    "additionalProperties": False,
    "properties": {"reason": _REASON | {"type": ["string", "null"]}},
}

_PROBLEM_MEMBERS: Json = {
    "errors": {
        "type": "array",
        "description": "With `invalid`: each wrong value.",
        "items": {
            "type": "object",
            "required": ["path", "message"],
            "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
        },
    },
    "accepted": {"type": "integer", "description": "Events taken."},
    "rejected": {"type": "array", "description": "Events or lines not taken and why.", "items": {"type": "object"}},
    "retry_after": {"type": "integer", "description": "Seconds to wait before trying again."},
}

_ALIVE: Json = {
    "type": "object",
    "title": "Alive",
    "required": ["status"],
    "properties": {"status": {"type": "string", "const": "ok"}},
}


def schemas() -> Json:
    """Return every schema by name."""
    _, components = msgspec.json.schema_components(_SERVED, ref_template="#/components/schemas/{name}")
    components["Problem"]["properties"] |= _PROBLEM_MEMBERS
    describe(components)
    definition = components.pop("TournamentDefinition")
    tournament_id = {"type": ["string", "null"], "pattern": _TOURNAMENT_ID, "description": "Made when it is missing."}
    return components | {
        "TournamentRequest": definition
        | {"title": "TournamentRequest", "properties": {"id": tournament_id} | definition["properties"]},
        "TournamentPatch": definition | {"title": "TournamentPatch", "required": []},
        "JoinRequest": _JOIN_REQUEST,
        "BanRequest": _BAN_REQUEST,
        "VoidRequest": _VOID_REQUEST,
        **WEBHOOK_SCHEMAS,
        **DEAD_LETTERS_SCHEMAS,
        **KEY_SCHEMAS,
        **PRIVACY_SCHEMAS,
        **ANALYTICS_SCHEMAS,
        "UserId": USER_ID,
        "Event": _EVENT,
        "EventBody": _EVENT_BODY,
        "SessionRequest": _SESSION_REQUEST,
        "LookupRequest": _LOOKUP_REQUEST,
        "ScoreRequest": _SCORE_REQUEST,
        "PlayerRequest": _PLAYER_REQUEST,
        "Alive": _ALIVE,
    }


SECURITY_SCHEMES: Json = {
    "admin_key": {"type": "http", "scheme": "bearer", "description": "`gs_admin_…`: everything."},
    "server_key": {"type": "http", "scheme": "bearer", "description": "`gs_server_…`: the game server's key."},
    "client_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "`gs_client_…`: public; opens sessions, reads public leaderboards.",
    },
    "player_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From `POST /api/players/sessions`: speaks for one user id.",
    },
}
