"""Which version of the schema this code needs, and which one the database has; without loading the migration tool."""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import asyncpg

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class SchemaVersion(NamedTuple):
    """What a schema says of itself: its version, and the oldest one whose programs work with it, where it says so."""

    version: str
    works_from: str | None

    @property
    def is_newer(self) -> bool:
        """Whether a newer program has migrated it."""
        return self.version > newest_version()

    @property
    def fits(self) -> bool:
        """Whether this program works with it."""
        if self.is_newer:
            return self.works_from is not None and self.works_from <= newest_version()
        return self.version == newest_version()

    @property
    def reason(self) -> str:
        """Why it does not fit and what helps, as one sentence."""
        known = newest_version()
        if self.is_newer:
            return (
                f"was migrated to {self.version} by a newer version of Grandstand, and this one, of {known}, does not "
                "work with it: run the newer one"
            )
        return f"is at {self.version}, and this version of Grandstand needs {known}: run `grandstand migrate` first"


@cache
def newest_version() -> str:
    """Return the version that the newest migration of this code makes: the last of the modules `vNNNN_….py`."""
    names = [file.name for file in (files(__package__) / "migrations" / "versions").iterdir()]
    return max(name[1:5] for name in names if name.startswith("v"))


async def read_version(connection: "Connection[Any]") -> SchemaVersion | None:
    """Return the version of the schema that the connection sees first; None when no migration has run there."""
    try:
        row = await connection.fetchrow(queries.load("ledger/read_schema_version.sql"))
    except asyncpg.UndefinedTableError:
        return None
    return None if row is None else SchemaVersion(*row)
