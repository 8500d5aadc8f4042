"""A deployment of every version there was comes to the schema of a fresh one, and what it holds is right and served.

`versions/NNNN.sql` holds rows that became possible with a version, `each.sql` what is added at every one. A database
grows through all versions and is copied at each, so a copy holds rows that all versions until then have written.
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


def rows_of(version: str) -> list[str]:
    """The scripts that fill a database of a version, in their order."""
    names = [*(["each"] if version != VERSIONS[0] else []), version]
    names += ["counted"] if version >= FIRST_WITH_ROLLUPS else []
    texts = {name: (ROWS / f"{name}.sql").read_text() for name in names if (ROWS / f"{name}.sql").exists()}
    return [text.format(version=f"v{version}") if name in ("each", "counted") else text for name, text in texts.items()]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_is_brought_to_the_newest(
    anyio_backend: object,
    engines: RunningEngines,
    growing: str,
    database_url: str,
    valkey_url: str,
    valkey_prefix: str,
    version: str,
) -> None:
    migrate(engines.database_url(growing), SCHEMA, target=version)
    with psycopg.connect(engines.database_url(growing), options=f"-c search_path={SCHEMA}") as connection:
        for text in rows_of(version):
            for statement in text.split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())
    name = engines.create_database(growing)
    try:
        url = engines.database_url(name)
        migrate(url, SCHEMA)
        upgraded, fresh = describe(url), describe(database_url)
        for query in upgraded.keys() - {SEQUENCES, LEDGER}:
            expected = [row for row in fresh[query] if "events_2024_10" not in str(row)]
            assert [row for row in upgraded[query] if "events_2024_10" not in str(row)] == expected
        async with open_core(url, valkey_url, valkey_prefix) as core:
            await core.refresh()
            await EventCounter(core.database, core.event_log).count()
            await check_invariants(core)
            for each in VERSIONS[: VERSIONS.index(version) + 1]:
                page = await core.reader.page(f"v{each}")
                assert [(entry.user_id, entry.score) for entry in page.entries] == [
                    (f"p{score}", score) for score in (5, 4, 3, 2, 1)
                ]
    finally:
        engines.drop_database(name)
