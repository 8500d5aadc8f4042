"""Grandstand's parts in this process, on a schema and keys of their own beside those of the deployment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bench.suite import Suite
from grandstand.bootstrap.core import Core, open_core
from grandstand.settings import load_settings
from grandstand.storage.migrate import migrate


@asynccontextmanager
async def own_core(suite: Suite, name: str, statement_timeout_seconds: float = 60.0) -> AsyncIterator[Core]:
    """Open the parts on a new schema and key prefix; both are removed at the end. No other process works on them."""
    schema = f"bench_{name}"
    await asyncio.to_thread(migrate, suite.database_url, schema)
    settings = load_settings(
        database_url=suite.database_url,
        database_schema=schema,
        database_pool_min=1,
        database_pool_max=3,
        database_statement_timeout_seconds=statement_timeout_seconds,
        valkey_url=suite.deployment.state.valkey_url,
        valkey_prefix=schema,
        valkey_timeout_seconds=30.0,
    )
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        try:
            yield core
        finally:
            await forget_keys(core)
            async with core.database.connection() as connection:
                await connection.execute(f"DROP SCHEMA {schema} CASCADE")


async def forget_keys(core: Core) -> None:
    """Remove every key of the prefix."""
    keys = [key async for key in core.valkey.scan_iter(f"{core.settings.valkey_prefix}:*", count=1000)]
    for start in range(0, len(keys), 500):
        await core.valkey.unlink(*keys[start : start + 500])
