"""Sends webhooks all the time. Every scheduler does, leading or not: claims keep them out of each other's way."""

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

import structlog

from grandstand.operations.deliver_webhooks import WebhookDeliverer
from grandstand.storage.postgres import Database
from grandstand.storage.webhooks import Claim, WebhookStore
from grandstand.workers.loop import ENGINE_ERRORS

IDLE_SECONDS = 0.5
"""Longest wait of a webhook that is due while nothing else is sent."""

_DELIVERED_DAYS = 3
_ANY_DAYS = 30
_PRUNE_CHUNK = 2_000
_BEFORE_ALL = UUID(int=0)
_log = structlog.get_logger(__name__)


class WebhookDispatcher:
    """Claims what is due and sends it, a batch at a time for each endpoint, so that a slow one holds up only itself."""

    def __init__(self, deliverer: WebhookDeliverer, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._deliverer = deliverer
        self._idle_seconds = idle_seconds
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._is_away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Send until the stop; what was begun by then is finished and recorded."""
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self._wake_at(stop))
            while not stop.is_set():
                self._wake.clear()
                await self._round(group)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._idle_seconds)
            watcher.cancel()

    async def _round(self, group: asyncio.TaskGroup) -> None:
        try:
            batches = await self._deliverer.claim(self._busy.keys())
            self._is_away = False
        except ENGINE_ERRORS as error:
            if not self._is_away:
                _log.warning("webhooks_engine_unreachable", error=str(error) or type(error).__name__)
            self._is_away = True
            return
        for endpoint_id, batch in batches.items():
            self._busy[endpoint_id] = group.create_task(self._deliver(endpoint_id, batch))

    async def _deliver(self, endpoint_id: UUID, batch: Sequence[Claim]) -> None:
        try:
            await self._deliverer.deliver(batch)
        except ENGINE_ERRORS as error:
            # They are sent once more when their claims run out: at least once, under the same ids.
            _log.warning("webhooks_not_recorded", count=len(batch), error=str(error) or type(error).__name__)
        except Exception:  # noqa: BLE001 - the other endpoints go on
            _log.exception("webhooks_failed", endpoint_id=str(endpoint_id), count=len(batch))
        finally:
            del self._busy[endpoint_id]
            self._wake.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


class WebhookPruner:
    """Deletes what was delivered after some days, and what was not after a month."""

    def __init__(self, database: Database, webhooks: WebhookStore) -> None:
        self._database = database
        self._webhooks = webhooks

    async def prune(self) -> None:
        """Walk through all old events once.

        Raises:
            UnavailableError: the database is out of reach.
        """
        after: UUID | None = _BEFORE_ALL
        while after is not None:
            async with self._database.connection() as connection:
                after = await self._webhooks.prune(
                    connection, after, delivered_days=_DELIVERED_DAYS, any_days=_ANY_DAYS, count_max=_PRUNE_CHUNK
                )
