"""One look at how a deployment is set up: each engine by itself, for it may be the one that does not work."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from valkey.exceptions import ValkeyError

from grandstand.bootstrap.core import first_line, keeps_sessions, require_url, said_first
from grandstand.diagnosis.advice import Advice
from grandstand.diagnosis.environment import look_at_names
from grandstand.diagnosis.machine import look_at_machine
from grandstand.diagnosis.postgres import look_at_postgres
from grandstand.diagnosis.valkey import look_at_valkey
from grandstand.domain.errors import UnavailableError
from grandstand.settings import Settings
from grandstand.storage.postgres import OUT_OF_REACH, Database, open_pool
from grandstand.storage.valkey import open_valkey


async def diagnose(settings: Settings, data_dir: Path | None) -> AsyncIterator[Advice]:
    """Look at the settings, the machine and both engines; an engine out of reach is a finding."""
    for advice in (*look_at_names(os.environ), *look_at_machine(data_dir)):
        yield advice
    async for advice in _postgres(settings):
        yield advice
    async for advice in _valkey(settings):
        yield advice


async def _postgres(settings: Settings) -> AsyncIterator[Advice]:
    try:
        pool = await open_pool(
            require_url(settings, "database_url"),
            schema=settings.database_schema,
            size_min=1,
            size_max=1,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
            application_name="grandstand doctor",
            keeps_sessions=keeps_sessions(settings),
        )
        try:
            database = Database(pool, settings.database_acquire_timeout_seconds, local_settings=said_first(settings))
            async for advice in look_at_postgres(database, settings):
                yield advice
        finally:
            await pool.close()
    except (*OUT_OF_REACH, UnavailableError, ValueError, asyncpg.PostgresError) as error:
        yield Advice(
            "postgres", "failed", f"It cannot be used: {first_line(error)}.",
            "Start it, and see that GRANDSTAND_DATABASE_URL leads to it.",
        )  # fmt: skip


async def _valkey(settings: Settings) -> AsyncIterator[Advice]:
    client = open_valkey(require_url(settings, "valkey_url"), timeout_seconds=settings.valkey_timeout_seconds)
    try:
        async for advice in look_at_valkey(client):
            yield advice
    except (ValkeyError, OSError) as error:
        yield Advice(
            "valkey", "failed", f"It cannot be used: {first_line(error)}.",
            "Start it, and see that GRANDSTAND_VALKEY_URL leads to it.",
        )  # fmt: skip
    finally:
        await client.aclose()
