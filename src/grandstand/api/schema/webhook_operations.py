"""The operations of webhooks in the document, with the schemas that only they use."""

from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import BODY_PROBLEMS, OPERATORS, Json, answer, body, operation, path, problems, query
from grandstand.domain.webhook_urls import URL_LENGTH_MAX
from grandstand.domain.webhooks import DELIVERY_STATUSES, EVENT_TYPES, RETRY_DELAYS_SECONDS
from grandstand.operations.manage_webhooks import DESCRIPTION_LENGTH_MAX, ENDPOINTS_MAX, LIST_MAX
from grandstand.operations.webhook_views import (
    DeliveryList,
    DeliveryView,
    WebhookCreated,
    WebhookList,
    WebhookTest,
    WebhookView,
)

_WEBHOOK_ID = "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"
_EVENT_ID = "0197a3c4-1f00-7a10-9b2e-5d1c7a90b3e8"
_REQUEST: Json = {
    "url": "https://game.example/hooks/grandstand",
    "event_types": ["tournament.settled", "prize.awarded"],
    "description": "Game server",
}
_WEBHOOK: Json = {
    "id": _WEBHOOK_ID,
    "url": _REQUEST["url"],
    "description": _REQUEST["description"],
    "event_types": sorted(_REQUEST["event_types"]),
    "created_at": "2026-01-31T12:00:00Z",
    "disabled_at": None,
}
_DEAD: Json = {
    "event_id": _EVENT_ID,
    "endpoint_id": _WEBHOOK_ID,
    "type": "prize.awarded",
    "status": "dead",
    "attempts": len(RETRY_DELAYS_SECONDS) + 1,
    "next_attempt_at": None,
    "last_status": 500,
    "last_error": "the answer was 500",
    "created_at": "2026-01-31T12:00:00Z",
    "delivered_at": None,
}
_REPLAYED: Json = _DEAD | {"status": "pending", "attempts": 0, "next_attempt_at": "2026-02-02T08:00:00Z"}

_ID = path("webhook_id", {"type": "string"}, "Id of a webhook.", _WEBHOOK_ID)
_PROBLEMS = ("unauthorized", "forbidden", "unavailable")

WEBHOOK_SERVED = (WebhookView, WebhookCreated, WebhookList, WebhookTest, DeliveryView, DeliveryList)
"""The structs that these operations serve."""

WEBHOOK_SCHEMAS: Json = {
    "WebhookRequest": {
        "type": "object",
        "title": "WebhookRequest",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            "url": {
                "type": "string",
                "maxLength": URL_LENGTH_MAX,
                "description": "http or https, any port, no credentials and no fragment; it must lead to a public "
                "address unless `GRANDSTAND_WEBHOOK_ALLOW_PRIVATE` is set.",
            },
            "event_types": {
                "type": "array",
                "items": {"type": "string", "enum": list(EVENT_TYPES)},
                "maxItems": len(EVENT_TYPES),
                "default": [],
                "description": "What to tell of; nothing here means everything, also what comes with later versions.",
            },
            "description": {
                "type": "string",
                "maxLength": DESCRIPTION_LENGTH_MAX,
                "default": "",
                "description": "A note for people, printable characters only.",
            },
        },
    }
}

WEBHOOKS: Json = {
    "/api/webhooks": {
        "get": operation(
            "listWebhooks",
            "Webhooks",
            "List webhooks",
            OPERATORS,
            {"200": answer("The oldest first.", "WebhookList", {"webhooks": [_WEBHOOK], "next_cursor": None})}
            | problems("invalid", *_PROBLEMS),
            parameters=[
                query(
                    "limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Most in a reply."
                ),
                CURSOR,
            ],
        ),
        "post": operation(
            "createWebhook",
            "Webhooks",
            "Create a webhook",
            OPERATORS,
            {
                "201": answer(
                    "Created. The secret is shown this once.",
                    "WebhookCreated",
                    _WEBHOOK | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
                )
            }
            | problems("webhook_limit_reached", *_PROBLEMS, *BODY_PROBLEMS),
            description=f"It is told what happens from now on, at least once, each event under a `webhook-id` of its "
            "own that stays the same at every attempt. Requests are signed as Standard Webhooks says. Any answer but "
            f"2xx is tried again, {len(RETRY_DELAYS_SECONDS)} times in a day; 410 disables the webhook. "
            f"At most {ENDPOINTS_MAX} webhooks.",
            requestBody=body("WebhookRequest", {"usual": _REQUEST, "all types": {"url": _REQUEST["url"]}}),
        ),
    },
    "/api/webhooks/{webhook_id}": {
        "delete": operation(
            "deleteWebhook",
            "Webhooks",
            "Delete a webhook with its deliveries",
            OPERATORS,
            {"204": {"description": "Deleted."}} | problems("webhook_not_found", *_PROBLEMS),
            parameters=[_ID],
        )
    },
    "/api/webhooks/{webhook_id}/test": {
        "post": operation(
            "testWebhook",
            "Webhooks",
            "Send a test",
            OPERATORS,
            {"202": answer("On its way; the deliveries tell what came of it.", "WebhookTest", {"event_id": _EVENT_ID})}
            | problems("webhook_not_found", "webhook_disabled", *_PROBLEMS),
            description="An event of the type `webhook.test`, to this webhook alone.",
            parameters=[_ID],
        )
    },
    "/api/webhooks/{webhook_id}/enable": {
        "post": operation(
            "enableWebhook",
            "Webhooks",
            "Enable a webhook that was disabled",
            OPERATORS,
            {"200": answer("In use again.", "WebhookView", _WEBHOOK)} | problems("webhook_not_found", *_PROBLEMS),
            description="What was given up stays so until it is replayed; what happened meanwhile is not told.",
            parameters=[_ID],
        )
    },
    "/api/webhooks/deliveries": {
        "get": operation(
            "listDeliveries",
            "Webhooks",
            "List deliveries",
            OPERATORS,
            {"200": answer("The newest first.", "DeliveryList", {"deliveries": [_DEAD], "next_cursor": None})}
            | problems("invalid", *_PROBLEMS),
            description="Delivered ones are kept for three days, others for thirty.",
            parameters=[
                query("status", {"type": "string", "enum": list(DELIVERY_STATUSES)}, "Only these; all when missing."),
                query("endpoint_id", {"type": "string", "format": "uuid"}, "Only those to this webhook."),
                query("limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Deliveries."),
                query("cursor", {"type": "string"}, "`next_cursor` of the page before."),
            ],
        )
    },
    "/api/webhooks/deliveries/{event_id}/{endpoint_id}/replay": {
        "post": operation(
            "replayDelivery",
            "Webhooks",
            "Send a delivery again",
            OPERATORS,
            {"202": answer("Due now, with all its attempts.", "DeliveryView", _REPLAYED)}
            | problems("delivery_not_found", "webhook_disabled", *_PROBLEMS),
            description="Whatever became of it, under the same `webhook-id`.",
            parameters=[
                path("event_id", {"type": "string"}, "Id of the event.", _EVENT_ID),
                path("endpoint_id", {"type": "string"}, "Id of the webhook.", _WEBHOOK_ID),
            ],
        )
    },
}
