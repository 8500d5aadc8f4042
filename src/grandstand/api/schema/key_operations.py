"""The operations of keys in the document, with the schemas that only they use."""

from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import ADMINS, BODY_PROBLEMS, Json, answer, body, operation, path, problems, query
from grandstand.domain.credentials import KEY_KINDS, SCOPES
from grandstand.operations.manage_keys import (
    KEYS_MAX,
    LIST_MAX,
    NAME_LENGTH_MAX,
    OVERLAP_SECONDS,
    OVERLAP_SECONDS_MAX,
    KeyCreated,
    KeyList,
    KeyView,
)

_KEY_ID = "key_5f1d0c9a7b3e2846"
_REQUEST: Json = {"kind": "server", "name": "match server", "scopes": ["events:write", "leaderboards:read"]}
_KEY: Json = {
    "id": _KEY_ID,
    "kind": "server",
    "name": _REQUEST["name"],
    "scopes": _REQUEST["scopes"],
    "status": "live",
    "created_at": "2026-01-31T12:00:00Z",
    "created_by": "admin:key_0a1b2c3d4e5f6071",
    "expires_at": None,
    "last_used_at": "2026-01-31T12:20:00Z",
    "revoked_at": None,
}
_MADE: Json = _KEY | {"last_used_at": None, "key": "gs_server_…"}

_ID = path("key_id", {"type": "string"}, "Id of a key.", _KEY_ID)
_PROBLEMS = ("unauthorized", "forbidden", "unavailable")

KEY_SERVED = (KeyView, KeyCreated, KeyList)
"""The structs that these operations serve."""

KEY_SCHEMAS: Json = {
    "KeyRequest": {
        "type": "object",
        "title": "KeyRequest",
        "required": ["kind", "name"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "string", "enum": list(KEY_KINDS)},
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": NAME_LENGTH_MAX,
                "description": "A note for people, printable characters only.",
            },
            "scopes": {
                "type": ["array", "null"],
                "items": {"type": "string", "enum": list(SCOPES)},
                "minItems": 1,
                "default": None,
                "description": "What a server key may do; without, everything that server keys may.",
            },
            "expires_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "default": None,
                "description": "When the key ends; without, never.",
            },
        },
    },
    "KeyRotation": {
        "type": "object",
        "title": "KeyRotation",
        "additionalProperties": False,
        "properties": {
            "overlap_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": OVERLAP_SECONDS_MAX,
                "default": OVERLAP_SECONDS,
                "description": "How long the old key stays good beside the new one.",
            }
        },
    },
}

KEYS: Json = {
    "/api/keys": {
        "get": operation(
            "listKeys",
            "Keys",
            "List keys",
            ADMINS,
            {
                "200": answer(
                    "The oldest first, also those out of force.", "KeyList", {"keys": [_KEY], "next_cursor": None}
                )
            }
            | problems("invalid", *_PROBLEMS),
            parameters=[
                query("limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Most in it."),
                CURSOR,
            ],
        ),
        "post": operation(
            "createKey",
            "Keys",
            "Make a key",
            ADMINS,
            {"201": answer("Made. The key is shown this once.", "KeyCreated", _MADE)}
            | problems("key_limit_reached", *_PROBLEMS, *BODY_PROBLEMS),
            description="Good on every process within `GRANDSTAND_CREDENTIAL_REFRESH_SECONDS`. "
            f"At most {KEYS_MAX} keys in force.",
            requestBody=body("KeyRequest", {"usual": _REQUEST, "everything": {"kind": "admin", "name": "ops"}}),
        ),
    },
    "/api/keys/{key_id}": {
        "delete": operation(
            "revokeKey",
            "Keys",
            "Revoke a key",
            ADMINS,
            {"204": {"description": "Out of force."}}
            | problems("key_not_found", "last_admin_key", "key_set_by_environment", *_PROBLEMS),
            description="For good, on every process within `GRANDSTAND_CREDENTIAL_REFRESH_SECONDS`.",
            parameters=[_ID],
        )
    },
    "/api/keys/{key_id}/rotate": {
        "post": operation(
            "rotateKey",
            "Keys",
            "Rotate a key",
            ADMINS,
            {"201": answer("The new key, shown this once.", "KeyCreated", _MADE)}
            | problems(
                "key_not_found", "key_not_live", "key_limit_reached", "key_set_by_environment", *_PROBLEMS,
                *BODY_PROBLEMS,
            ),
            description="Makes a key of the same kind, name, scopes and end; the old one ends after the overlap.",
            parameters=[_ID],
            requestBody=body("KeyRotation", {"usual": {"overlap_seconds": OVERLAP_SECONDS}}),
        )
    },
}  # fmt: skip
