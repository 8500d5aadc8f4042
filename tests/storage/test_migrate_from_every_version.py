"""A deployment of every version there was comes to the schema of a fresh one, and what it holds is right and served.

`versions/NNNN.sql` holds rows that became possible with a version. A database grows through all versions and is copied
at each, so a copy holds what all versions until then have written; `each.sql` adds a board to the copy.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.storage.migrate import SCRIPTS, migrate
from tests.storage.test_migrate import LEDGER, SEQUENCES, describe
from tests.support.core import open_core
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.invariants import check_invariants

pytestmark = pytest.mark.anyio

ROWS = Path(__file__).parent / "versions"
VERSIONS = sorted(path.name[1:5] for path in (SCRIPTS / "versions").glob("v*.py"))
FIRST_WITH_ROLLUPS = "0016"


@pytest.fixture(scope="module")
def growing(engines: RunningEngines) -> Iterator[str]:
    """Name of the database that grows from version to version."""
    name = engines.create_database()
    yield name
    engines.drop_database(name)


@pytest.fixture(scope="module")
def fresh(engines: RunningEngines, template_database: str) -> dict[str, list[tuple[object, ...]]]:
    """The schema of a new deployment."""
    return describe(engines.database_url(template_database))


def fill(url: str, *names: str, version: str = "") -> None:
    """Run those of the scripts that exist."""
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection:
        for name in names:
            path = ROWS / f"{name}.sql"
            # A statement at a time: some go by the time of the one before.
            for statement in path.read_text().split(";\n") if path.exists() else ():
                connection.execute(statement.replace("VERSION", version).encode())


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_is_brought_to_the_newest(
    anyio_backend: object,
    engines: RunningEngines,
    growing: str,
    fresh: dict[str, list[tuple[object, ...]]],
    valkey_url: str,
    valkey_prefix: str,
    version: str,
) -> None:
    migrate(engines.database_url(growing), SCHEMA, target=version)
    fill(engines.database_url(growing), version)
    name = engines.create_database(growing)
    try:
        url = engines.database_url(name)
        if version != VERSIONS[0]:
            fill(url, "each", *(["counted"] if version >= FIRST_WITH_ROLLUPS else []), version=f"v{version}")
        migrate(url, SCHEMA)
        upgraded = describe(url)
        for query in fresh.keys() - {SEQUENCES, LEDGER}:
            assert [row for row in upgraded[query] if "events_2024_10" not in str(row)] == fresh[query]
        async with open_core(url, valkey_url, valkey_prefix) as core:
            await core.refresh()
            await EventCounter(core.database, core.event_log).count()
            await check_invariants(core)
            for key in ("v0001", f"v{version}"):
                page = await core.reader.page(key)
                assert [(entry.user_id, entry.score) for entry in page.entries] == [
                    (f"p{score}", score) for score in (5, 4, 3, 2, 1)
                ]
    finally:
        engines.drop_database(name)
