"""The tables of webhooks beside the outbox: endpoints, and the deliveries to them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from grandstand.domain.webhooks import DeliveryStatus
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class Endpoint(NamedTuple):
    """A row of endpoints, without its secret."""

    endpoint_id: UUID
    url: str
    description: str
    event_types: list[str]
    created_at: datetime
    disabled_at: datetime | None


class Delivery(NamedTuple):
    """A row of deliveries with its event's type and time; `next_attempt_at` is None unless one is pending."""

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


class Claim(NamedTuple):
    """A delivery that is this dispatcher's to try, for a while; `payload` is JSON text."""

    event_id: UUID
    endpoint_id: UUID
    attempts: int
    url: str
    secret: str
    type: str
    payload: str
    created_at: datetime


class Attempt(NamedTuple):
    """What became of a claim. `delay_seconds` counts for pending ones: the wait until the next attempt."""

    claim: Claim
    status: DeliveryStatus
    delay_seconds: float
    http_status: int | None
    error: str | None


class WebhookStore:
    """Reads and writes endpoints and deliveries; every method runs on the caller's connection."""

    async def insert_endpoint(
        self,
        connection: "Connection[Any]",
        endpoint_id: UUID,
        url: str,
        description: str,
        secret: str,
        event_types: Sequence[str],
        *,
        count_max: int,
    ) -> Endpoint | None:
        """Add an endpoint, or return None when there are `count_max` already (calls at once may pass it by a few)."""
        row = await connection.fetchrow(
            queries.load("webhooks/insert_endpoint.sql"),
            endpoint_id, url, description, secret, list(event_types), count_max,
        )  # fmt: skip
        return None if row is None else Endpoint(*row)

    async def list_endpoints(self, connection: "Connection[Any]") -> list[Endpoint]:
        """Return all endpoints, the oldest first."""
        return [Endpoint(*row) for row in await connection.fetch(queries.load("webhooks/list_endpoints.sql"))]

    async def delete_endpoint(self, connection: "Connection[Any]", endpoint_id: UUID) -> Endpoint | None:
        """Remove an endpoint with its deliveries; return it, or None when there was none."""
        row = await connection.fetchrow(queries.load("webhooks/delete_endpoint.sql"), endpoint_id)
        return None if row is None else Endpoint(*row)

    async def enable_endpoint(self, connection: "Connection[Any]", endpoint_id: UUID) -> Endpoint | None:
        """Take an endpoint into use again; return it, or None when there is none."""
        row = await connection.fetchrow(queries.load("webhooks/enable_endpoint.sql"), endpoint_id)
        return None if row is None else Endpoint(*row)

    async def is_disabled(self, connection: "Connection[Any]", endpoint_id: UUID) -> bool | None:
        """Tell whether an endpoint is out of use; None when there is none."""
        found: bool | None = await connection.fetchval(queries.load("webhooks/is_endpoint_disabled.sql"), endpoint_id)
        return found

    async def disable_endpoints(self, connection: "Connection[Any]", endpoint_ids: Sequence[UUID], reason: str) -> None:
        """Take endpoints out of use; what is pending for them is dead with this reason, until it is replayed."""
        await connection.execute(queries.load("webhooks/disable_endpoints.sql"), endpoint_ids, reason)

    async def claim_due(
        self, connection: "Connection[Any]", busy: Collection[UUID], *, batch_max: int, claim_seconds: float
    ) -> list[Claim]:
        """Claim what is due, up to `batch_max` for each endpoint that is not busy; it is ours for `claim_seconds`."""
        rows = await connection.fetch(queries.load("webhooks/claim_due.sql"), list(busy), batch_max, claim_seconds)
        return [Claim(*row) for row in rows]

    async def record_attempts(self, connection: "Connection[Any]", attempts: Sequence[Attempt]) -> None:
        """Record what became of claims, in one statement."""
        ordered = sorted(attempts, key=lambda attempt: attempt.claim[:2])
        await connection.execute(
            queries.load("webhooks/record_attempts.sql"),
            [attempt.claim.event_id for attempt in ordered],
            [attempt.claim.endpoint_id for attempt in ordered],
            [attempt.claim.attempts for attempt in ordered],
            [attempt.status for attempt in ordered],
            [attempt.delay_seconds for attempt in ordered],
            [attempt.http_status for attempt in ordered],
            [attempt.error for attempt in ordered],
        )

    async def list_deliveries(
        self,
        connection: "Connection[Any]",
        *,
        status: DeliveryStatus | None,
        endpoint_id: UUID | None,
        before: tuple[UUID, UUID],
        count_max: int,
    ) -> list[Delivery]:
        """Return deliveries before (event id, endpoint id), the newest first."""
        rows = await connection.fetch(
            queries.load("webhooks/list_deliveries.sql"), status, endpoint_id, *before, count_max
        )
        return [Delivery(*row) for row in rows]

    async def replay(self, connection: "Connection[Any]", event_id: UUID, endpoint_id: UUID) -> Delivery | None:
        """Make a delivery due now, as if never tried; None when it does not exist or its endpoint is disabled."""
        row = await connection.fetchrow(queries.load("webhooks/replay_delivery.sql"), event_id, endpoint_id)
        return None if row is None else Delivery(*row)

    async def has_delivery(self, connection: "Connection[Any]", event_id: UUID, endpoint_id: UUID) -> bool:
        """Tell whether there is such a delivery."""
        found: bool = await connection.fetchval(queries.load("webhooks/has_delivery.sql"), event_id, endpoint_id)
        return found

    async def prune(
        self, connection: "Connection[Any]", after: UUID, *, delivered_days: int, any_days: int, count_max: int
    ) -> UUID | None:
        """Delete old events in a stretch behind `after`; return the last id looked at, or None when none is old."""
        last: UUID | None = await connection.fetchval(
            queries.load("webhooks/prune_events.sql"), after, delivered_days, any_days, count_max
        )
        return last
