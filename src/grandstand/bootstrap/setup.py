"""What happens before any role runs: engines are there, the schema is current, `global` and the first keys exist."""

from contextlib import AsyncExitStack

from grandstand.bootstrap.core import EngineUnreachableError, open_core, require_url
from grandstand.domain.credentials import KeyKind
from grandstand.domain.errors import first_line
from grandstand.operations import first_keys
from grandstand.settings import Settings


async def check_engines(settings: Settings) -> None:
    """Connect to both engines once.

    Raises:
        EngineUnreachableError: one is not set, out of reach, or keeps no promises (Valkey without fsync).

    """
    async with AsyncExitStack() as stack:
        await open_core(settings, stack)


def migrate(settings: Settings, *, patience_seconds: float) -> None:
    """Bring the schema to this version. Several processes may call this at once.

    Raises:
        EngineUnreachableError: PostgreSQL is not set, out of reach, or does not let itself be migrated.

    """
    # Loaded here: only this needs the migration tool, and it weighs as much as all the rest.
    import psycopg

    from grandstand.storage import migrate as migrations

    database_url = require_url(settings, "database_url")
    try:
        migrations.migrate(database_url, settings.database_schema, patience_seconds=patience_seconds)
    except psycopg.OperationalError as error:
        raise EngineUnreachableError(f"PostgreSQL cannot be reached: {first_line(error)}.") from error
    except migrations.MigrationRefusedError as error:
        raise EngineUnreachableError(str(error)) from error


async def ensure_first_keys(settings: Settings) -> dict[KeyKind, str]:
    """Create `global` and whatever keys are missing; return the keys made just now. They are never shown again.

    Raises:
        EngineUnreachableError: an engine is not set or out of reach.

    """
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        await core.definer().ensure_global()
        return await first_keys.ensure_first_keys(core.database, settings)
