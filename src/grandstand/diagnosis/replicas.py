"""Read replicas: whether they copy this primary, and are near enough behind it to be asked."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from grandstand.diagnosis.advice import Advice, judged
from grandstand.storage import queries
from grandstand.storage.postgres import Database
from grandstand.storage.schema_version import newest_version, read_version

_WAIT_SECONDS_MAX = 5.0
_LOOK_SECONDS = 0.1
_NOT_USED = "Reads go to the primary meanwhile."


async def look_at_replica(
    name: str, replica: Database, primary: Database, lag_max_seconds: float
) -> AsyncIterator[Advice]:
    """Judge a replica beside its primary.

    Raises:
        UnavailableError: one of them is out of reach.
    """
    async with primary.connection() as connection:
        place = await connection.fetchval(queries.load("replicas/primary_position.sql"))
        (ours,) = await connection.fetch(queries.load("diagnosis/server_identity.sql"))
    asked_at = time.monotonic()
    async with replica.connection() as connection:
        (its,) = await connection.fetch(queries.load("diagnosis/server_identity.sql"))
        version = await read_version(connection)
        yield judged(
            name,
            its["is_replica"],
            "It answers, and is a replica." if its["is_replica"] else "It is no replica, and is not asked.",
            f"Let GRANDSTAND_DATABASE_REPLICA_URL lead to a replica. {_NOT_USED}",
            otherwise="warning",
        )
        yield judged(
            f"{name}_source",
            its["system_identifier"] == ours["system_identifier"],
            "It copies this primary."
            if its["system_identifier"] == ours["system_identifier"]
            else "It belongs to another cluster: what it shows is somebody else's.",
            "Make it anew with pg_basebackup from the primary of GRANDSTAND_DATABASE_URL.",
        )
        yield judged(
            f"{name}_version",
            its["major"] == ours["major"] and version is not None and version.fits,
            f"PostgreSQL {its['major']} (the primary: {ours['major']}), schema {version and version.version} (wanted: "
            f"{newest_version()}).",
            f"Let it catch up with the migrated primary, of the same version. {_NOT_USED}",
            otherwise="warning",
        )
        if its["is_replica"]:
            behind = await _bytes_behind(connection, place, asked_at + min(lag_max_seconds, _WAIT_SECONDS_MAX))
            waited = time.monotonic() - asked_at
            yield judged(
                f"{name}_lag",
                behind <= 0,
                f"It showed the primary's state after {waited:.1f} s."
                if behind <= 0
                else f"It lacks {behind:,} bytes of the log after {waited:.1f} s.",
                f"Look at its load, its disk and pg_stat_replication of the primary. {_NOT_USED}",
                otherwise="warning",
            )


async def _bytes_behind(connection: Any, place: int, until: float) -> int:
    """Return how much of the log up to `place` is not replayed at the latest moment, or 0 as soon as all is."""
    while True:
        replayed: int | None = await connection.fetchval(queries.load("replicas/replica_position.sql"))
        behind = place - (replayed or 0)
        if behind <= 0 or time.monotonic() > until:
            return max(0, behind)
        await asyncio.sleep(_LOOK_SECONDS)
