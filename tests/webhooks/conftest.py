"""Webhooks on a real database with a real receiver: parts that a test drives itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest

from grandstand.operations.deliver_webhooks import WebhookDeliverer
from grandstand.operations.manage_webhooks import WebhookManager
from grandstand.operations.webhook_connections import AddressGuard, Resolver, SystemResolver
from grandstand.operations.webhook_views import DeliveryView, WebhookCreated
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Database, open_pool
from grandstand.storage.webhooks import WebhookStore
from grandstand.workers.webhook_dispatcher import WebhookDispatcher
from tests.support.engines import SCHEMA, RunningEngines
from tests.webhooks.receiver import Receiver, receiving


@dataclass
class Hooks:
    """What a process has of webhooks, and the receiver they go to."""

    database: Database
    database_url: str
    receiver: Receiver
    resolver: SystemResolver
    stack: AsyncExitStack

    def __post_init__(self) -> None:
        self.store = WebhookStore()
        self.outbox = Outbox()
        self.manager = self.new_manager(allow_private=True)

    def new_manager(self, resolve: Resolver | None = None, *, allow_private: bool = False) -> WebhookManager:
        guard = AddressGuard(resolve or self.resolver, allow_private=allow_private)
        return WebhookManager(self.database, self.store, self.outbox, guard)

    def new_deliverer(
        self, resolve: Resolver | None = None, *, allow_private: bool = True, **options: Any
    ) -> WebhookDeliverer:
        """A deliverer that is closed with the test."""
        guard = AddressGuard(resolve or self.resolver, allow_private=allow_private)
        deliverer = WebhookDeliverer(self.database, self.store, guard, randomly=Random(1), **options)
        self.stack.push_async_callback(deliverer.close)
        return deliverer

    @asynccontextmanager
    async def dispatching(self, *deliverers: WebhookDeliverer) -> AsyncIterator[None]:
        """A dispatcher for each deliverer (one with usual options when none is given), stopped in an orderly way."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for deliverer in deliverers or (self.new_deliverer(),):
                group.create_task(WebhookDispatcher(deliverer, idle_seconds=0.02).run(stop))
            try:
                yield
            finally:
                stop.set()

    async def create(self, path: str = "/hook", *event_types: str) -> WebhookCreated:
        request = {"url": self.receiver.url(path), "event_types": event_types}
        return await self.manager.create(msgspec.json.encode(request))

    async def add(self, *payloads: dict[str, Any], event_type: Any = "prize.awarded") -> list[UUID]:
        async with self.database.transaction() as connection:
            return await self.outbox.add_many(connection, [(event_type, payload) for payload in payloads])

    async def round(self, deliverer: WebhookDeliverer) -> int:
        """Deliver once all that is due; return how many deliveries were tried."""
        batches = await deliverer.claim(())
        for batch in batches.values():
            await deliverer.deliver(batch)
        return sum(len(batch) for batch in batches.values())

    async def deliveries(self, status: str | None = None) -> Sequence[DeliveryView]:
        return (await self.manager.deliveries(status=status, limit=1000)).deliveries

    async def now(self) -> datetime:
        """What time the database says it is."""
        moment: datetime = await self.database.pool.fetchval("SELECT clock_timestamp()")
        return moment

    async def make_due(self) -> None:
        """Let the time of the next attempt come for all that is pending."""
        await self.database.pool.execute("UPDATE webhook_deliveries SET next_attempt_at = now()")


@pytest.fixture(scope="module")
def module_database_url(engines: RunningEngines, template_database: str) -> Iterator[str]:
    """A database for the tests of a module."""
    name = engines.create_database(template_database)
    yield engines.database_url(name)
    engines.drop_database(name)


@pytest.fixture(scope="module")
async def module_database(anyio_backend: Any, module_database_url: str) -> AsyncIterator[Database]:
    """Connections to it."""
    pool = await open_pool(
        module_database_url,
        schema=SCHEMA,
        size_min=1,
        size_max=8,
        statement_timeout_seconds=30,
        application_name="tests",
    )
    yield Database(pool, 10)
    await pool.close()


@pytest.fixture
async def hooks(module_database: Database, module_database_url: str) -> AsyncIterator[Hooks]:
    """Webhooks as after a first start."""
    await module_database.pool.execute("TRUNCATE webhook_deliveries, webhook_events, webhook_endpoints")
    resolver = SystemResolver()
    async with AsyncExitStack() as stack, receiving() as receiver:
        stack.callback(resolver.close)
        yield Hooks(module_database, module_database_url, receiver, resolver, stack)
