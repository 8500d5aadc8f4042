"""A deployment of every version there was comes to the schema of a fresh one, and what it holds is right and served.

`versions/NNNN.sql` holds rows that became possible with a version, and `each.sql` a board named after one. One database
grows through all versions and has both of each. Copies of it that were made on the way come to the newest in one go.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.storage.migrate import SCRIPTS, migrate
from grandstand.storage.stream_history import StreamHistory, StreamMark
from tests.storage.test_migrate import LEDGER, SEQUENCES, describe
from tests.support.core import open_core
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.invariants import check_invariants

# The first of them waits for all versions.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

ROWS = Path(__file__).parent / "versions"
VERSIONS = sorted(path.name[1:5] for path in (SCRIPTS / "versions").glob("v*.py"))
NEWEST = VERSIONS[-1]
COPIED = VERSIONS[:-1:4]
FIRST_WITH_ROLLUPS = "0016"
FIRST_WITH_MARKS = "0008"


@dataclass(frozen=True)
class Deployment:
    """A database of a version, with the keys of the boards of that version and of all before it."""

    name: str
    boards: list[str]


@pytest.fixture(scope="module")
def deployments(engines: RunningEngines) -> Iterator[dict[str, Deployment]]:
    """By version: the one that grew through all of them, and copies that were made of it."""
    grown = engines.create_database()
    url = engines.database_url(grown)
    boards: list[str] = []
    found: dict[str, Deployment] = {}
    try:
        for version in VERSIONS:
            migrate(url, SCHEMA, target=version)
            fill(url, version)
            # That of the first version stands among its rows, for rankings were another thing.
            if version != VERSIONS[0]:
                fill(url, "each", *(["counted"] if version >= FIRST_WITH_ROLLUPS else []), version=f"v{version}")
            boards.append(f"v{version}")
            if version in COPIED:
                found[version] = Deployment(engines.create_database(grown), [*boards])
        yield found | {NEWEST: Deployment(grown, boards)}
    finally:
        for name in (grown, *(each.name for each in found.values())):
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


@pytest.mark.parametrize("version", [NEWEST, *COPIED])
async def test_it_comes_to_the_newest(
    anyio_backend: object,
    engines: RunningEngines,
    deployments: dict[str, Deployment],
    fresh: dict[str, list[tuple[object, ...]]],
    valkey_url: str,
    valkey_prefix: str,
    version: str,
) -> None:
    url = engines.database_url(deployments[version].name)
    migrate(url, SCHEMA)
    upgraded = describe(url)
    for query in fresh.keys() - {SEQUENCES, LEDGER}:
        assert [row for row in upgraded[query] if "events_2024_10" not in str(row)] == fresh[query]
    async with open_core(url, valkey_url, valkey_prefix) as core:
        await core.refresh()
        async with core.database.connection() as connection:
            mark = StreamMark("before", 7, 2) if version >= FIRST_WITH_MARKS else None
            assert await StreamHistory().read_marks(connection) == {0: mark}
        await EventCounter(core.database, core.event_log).count()
        await check_invariants(core)
        for key in deployments[version].boards:
            page = await core.reader.page(key)
            assert [(entry.user_id, entry.score) for entry in page.entries] == [
                (f"p{score}", score) for score in (5, 4, 3, 2, 1)
            ]
