"""What happens before any role runs: engines are there, the schema is current, `global` and the first keys exist."""

from contextlib import AsyncExitStack

import psycopg

from grandstand.bootstrap.core import EngineUnreachableError, first_line, open_core, require_url
from grandstand.domain.credentials import KeyKind
from grandstand.operations import first_keys
from grandstand.settings import Settings
from grandstand.storage import migrate as migrations


async def check_engines(settings: Settings) -> None:
    """Connect to both engines once.

    Raises:
        EngineUnreachableError: one is not set, out of reach, or keeps no promises (Valkey without fsync).

    """
    async with AsyncExitStack() as stack:
        await open_core(settings, stack)


def migrate(settings: Settings) -> None:
    """Bring the schema to this version. Several processes may call this at once.

    Raises:
        EngineUnreachableError: PostgreSQL is not set or out of reach.

    """
    database_url = require_url(settings, "database_url")
    try:
        migrations.migrate(database_url, settings.database_schema)
    except psycopg.OperationalError as error:
        raise EngineUnreachableError(f"PostgreSQL cannot be reached: {first_line(error)}.") from error


def check_schema(settings: Settings) -> None:
    """Make sure that the schema is of this version.

    Raises:
        EngineUnreachableError: it is not (run `grandstand migrate`), or PostgreSQL is not set or out of reach.

    """
    database_url = require_url(settings, "database_url")
    try:
        is_current = migrations.is_current(database_url, settings.database_schema)
    except psycopg.OperationalError as error:
        raise EngineUnreachableError(f"PostgreSQL cannot be reached: {first_line(error)}.") from error
    if not is_current:
        raise EngineUnreachableError(
            f"The schema {settings.database_schema!r} is not of this version; run `grandstand migrate` first."
        )


async def ensure_first_keys(settings: Settings) -> dict[KeyKind, str]:
    """Create `global` and whatever keys are missing; return the keys made just now. They are never shown again.

    Raises:
        EngineUnreachableError: an engine is not set or out of reach.

    """
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        await core.definer().ensure_global()
        return await first_keys.ensure_first_keys(core.database, settings)
