"""PostgreSQL: version, schema, what it does before it says that something is written, room, clock."""

from collections.abc import AsyncIterator

from grandstand import clock
from grandstand.diagnosis.advice import Advice, judged
from grandstand.diagnosis.clocks import look_at_clock
from grandstand.diagnosis.environment import look_at_connections
from grandstand.domain.partitions import list_faults
from grandstand.settings import Settings
from grandstand.storage import queries
from grandstand.storage.event_log import EventLog
from grandstand.storage.postgres import Database
from grandstand.storage.schema_version import newest_version, read_version

OLDEST = 15
_BUSY_SHARE = 0.8


async def look_at_postgres(database: Database, settings: Settings) -> AsyncIterator[Advice]:
    """Judge the server and the schema.

    Raises:
        UnavailableError: the server is out of reach.
    """
    async with database.connection() as connection:
        asked_at = clock.now()
        (facts,) = await connection.fetch(queries.load("diagnosis/server_facts.sql"))
        answered_at = clock.now()
        version = await read_version(connection)
        partitions = await EventLog().partitions(connection) if version is not None else []
    yield judged(
        "postgres_version",
        facts["version_number"] // 10_000 >= OLDEST,
        f"PostgreSQL {facts['version']}.",
        f"Upgrade it to {OLDEST} or newer.",
    )
    yield judged(
        "postgres_role",
        not facts["is_replica"],
        "It is a replica, and cannot be written." if facts["is_replica"] else "It is the primary.",
        "Let GRANDSTAND_DATABASE_URL lead to the primary.",
    )
    yield judged(
        "schema",
        version is not None and version.fits,
        f"The schema is of version {version and version.version}, this program of version {newest_version()}.",
        "Run the newer version of Grandstand that has migrated it."
        if version is not None and version.is_newer
        else "Run `grandstand migrate`.",
    )
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        yield judged(
            f"postgres_{name}",
            facts[name] != "off",
            f"{name} is {facts[name]}.",
            f"Set {name} = on: a crash may lose what has left the stream already.",
        )
    yield judged(
        "postgres_autovacuum",
        facts["autovacuum"] == "on",
        f"autovacuum is {facts['autovacuum']}.",
        "Set autovacuum = on: tables grow and queries slow down without it.",
        otherwise="warning",
    )
    yield look_at_connections(settings, facts["connections_max"])
    yield judged(
        "postgres_connections",
        facts["connections"] < _BUSY_SHARE * facts["connections_max"],
        f"{facts['connections']} of {facts['connections_max']} connections are open.",
        "Find out who holds them (pg_stat_activity), raise max_connections, or put PgBouncer in between.",
        otherwise="warning",
    )
    if version is not None:
        faults = list_faults(partitions, asked_at)
        yield judged(
            "partitions",
            not faults,
            f"Wrong: {'; '.join(faults)}." if faults else "Those of today and of what follows exist.",
            "Run a scheduler (`grandstand serve --role scheduler`): it makes them.",
        )
    yield look_at_clock("postgres_clock", facts["server_time"], asked_at, answered_at)
