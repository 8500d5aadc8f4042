"""Delivers webhooks: claims what is due, posts it signed, records what became of it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from http import HTTPStatus
from random import Random
from uuid import UUID

import httpcore
import structlog

from grandstand import __version__, clock
from grandstand.domain.errors import InvalidError
from grandstand.domain.webhook_urls import WebhookUrl, read_webhook_url
from grandstand.domain.webhooks import RETRY_DELAYS_SECONDS, retry_delay_seconds, sign, write_message
from grandstand.operations.webhook_connections import AddressGuard, AddressRefusedError, GuardedNetwork
from grandstand.storage.postgres import Database
from grandstand.storage.webhooks import Attempt, Claim, WebhookStore
from grandstand.telemetry import metrics, traces

ENDPOINT_CONCURRENCY = 8
"""Requests to one endpoint at once, of one process: a batch is sent all at once and recorded in one statement."""

TIMEOUT_SECONDS = 10.0
"""Longest time from asking for the receiver's address to the end of what is read of its answer."""

CLAIM_SECONDS = 40.0
"""How long a claim keeps others off: time for a batch and its record, and a margin for a busy process."""

_BODY_BYTES_MAX = 65_536
"""Read of an answer, so that its connection can serve the next request; what is longer costs the connection."""

_CONNECTIONS_MAX = 500
_KEEP_ALIVE_MAX = 100
_KEEP_ALIVE_SECONDS = 30.0
_USER_AGENT = f"Grandstand/{__version__}".encode()
_GONE_REASON = "the endpoint answered 410 Gone and was disabled"
_under_way = metrics.STAGE_WAITING.labels("webhook")
_log = structlog.get_logger(__name__)


class WebhookDeliverer:
    """Posts webhooks for one process. Close it at the end."""

    def __init__(
        self,
        database: Database,
        webhooks: WebhookStore,
        guard: AddressGuard,
        *,
        network: httpcore.AsyncNetworkBackend | None = None,
        retry_delays_seconds: tuple[float, ...] = RETRY_DELAYS_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        claim_seconds: float = CLAIM_SECONDS,
        randomly: Random | None = None,
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._retry_delays_seconds = retry_delays_seconds
        self._timeout_seconds = timeout_seconds
        self._claim_seconds = claim_seconds
        self._randomly = randomly or Random()  # noqa: S311 - spreads retries, guards nothing
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=_CONNECTIONS_MAX,
            max_keepalive_connections=_KEEP_ALIVE_MAX,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=GuardedNetwork(guard, network or httpcore.AnyIOBackend()),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def claim(self, busy: Collection[UUID]) -> dict[UUID, list[Claim]]:
        """Claim a batch of what is due for each endpoint that is not busy; return them by endpoint.

        Raises:
            UnavailableError: the database is out of reach.
        """
        async with self._database.connection() as connection:
            claims = await self._webhooks.claim_due(
                connection, busy, batch_max=ENDPOINT_CONCURRENCY, claim_seconds=self._claim_seconds
            )
        batches: dict[UUID, list[Claim]] = defaultdict(list)
        for claim in claims:
            batches[claim.endpoint_id].append(claim)
        return batches

    async def deliver(self, batch: Sequence[Claim]) -> None:
        """Post a batch to one endpoint, all at once, and record what became of it.

        Raises:
            UnavailableError: the database is out of reach. The batch is sent again when its claims have run out.
        """
        attempts = await asyncio.gather(*(self._traced_attempt(claim) for claim in batch))
        gone = {attempt.claim.endpoint_id for attempt in attempts if attempt.http_status == HTTPStatus.GONE}
        async with self._database.connection() as connection:
            await self._webhooks.record_attempts(connection, attempts)
        # By itself: another dispatcher may be recording the rows that this gives up. Lost, it is made up for by the
        # next 410.
        if gone:
            async with self._database.connection() as connection:
                await self._webhooks.disable_endpoints(connection, list(gone), _GONE_REASON)
        for attempt in attempts:
            metrics.WEBHOOK_ATTEMPTS.labels("retried" if attempt.status == "pending" else attempt.status).inc()
            if attempt.status == "dead":
                _log.warning(
                    "webhook_given_up",
                    event_id=str(attempt.claim.event_id),
                    endpoint_id=str(attempt.claim.endpoint_id),
                    error=attempt.error,
                )
        for endpoint_id in gone:
            _log.warning("webhook_endpoint_gone", endpoint_id=str(endpoint_id))

    async def _traced_attempt(self, claim: Claim) -> Attempt:
        # The receiver's address may hold a secret of its own; which endpoint it is tells enough.
        about: dict[str, traces.Attribute] = {
            "grandstand.endpoint": str(claim.endpoint_id),
            "grandstand.attempt": claim.attempts + 1,
        }
        began_at = time.perf_counter()
        with _under_way.track_inprogress(), traces.work("deliver webhook", **about):
            attempt = await self._attempt(claim)
            traces.note(**{"grandstand.outcome": attempt.status})
        metrics.observe("webhook", time.perf_counter() - began_at, is_error=attempt.error is not None)
        return attempt

    async def _attempt(self, claim: Claim) -> Attempt:
        status: int | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._post(claim)
            error = None if _is_success(status) else _explain(status)
        except (TimeoutError, httpcore.TimeoutException):
            error = f"no answer within {self._timeout_seconds:g} seconds"
        except AddressRefusedError as refused:
            error = f"address refused: {refused}"
        except InvalidError as invalid:
            error = f"address refused: {invalid.detail}"
        except httpcore.ProtocolError:
            error = "the answer is not HTTP"
        except (OSError, httpcore.NetworkError) as failed:
            error = f"no connection: {type(failed).__name__}"
        except Exception:  # noqa: BLE001 - one webhook that cannot be sent must not keep its neighbours from it
            _log.exception("webhook_failed", event_id=str(claim.event_id), endpoint_id=str(claim.endpoint_id))
            error = "the fault is in Grandstand's log"
        if error is None:
            return Attempt(claim, "delivered", 0, status, None)
        delay = retry_delay_seconds(self._retry_delays_seconds, claim.attempts + 1, self._randomly)
        if delay is None or status == HTTPStatus.GONE:
            return Attempt(claim, "dead", 0, status, error)
        return Attempt(claim, "pending", delay, status, error)

    async def _post(self, claim: Claim) -> int:
        url = read_webhook_url(claim.url)
        body = write_message(claim.type, claim.created_at, claim.payload)
        async with self._pool.stream(
            "POST",
            httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
            headers=self._headers(claim, url, body),
            content=body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_seconds)},
        ) as response:
            # Its status is the answer. Only a short body is read; the connection of a longer one is closed unread.
            size = 0
            async for part in response.aiter_stream():
                size += len(part)
                if size > _BODY_BYTES_MAX:
                    break
            return response.status

    def _headers(self, claim: Claim, url: WebhookUrl, body: bytes) -> list[tuple[bytes, bytes]]:
        timestamp = int(clock.now().timestamp())
        message_id = str(claim.event_id)
        return [
            (b"Host", url.authority.encode()),
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(body)),
            (b"User-Agent", _USER_AGENT),
            (b"webhook-id", message_id.encode()),
            (b"webhook-timestamp", b"%d" % timestamp),
            (b"webhook-signature", sign(claim.secret, message_id, timestamp, body).encode()),
        ]


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _explain(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"the answer was {status}; redirects are not followed"
    return f"the answer was {status}"
