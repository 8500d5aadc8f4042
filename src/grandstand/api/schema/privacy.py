"""Export and erasure of players in the document: schemas and examples."""

from grandstand.api.schema.parts import Json
from grandstand.operations.erase_player import ErasureView
from grandstand.storage.player_exports import SECTIONS

PRIVACY_SERVED = (ErasureView,)
"""The structs that these operations serve."""

ERASURE: Json = {
    "erasure_id": "0197a3c2-5b1e-7a55-9d0e-3f6b9e10c4d7",
    "status": "pending",
    "requested_at": "2026-01-31T12:00:00Z",
}

_LISTS: Json = {"type": "array", "items": {"type": "object"}}

PRIVACY_SCHEMAS: Json = {
    "PlayerExport": {
        "type": "object",
        "title": "PlayerExport",
        "required": ["user_id", "exported_at", "ranks", "tournaments", "profile", *SECTIONS],
        "properties": {
            "user_id": {"$ref": "#/components/schemas/UserId"},
            "exported_at": {"type": "string", "format": "date-time"},
            "ranks": {**_LISTS, "description": "Ranks in running periods, as `GET /api/players/{user_id}` has them."},
            "tournaments": {**_LISTS, "description": "Ranks in running tournaments."},
            "profile": {"type": ["object", "null"], "description": "What was said of the player, and bans."},
        }
        | dict.fromkeys(SECTIONS, _LISTS),
    }
}

EXPORT: Json = {
    "user_id": "ada",
    "exported_at": "2026-01-31T12:00:00Z",
    "ranks": [],
    "tournaments": [],
    "profile": {"display_name": "Ada", "country": "GB", "metadata": {}},
    **{section: [] for section in SECTIONS},
    "events": [
        {
            "id": "0197a3c2-5b1e-7a55-9d0e-3f6b9e10c4d8",
            "event_type": "game_ended",
            "occurred_at": "2026-01-31T11:59:00+00:00",
            "received_at": "2026-01-31T11:59:01+00:00",
            "payload": {"score": 12},
        }
    ],
}
