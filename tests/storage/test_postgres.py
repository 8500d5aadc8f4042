"""What a connection of the pool is, whatever the server's own defaults are, and what its absence looks like."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import psycopg
import pytest
from structlog.testing import capture_logs

from grandstand.domain.errors import UnavailableError
from grandstand.storage.postgres import WAITING_PER_CONNECTION_MAX, Database, open_pool
from grandstand.storage.replicas import Replica, ReplicaWatch
from tests.support.core import Core
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio


async def open_here(url: str, **options: float) -> asyncpg.Pool:
    values = {"size_min": 1, "size_max": 1, "statement_timeout_seconds": 30} | options
    return await open_pool(url, schema=SCHEMA, application_name="tests", **values)  # type: ignore[arg-type]


async def test_the_database_s_own_defaults_do_not_matter(database_url: str) -> None:
    """A snapshot older than the ledger lock would not see what others stored before it: ids would count twice."""
    name = database_url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting in ("default_transaction_isolation TO 'repeatable read'", "timezone TO 'Asia/Tokyo'"):
            connection.execute(f"ALTER DATABASE {name} SET {setting}")  # type: ignore[arg-type]
    pool = await open_here(database_url)
    try:
        async with Database(pool, 5).transaction() as connection:
            assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
            assert await connection.fetchval("SHOW timezone") == "UTC"
            assert await connection.fetchval("SHOW search_path") == SCHEMA
    finally:
        await pool.close()


async def test_no_free_connection_is_unavailable(core_database_url: str) -> None:
    pool = await open_here(core_database_url)
    try:
        database = Database(pool, 0.05)
        async with database.connection():
            with pytest.raises(UnavailableError):
                async with database.connection():
                    pass
        async with Database(pool, 10).connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        await pool.close()


async def test_a_crowd_at_a_full_pool_is_refused_and_the_pool_works_on(core_database_url: str) -> None:
    pool = await open_here(core_database_url)
    try:
        database = Database(pool, 60)

        async def ask() -> int:
            async with database.connection() as connection:
                return int(await connection.fetchval("SELECT 1"))

        async with database.connection():
            waiting = [asyncio.create_task(ask()) for _ in range(WAITING_PER_CONNECTION_MAX)]
            await eventually_async(lambda: database.waiting == len(waiting), what="all wait")
            with pytest.raises(UnavailableError):
                await ask()
        assert await asyncio.gather(*waiting) == [1] * len(waiting)
    finally:
        await pool.close()


async def test_a_pool_of_reads_cannot_write(core_database_url: str) -> None:
    pool = await open_pool(
        core_database_url,
        schema=SCHEMA,
        size_min=0,
        size_max=1,
        statement_timeout_seconds=30,
        application_name="tests",
        only_reads=True,
    )
    try:
        assert await pool.fetchval("SELECT count(*) >= 0 FROM players")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await pool.execute("DELETE FROM players")
    finally:
        await pool.close()


async def test_a_statement_that_takes_too_long_is_unavailable(core_database_url: str) -> None:
    pool = await open_here(core_database_url, statement_timeout_seconds=0.1)
    try:
        with pytest.raises(UnavailableError):
            async with Database(pool, 5).transaction() as connection:
                await connection.execute("SELECT pg_sleep(60)")
    finally:
        await pool.close()


async def test_a_lost_connection_is_unavailable_and_replaced(core: Core) -> None:
    with pytest.raises(UnavailableError):
        async with core.database.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    async with core.database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_replica_that_cannot_be_asked_is_away_and_said_so_once(core: Core, core_database_url: str) -> None:
    """From the first look on, whatever is wrong: reads go on, and other replicas are looked at."""
    wrong = (f"{core_database_url}&sslmode=sometimes", "postgresql:///nowhere?host=/nowhere")
    pools = [await open_here(url, size_min=0) for url in wrong]
    try:
        replicas = [Replica(Database(pool, 5, f"replica-{number}")) for number, pool in enumerate(pools)]
        watch = ReplicaWatch(core.database, replicas, 5)
        with capture_logs() as logs:
            for _ in range(3):
                await watch.look()
        assert [replica.is_up for replica in replicas] == [False, False]
        assert [(log["event"], log["replica"]) for log in logs] == [
            ("replica_away", "replica-0"), ("replica_away", "replica-1")
        ]  # fmt: skip
        assert "ClientConfigurationError" in logs[0]["reason"]
    finally:
        for pool in pools:
            await pool.close()


async def test_a_wrong_statement_is_not_called_unavailable(core: Core) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        async with core.database.transaction() as connection:
            await connection.execute("SELECT nothing")


async def test_types_of_postgresql_are_asked_about_once_a_process(database_url: str) -> None:
    """The library asks for the type of an array on every connection: milliseconds of PostgreSQL for each."""
    asked: list[str] = []
    pool = await open_here(database_url, size_min=0, size_max=3)
    query = "SELECT $1::bigint [] AS numbers, $2::text [] AS texts, $3::timestamptz AS moment"
    arguments = ([1, 2], ["a", None], datetime(2026, 1, 2, tzinfo=UTC))
    try:
        async with pool.acquire() as first:
            assert tuple(await first.fetchrow(query, *arguments)) == arguments
            async with pool.acquire() as second:
                second.add_query_logger(lambda record: asked.append(record.query))
                assert tuple(await second.fetchrow(query, *arguments)) == arguments
                # The library tells a turn of the event loop later.
                await eventually_async(lambda: query in asked, what="the query is logged")
        assert asked == [query]
    finally:
        await pool.close()


async def test_types_of_a_database_are_its_own(engines: RunningEngines) -> None:
    """Two databases may have the same id for different types."""
    names = [engines.create_database(), engines.create_database()]
    pools = []
    try:
        for name, member in zip(names, ("text", "int"), strict=True):
            pool = await open_here(engines.database_url(name))
            pools.append(pool)
            await pool.execute(f"CREATE SCHEMA {SCHEMA}; CREATE TYPE {SCHEMA}.pair AS (a {member}, b int)")
        assert tuple(await pools[0].fetchval("SELECT ROW('1', 2)::pair")) == ("1", 2)
        assert tuple(await pools[1].fetchval("SELECT ROW('1', 2)::pair")) == (1, 2)
    finally:
        for pool in pools:
            await pool.close()
        for name in names:
            engines.drop_database(name)
