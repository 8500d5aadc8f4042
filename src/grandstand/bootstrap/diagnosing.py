"""One look at how a deployment is set up: each engine by itself, for it may be the one that does not work."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from valkey.exceptions import ValkeyError

from grandstand.bootstrap.core import keeps_sessions, require_url, said_first
from grandstand.diagnosis.advice import Advice
from grandstand.diagnosis.archive import find_archived_file, look_at_archive, look_at_owner, read_marker
from grandstand.diagnosis.environment import look_at_names
from grandstand.diagnosis.machine import look_at_machine
from grandstand.diagnosis.postgres import look_at_postgres
from grandstand.diagnosis.replicas import look_at_replica
from grandstand.diagnosis.valkey import look_at_streams, look_at_valkey
from grandstand.domain.errors import UnavailableError, first_line
from grandstand.settings import Settings, replica_urls
from grandstand.storage.archive_tokens import ArchiveTokens, token_in
from grandstand.storage.postgres import OUT_OF_REACH, Database, open_pool
from grandstand.storage.valkey import open_valkey

_UNUSABLE = (*OUT_OF_REACH, UnavailableError, ValueError, asyncpg.PostgresError)


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
        async with _opened(require_url(settings, "database_url"), settings) as database:
            fits = False
            async for advice in look_at_postgres(database, settings):
                fits = fits or (advice.check == "schema" and advice.status == "ok")
                yield advice
            if settings.archive_url is not None and fits:
                async for advice in _archive(database, settings.archive_url):
                    yield advice
            for number, url in enumerate(replica_urls(settings), start=1):
                async for advice in _replica(f"replica_{number}", url, database, settings):
                    yield advice
    except _UNUSABLE as error:
        yield Advice(
            "postgres", "failed", f"It cannot be used: {first_line(error)}.",
            "Start it, and see that GRANDSTAND_DATABASE_URL leads to it.",
        )  # fmt: skip


async def _archive(database: Database, url: str) -> AsyncIterator[Advice]:
    async with database.connection() as connection:
        name = await find_archived_file(connection)
    yield await asyncio.to_thread(look_at_archive, url, name)
    try:
        marker = await asyncio.to_thread(read_marker, url)
    except (OSError, UnavailableError):
        # The look before this one said so; PostgreSQL is not what is away.
        return
    async with database.connection() as connection:
        sight = await ArchiveTokens().look(connection, token_in(marker))
    try:
        yield await asyncio.to_thread(look_at_owner, url, marker, sight)
    except OSError:
        # The look before this one said so.
        return


async def _replica(name: str, url: str, primary: Database, settings: Settings) -> AsyncIterator[Advice]:
    try:
        async with _opened(url, settings) as replica:
            async for advice in look_at_replica(name, replica, primary, settings.database_replica_lag_max_seconds):
                yield advice
    except _UNUSABLE as error:
        yield Advice(
            name, "warning", f"It cannot be used: {first_line(error)}. Reads go to the primary.",
            "Start it, and see that GRANDSTAND_DATABASE_REPLICA_URL leads to it.",
        )  # fmt: skip


@asynccontextmanager
async def _opened(url: str, settings: Settings) -> AsyncIterator[Database]:
    pool = await open_pool(
        url,
        schema=settings.database_schema,
        size_min=1,
        size_max=1,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        application_name="grandstand doctor",
        keeps_sessions=keeps_sessions(settings),
    )
    try:
        yield Database(pool, settings.database_acquire_timeout_seconds, local_settings=said_first(settings))
    finally:
        await pool.close()


async def _valkey(settings: Settings) -> AsyncIterator[Advice]:
    client = open_valkey(require_url(settings, "valkey_url"), timeout_seconds=settings.valkey_timeout_seconds)
    try:
        async for advice in look_at_valkey(client):
            yield advice
        async for advice in look_at_streams(client, settings.event_streams):
            yield advice
    except (ValkeyError, OSError) as error:
        yield Advice(
            "valkey", "failed", f"It cannot be used: {first_line(error)}.",
            "Start it, and see that GRANDSTAND_VALKEY_URL leads to it.",
        )  # fmt: skip
    finally:
        await client.aclose()
