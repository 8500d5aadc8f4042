"""Where webhooks go: endpoints are created, listed, tested and removed; deliveries are listed and replayed."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import msgspec

from grandstand import clock
from grandstand.domain.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    NotFoundError,
)
from grandstand.domain.ids import new_ids
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.list_cursors import check_limit, read_list_cursor, write_list_cursor
from grandstand.domain.webhook_urls import WebhookUrl, read_webhook_url
from grandstand.domain.webhooks import DELIVERY_STATUSES, EVENT_TYPES, TEST_TYPE, DeliveryStatus, new_secret
from grandstand.operations.audit import record
from grandstand.operations.webhook_connections import AddressGuard, AddressRefusedError
from grandstand.operations.webhook_views import (
    DeliveryList,
    DeliveryView,
    WebhookCreated,
    WebhookList,
    WebhookTest,
    WebhookView,
    delivery_view,
    webhook_view,
)
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Database
from grandstand.storage.webhooks import WebhookStore

ENDPOINTS_MAX = 50
DESCRIPTION_LENGTH_MAX = 200
LIST_MAX = 1_000
_RESOLVE_TIMEOUT_SECONDS = 5.0
_AFTER_ALL = (UUID(int=2**128 - 1), UUID(int=2**128 - 1))
_CURSOR_BYTES, _ID_BYTES = 32, 16


class WebhookRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/webhooks` takes. No `event_types` means all, also those that come later."""

    url: str
    event_types: list[str] = []
    description: str = ""


class WebhookManager:
    """Manages webhooks for one process. Raises `UnavailableError` when the database is out of reach."""

    def __init__(self, database: Database, webhooks: WebhookStore, outbox: Outbox, guard: AddressGuard) -> None:
        self._database = database
        self._webhooks = webhooks
        self._outbox = outbox
        self._guard = guard

    async def create(self, body: bytes) -> WebhookCreated:
        """Create an endpoint; it gets what happens from now on.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value, or a URL where webhooks must not go.
            ConflictError: `webhook_limit_reached`.
        """
        request = _read(body)
        await self._check_reachable(read_webhook_url(request.url))
        secret = new_secret()
        (endpoint_id,) = new_ids(1, clock.now())
        async with self._database.transaction() as connection:
            endpoint = await self._webhooks.insert_endpoint(
                connection,
                endpoint_id,
                request.url,
                request.description,
                secret,
                sorted(set(request.event_types)),
                count_max=ENDPOINTS_MAX,
            )
            if endpoint is not None:
                await record(connection, "webhook.create", str(endpoint_id), after=webhook_view(endpoint))
        if endpoint is None:
            raise ConflictError("webhook_limit_reached", f"There are {ENDPOINTS_MAX} webhooks; delete one first.")
        return WebhookCreated(secret=secret, **msgspec.structs.asdict(webhook_view(endpoint)))

    async def list(self, *, limit: int = ENDPOINTS_MAX, cursor: str | None = None) -> WebhookList:
        """Return a page of endpoints, without their secrets.

        Raises:
            InvalidError: a limit out of range, or a text that is no cursor.
        """
        check_limit(limit, LIST_MAX)
        after = None if cursor is None else UUID(bytes=read_list_cursor(cursor, _ID_BYTES))
        async with self._database.connection() as connection:
            # At most `ENDPOINTS_MAX`, in the order of their ids, which is that in which they were made.
            found = await self._webhooks.list_endpoints(connection)
        if after is not None:
            found = [endpoint for endpoint in found if endpoint.endpoint_id > after]
        next_cursor = write_list_cursor(found[limit - 1].endpoint_id.bytes) if len(found) > limit else None
        return WebhookList([webhook_view(endpoint) for endpoint in found[:limit]], next_cursor)

    async def delete(self, webhook_id: str) -> None:
        """Remove an endpoint with all that was to go to it.

        Raises:
            NotFoundError: `webhook_not_found`.
        """
        endpoint_id = _read_id(webhook_id)
        async with self._database.transaction() as connection:
            deleted = None if endpoint_id is None else await self._webhooks.delete_endpoint(connection, endpoint_id)
            if deleted is None:
                raise _not_found()
            await record(connection, "webhook.delete", webhook_id, before=webhook_view(deleted))

    async def enable(self, webhook_id: str) -> WebhookView:
        """Take an endpoint into use again after it answered 410. What was given up stays so until it is replayed.

        Raises:
            NotFoundError: `webhook_not_found`.
        """
        endpoint_id = _read_id(webhook_id)
        if endpoint_id is not None:
            async with self._database.transaction() as connection:
                endpoint = await self._webhooks.enable_endpoint(connection, endpoint_id)
                if endpoint is not None:
                    await record(connection, "webhook.enable", webhook_id, after=webhook_view(endpoint))
            if endpoint is not None:
                return webhook_view(endpoint)
        raise _not_found()

    async def test(self, webhook_id: str) -> WebhookTest:
        """Put an event of the type `webhook.test` on its way to one endpoint.

        Raises:
            NotFoundError: `webhook_not_found`.
            ConflictError: `webhook_disabled`.
        """
        endpoint_id = _read_id(webhook_id)
        if endpoint_id is None:
            raise _not_found()
        async with self._database.transaction() as connection:
            event_id = await self._outbox.add_for(connection, TEST_TYPE, {"webhook_id": endpoint_id}, endpoint_id)
            if event_id is None and await self._webhooks.is_disabled(connection, endpoint_id) is None:
                raise _not_found()
        if event_id is None:
            raise _disabled()
        return WebhookTest(event_id)

    async def deliveries(
        self, *, status: str | None = None, endpoint_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeliveryList:
        """Return a page of deliveries, the newest first: of all, or of one status, or to one endpoint.

        Raises:
            InvalidError: an unknown status, a limit out of range, no id, or a text that is no cursor.
        """
        check_limit(limit, LIST_MAX)
        endpoint = None if endpoint_id is None else _read_id(endpoint_id)
        if endpoint_id is not None and endpoint is None:
            raise InvalidError([FieldError("endpoint_id", "must be the id of a webhook")])
        before = _AFTER_ALL if cursor is None else _read_cursor(cursor)
        wanted = _read_status(status)
        async with self._database.connection() as connection:
            found = await self._webhooks.list_deliveries(
                connection, status=wanted, endpoint_id=endpoint, before=before, count_max=limit + 1
            )
        page = found[:limit]
        last = page[-1] if len(found) > limit else None
        next_cursor = None if last is None else write_list_cursor(last.event_id.bytes + last.endpoint_id.bytes)
        return DeliveryList([delivery_view(delivery) for delivery in page], next_cursor)

    async def replay(self, event_id: str, endpoint_id: str) -> DeliveryView:
        """Send a delivery again, whatever became of it, under the same `webhook-id`; all its attempts are new.

        Raises:
            NotFoundError: `delivery_not_found`.
            ConflictError: `webhook_disabled`.
        """
        event, endpoint = _read_id(event_id), _read_id(endpoint_id)
        if event is not None and endpoint is not None:
            async with self._database.transaction() as connection:
                delivery = await self._webhooks.replay(connection, event, endpoint)
                if delivery is not None:
                    await record(connection, "webhook.replay", f"{event_id}/{endpoint_id}")
                    return delivery_view(delivery)
                if await self._webhooks.has_delivery(connection, event, endpoint):
                    raise _disabled()
        raise NotFoundError("delivery_not_found", "There is no such delivery.")

    async def _check_reachable(self, url: WebhookUrl) -> None:
        if self._guard.allow_private:
            return
        try:
            async with asyncio.timeout(_RESOLVE_TIMEOUT_SECONDS):
                await self._guard.addresses(url.host, url.port)
        except AddressRefusedError:
            message = "must not lead to an address that is not public (GRANDSTAND_WEBHOOK_ALLOW_PRIVATE allows it)"
            raise InvalidError([FieldError("url", message)]) from None
        except (OSError, UnicodeError):
            raise InvalidError([FieldError("url", "has a host that does not resolve")]) from None


def _read(body: bytes) -> WebhookRequest:
    request = decode_body(body, WebhookRequest)
    if errors := list(_check(request)):
        raise InvalidError(errors)
    return request


def _check(request: WebhookRequest) -> Iterator[FieldError]:
    try:
        read_webhook_url(request.url)
    except InvalidError as error:
        yield from error.errors
    known = ", ".join(EVENT_TYPES)
    for number, event_type in enumerate(request.event_types[: len(EVENT_TYPES) + 1]):
        if event_type not in EVENT_TYPES:
            yield FieldError(f"event_types[{number}]", f"must be one of {known}")
    if len(request.event_types) > len(EVENT_TYPES):
        yield FieldError("event_types", f"has more entries than there are types: {known}")
    if len(request.description) > DESCRIPTION_LENGTH_MAX or not request.description.isprintable():
        yield FieldError("description", f"must have at most {DESCRIPTION_LENGTH_MAX} printable characters")


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _read_status(text: str | None) -> DeliveryStatus | None:
    for status in DELIVERY_STATUSES:
        if status == text:
            return status
    if text is not None:
        raise InvalidError([FieldError("status", f"must be one of {', '.join(DELIVERY_STATUSES)}")])
    return None


def _read_cursor(cursor: str) -> tuple[UUID, UUID]:
    key = read_list_cursor(cursor, _CURSOR_BYTES)
    return UUID(bytes=key[:16]), UUID(bytes=key[16:])


def _not_found() -> NotFoundError:
    return NotFoundError("webhook_not_found", "There is no such webhook.")


def _disabled() -> ConflictError:
    return ConflictError("webhook_disabled", "The webhook is disabled because it answered 410 Gone; enable it first.")
