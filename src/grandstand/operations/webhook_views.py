"""Webhooks and deliveries as served; field names are those of the HTTP contract."""

from datetime import datetime
from uuid import UUID

import msgspec

from grandstand.domain.webhooks import DeliveryStatus
from grandstand.storage.webhooks import Delivery, Endpoint


class WebhookView(msgspec.Struct, kw_only=True):
    """An endpoint as served."""

    id: UUID
    url: str
    description: str
    event_types: list[str]
    created_at: datetime
    disabled_at: datetime | None


class WebhookCreated(WebhookView, kw_only=True):
    """An endpoint just created, with its secret, which is never shown again."""

    secret: str


class WebhookList(msgspec.Struct):
    """A page of endpoints, the oldest first."""

    webhooks: list[WebhookView]
    next_cursor: str | None = None


class WebhookTest(msgspec.Struct):
    """The event that a test sends; its delivery is listed like any other."""

    event_id: UUID


class DeliveryView(msgspec.Struct, kw_only=True):
    """One event's way to one endpoint. `last_status` is the HTTP status of the last answer, if there was one."""

    event_id: UUID
    endpoint_id: UUID
    type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveryList(msgspec.Struct):
    """A page of deliveries, the newest first."""

    deliveries: list[DeliveryView]
    next_cursor: str | None


def webhook_view(endpoint: Endpoint) -> WebhookView:
    """Return an endpoint as served."""
    return WebhookView(
        id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        event_types=endpoint.event_types,
        created_at=endpoint.created_at,
        disabled_at=endpoint.disabled_at,
    )


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return a delivery as served."""
    return DeliveryView(**delivery._asdict())
