"""Which version of the schema this code needs, and which one the database has; without loading the migration tool."""

from functools import cache
from importlib.resources import files
from typing import Any

import asyncpg

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


@cache
def newest_version() -> str:
    """Return the version that the newest migration of this code makes: the last of the files in `sql/migrations/`."""
    names = [file.name for file in (files(__package__) / "sql" / "migrations").iterdir()]
    return max(name.removesuffix(".sql") for name in names)


async def read_version(connection: "Connection[Any]") -> str | None:
    """Return the version of the schema that the connection sees first; None when no migration has run there."""
    try:
        version: str | None = await connection.fetchval(queries.load("ledger/read_schema_version.sql"))
    except asyncpg.UndefinedTableError:
        return None
    return version
