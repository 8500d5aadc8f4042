"""A dispatcher in a process of its own, for a test to kill: `python -m tests.webhooks.dispatcher_process URL`."""

import asyncio
import sys

from grandstand.operations.deliver_webhooks import WebhookDeliverer
from grandstand.operations.webhook_connections import AddressGuard, SystemResolver
from grandstand.storage.postgres import Database, open_pool
from grandstand.storage.webhooks import WebhookStore
from grandstand.workers.webhook_dispatcher import WebhookDispatcher
from tests.support.engines import SCHEMA


async def main(database_url: str) -> None:
    pool = await open_pool(
        database_url,
        schema=SCHEMA,
        size_min=1,
        size_max=2,
        statement_timeout_seconds=30,
        application_name="killed",
    )
    guard = AddressGuard(SystemResolver(), allow_private=True)
    deliverer = WebhookDeliverer(Database(pool, 10), WebhookStore(), guard, claim_seconds=60)
    await WebhookDispatcher(deliverer).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
