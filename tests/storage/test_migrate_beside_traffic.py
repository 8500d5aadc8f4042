"""Migrations beside a deployment that goes on working, and programs beside a schema of another version."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from grandstand import clock
from grandstand.bootstrap.core import EngineUnreachableError, checked_core
from grandstand.operations.apply_events import Applied
from grandstand.settings import Settings
from grandstand.storage.migrate import SCRIPTS, MigrationRefusedError, migrate
from grandstand.storage.migration_waits import LOCK_WAIT_MAX_SECONDS
from grandstand.storage.schema_version import newest_version
from tests.support.core import Core, event, open_core
from tests.support.engines import SCHEMA
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running

pytestmark = pytest.mark.anyio

NEXT = "9001"
BLOCK_EVENTS = 100
EVENTS_PER_SECOND = 2_000

AddMigration = Callable[[str], Path]


@pytest.fixture
def coming(tmp_path: Path) -> AddMigration:
    """Make a folder of migrations with one more than there are: as the next version of the program has it."""

    def add(upgrade: str) -> Path:
        scripts = tmp_path / "migrations"
        shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
        (scripts / "versions" / f"v{NEXT}_next.py").write_text(
            "from alembic import op\nfrom grandstand.storage.migrate import build_index\n"
            f'revision, down_revision = "{NEXT}", "{newest_version()}"\n\ndef upgrade():\n    {upgrade}\n'
        )
        return scripts

    return add


@contextmanager
def holding(database_url: str, statement: str) -> Iterator[psycopg.Connection]:
    """A transaction that keeps the locks of a statement open."""
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}", application_name="a report") as connection:
        connection.execute(statement.encode())
        yield connection


class Pulse:
    """Asks PostgreSQL for nothing all the time: what that takes at most is how long the machine stands still."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.longest_seconds = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        async with self._core.database.connection() as connection:
            while not stop.is_set():
                began = time.monotonic()
                await connection.execute("SELECT 1")
                await asyncio.sleep(0.02)
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


class Timed:
    """An applier that keeps account of how long batches take, and of what fails."""

    def __init__(self, core: Core) -> None:
        self._applier = core.new_applier()
        self.seconds: list[float] = []
        self.failures: list[BaseException] = []

    async def apply(self, blocks: Any) -> Applied:
        began = time.monotonic()
        try:
            return await self._applier.apply(blocks)
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            self.seconds.append(time.monotonic() - began)


class Traffic:
    """Events that come in at a steady rate and count one each on a board, with a worker that takes them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.timed = Timed(core)
        self._pulse = Pulse(core)
        self.sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        began = time.monotonic()
        pulse = asyncio.create_task(self._pulse.run(stop))
        async with running(consumer(self._core, self.timed)):
            while not stop.is_set():
                events = [event(f"p{(self.sent + each) % 50}", event_type="tick") for each in range(BLOCK_EVENTS)]
                await self._core.stream.append(events, [], clock.now())
                self.sent += BLOCK_EVENTS
                await asyncio.sleep(max(0, began + self.sent / EVENTS_PER_SECOND - time.monotonic()))
            await eventually_async(self._is_processed, 60)
        await pulse

    def waited_seconds(self) -> float:
        """How long a batch took at most, but for what the machine may have to do with it."""
        return max(self.timed.seconds) - self._pulse.longest_seconds

    async def _is_processed(self) -> bool:
        return (await self._core.stream.depth()).depth == 0

    async def go_on(self) -> None:
        """Wait until batches that began from now on are done."""
        before = len(self.timed.seconds)
        await eventually_async(lambda: len(self.timed.seconds) >= before + 2, 30)


async def test_nobody_waits_long_for_a_migration_that_waits_for_a_transaction(
    anyio_backend: object, database_url: str, valkey_url: str, valkey_prefix: str, coming: AddMigration
) -> None:
    scripts = coming("op.execute('ALTER TABLE entries ADD COLUMN note text')")
    async with open_core(database_url, valkey_url, valkey_prefix) as core:
        await core.define("ticks", event_type="tick", operator="count", field=None)
        await core.stream.create_group()
        traffic, stop = Traffic(core), asyncio.Event()
        running_traffic = asyncio.create_task(traffic.run(stop))
        await traffic.go_on()
        with holding(database_url, "SELECT FROM entries LIMIT 1") as report:
            with pytest.raises(MigrationRefusedError) as refused:
                await asyncio.to_thread(migrate, database_url, SCHEMA, scripts=scripts, patience_seconds=0.1)
            said = str(refused.value)
            assert f"is at {newest_version()}, and the next migration got no lock within 0.1 s because of" in said
            assert f"pid {report.info.backend_pid} (a report, user grandstand, idle in transaction) since 20" in said
            assert "SELECT FROM entries LIMIT 1" in said
            with structlog.testing.capture_logs() as logs:
                migrating = asyncio.create_task(asyncio.to_thread(migrate, database_url, SCHEMA, scripts=scripts))
                await eventually_async(lambda: any(each["event"] == "migration_waits" for each in logs), 30)
                assert not migrating.done()
                report.rollback()
                await migrating
        await traffic.go_on()
        stop.set()
        await running_traffic
        assert not traffic.timed.failures
        assert traffic.waited_seconds() < LOCK_WAIT_MAX_SECONDS + 2, "the rest is this machine's"
        await core.refresh()
        counted = await core.database.pool.fetchval("SELECT sum(score) FROM entries WHERE note IS NULL")
        assert counted == traffic.sent, "this program went on beside the newer schema"


async def test_an_index_is_built_while_events_come_in(
    anyio_backend: object, database_url: str, valkey_url: str, valkey_prefix: str, coming: AddMigration
) -> None:
    scripts = coming(
        "build_index('entries', 'entries_by_event', '(event_id)')\n    "
        "build_index('events', 'events_by_time', '(occurred_at) WHERE event_type <> $$x$$')"
    )
    async with open_core(database_url, valkey_url, valkey_prefix) as core:
        await core.define("ticks", event_type="tick", operator="count", field=None)
        await core.stream.create_group()
        traffic, stop = Traffic(core), asyncio.Event()
        running_traffic = asyncio.create_task(traffic.run(stop))
        await traffic.go_on()
        with psycopg.connect(database_url, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
            # What a build leaves that was broken off.
            connection.execute("CREATE INDEX entries_by_event ON entries (event_id)")
            connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'entries_by_event'::regclass")
        await asyncio.to_thread(migrate, database_url, SCHEMA, scripts=scripts)
        await traffic.go_on()
        stop.set()
        await running_traffic
        assert not traffic.timed.failures
        assert traffic.waited_seconds() < LOCK_WAIT_MAX_SECONDS + 2
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert await core.database.pool.fetchval(invalid) == 0
        parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_by_time'::regclass"
        async with core.database.connection() as connection:
            partitions = await core.event_log.partitions(connection)
        assert await core.database.pool.fetchval(parts) == len(partitions) > 0
        assert await core.database.pool.fetchval("SELECT sum(score) FROM entries") == traffic.sent


PARTITIONS = "".join(
    f"CREATE TABLE events_2026_{month} PARTITION OF events"
    f" FOR VALUES FROM ('2026-{month}-01') TO ('2026-{month + 1}-01');"
    f"CREATE UNIQUE INDEX events_2026_{month}_id ON events_2026_{month} (id);"
    for month in (10, 11)
)
BY_MOMENT = "build_index('events', 'events_by_moment', '(occurred_at)')"
WRITES = "LOCK TABLE events_2026_10 IN ROW EXCLUSIVE MODE"
"""What every batch does to the open partition; the build of an index on it waits for whoever does it."""
PARTS = """
SELECT c.relname, x.indisvalid FROM pg_index AS x INNER JOIN pg_class AS c ON x.indexrelid = c.oid
WHERE c.relname LIKE '%events_by_moment' ORDER BY 1
"""


@contextmanager
def looking(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees the schema, and each statement of which stands by itself."""
    with psycopg.connect(database_url, options=f"-c search_path={SCHEMA}", autocommit=True) as connection:
        yield connection


async def test_a_partition_leaves_while_an_index_is_built(
    anyio_backend: object, database_url: str, coming: AddMigration
) -> None:
    with looking(database_url) as connection:
        connection.execute(PARTITIONS.encode())
        with holding(database_url, WRITES) as batch:
            migrating = asyncio.create_task(
                asyncio.to_thread(migrate, database_url, SCHEMA, scripts=coming(BY_MOMENT), patience_seconds=60)
            )
            await eventually_async(lambda: len(connection.execute(PARTS).fetchall()) == 2, 30)
            connection.execute("DROP TABLE events_2026_11")
            batch.rollback()
        await migrating
        assert connection.execute(PARTS).fetchall() == [
            ("events_2026_10_events_by_moment", True),
            ("events_by_moment", True),
        ]
        assert connection.execute("SELECT version_num FROM schema_version").fetchone() == (NEXT,)


async def test_an_upgrade_that_is_killed_while_it_builds_an_index_is_run_again(
    anyio_backend: object, database_url: str, coming: AddMigration
) -> None:
    scripts = coming(BY_MOMENT)
    program = (
        "import sys, pathlib; from grandstand.storage.migrate import migrate;"
        "migrate(sys.argv[1], sys.argv[2], scripts=pathlib.Path(sys.argv[3]))"
    )
    with looking(database_url) as connection:
        connection.execute(PARTITIONS.encode())
        with holding(database_url, WRITES):
            killed = subprocess.Popen([sys.executable, "-c", program, database_url, SCHEMA, str(scripts)])
            try:
                await eventually_async(lambda: len(connection.execute(PARTS).fetchall()) == 2, 60)
            finally:
                killed.kill()
                killed.wait()
            # The server notices by itself only when it has something to say.
            ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE %s"
            connection.execute(ended, ("grandstand migrate%",))
        assert [whole for _, whole in connection.execute(PARTS).fetchall()] == [False, False]
        await asyncio.to_thread(migrate, database_url, SCHEMA, scripts=scripts)
        names = ("events_2026_10_events_by_moment", "events_2026_11_events_by_moment", "events_by_moment")
        assert connection.execute(PARTS).fetchall() == [(name, True) for name in names]
        assert connection.execute("SELECT version_num FROM schema_version").fetchone() == (NEXT,)


def test_limits_of_the_user_do_not_apply_to_migrations(database_url: str, coming: AddMigration) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '400ms'".encode())
    migrate(database_url, SCHEMA, scripts=coming("op.execute('SELECT pg_sleep(0.6)')"))
    with psycopg.connect(database_url, autocommit=True, options="-c statement_timeout=0") as connection:
        assert connection.execute("SELECT version_num FROM grandstand.schema_version").fetchone() == (NEXT,)


@pytest.mark.parametrize(
    ("version", "works_from", "said"),
    [
        (NEXT, "0018", None),
        (NEXT, NEXT, f"was migrated to {NEXT} by a newer version of Grandstand, and this one, of {newest_version()}"),
        ("0016", "0016", f"is at 0016, and this version of Grandstand needs {newest_version()}: run `grandstand migr"),
    ],
)
async def test_a_program_says_which_schemas_it_works_with(
    anyio_backend: object, settings: Settings, database_url: str, version: str, works_from: str, said: str | None
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE grandstand.schema_version SET (version_num, works_from) = (%s, %s)",
                           (version, works_from))  # fmt: skip
    if said is None:
        migrate(database_url, SCHEMA)
        async with checked_core(settings) as core:
            await core.definer().ensure_global()
        return
    with pytest.raises(EngineUnreachableError) as refused:
        async with checked_core(settings):
            pass
    assert said in str(refused.value)
