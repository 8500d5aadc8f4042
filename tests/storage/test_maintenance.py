"""How PostgreSQL keeps the tables that grow all day: rarely, gently, and with statistics of what plans ask about."""

import asyncio
from typing import Any

import psycopg
import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.operations.survey_storage import StorageSurvey
from grandstand.storage import queries
from grandstand.storage.migrate import migrate
from tests.support.core import NOON, Core, event
from tests.support.engines import SCHEMA
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

OPTIONS = "SELECT relname, reloptions FROM pg_class WHERE oid = $1::regclass"
TARGETS = (
    "SELECT attname, attstattarget FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
)
ANALYZED = "SELECT attname FROM pg_stats WHERE tablename = $1 ORDER BY 1"


async def kept(core: Core, table: str) -> tuple[set[str], dict[str, Any]]:
    """The storage parameters and the statistics of a table's columns."""
    pool = core.database.pool
    options = (await pool.fetchrow(OPTIONS, table))["reloptions"]
    return set(options or ()), {row["attname"]: row["attstattarget"] for row in await pool.fetch(TARGETS, table)}


async def test_partitions_of_before_are_kept_as_new_ones_are(core: Core) -> None:
    await core.database.pool.execute(
        "CREATE TABLE events_2026_08 PARTITION OF events FOR VALUES FROM ('2026-08-01') TO ('2026-09-01')"
    )
    async with core.database.connection() as connection:
        made = await core.event_log.create_partition(connection, NOON)
    assert made is not None
    before, new = await kept(core, "events_2026_08"), await kept(core, made.name)
    assert before != new
    assert {"autovacuum_analyze_scale_factor=0.5", "autovacuum_vacuum_insert_scale_factor=0.5"} == new[0]
    await core.database.pool.execute(queries.load("migrations/0036.sql"))
    assert await kept(core, "events_2026_08") == new == await kept(core, made.name)


async def test_a_partition_may_leave_while_those_of_before_are_changed(
    anyio_backend: object, empty_database_url: str
) -> None:
    migrate(empty_database_url, SCHEMA, target="0035")
    options = f"-c search_path={SCHEMA}"
    with (
        psycopg.connect(empty_database_url, autocommit=True, options=options) as connection,
        psycopg.connect(empty_database_url, options=options) as vacuuming,
    ):
        for month in (8, 9, 10):
            bounds = f"FROM ('2026-{month:02}-01') TO ('2026-{month + 1:02}-01')"
            connection.execute(f"CREATE TABLE events_2026_{month:02} PARTITION OF events FOR VALUES {bounds}".encode())
        vacuuming.execute("LOCK TABLE events_2026_08 IN SHARE UPDATE EXCLUSIVE MODE")
        migrating = asyncio.create_task(asyncio.to_thread(migrate, empty_database_url, SCHEMA))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events_2026_08'::regclass"
        await eventually_async(lambda: connection.execute(waits).fetchone() == (1,), what="the migration waits")
        connection.execute("DROP TABLE events_2026_09")
        vacuuming.rollback()
        await migrating
        kept = (
            "SELECT relname FROM pg_class WHERE relname LIKE 'events_20__\\___' AND reloptions IS NOT NULL ORDER BY 1"
        )
        assert connection.execute(kept).fetchall() == [("events_2026_08",), ("events_2026_10",)]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("events", ["event_type", "occurred_at", "received_at", "user_id"]),
        ("entries", ["achieved_at", "ranking_id", "score", "user_id"]),
        ("first_events", ["event_type", "occurred_at", "user_id"]),
        ("rollup_users", ["day", "event_type", "user_id"]),
    ],
)
async def test_what_plans_ask_about_has_statistics_and_nothing_else(core: Core, table: str, columns: list[str]) -> None:
    await core.apply(*(event(f"player-{number}", number) for number in range(100)))
    await EventCounter(core.database, core.event_log).count()
    if table == "events":
        async with core.database.connection() as connection:
            table = (await core.event_log.partitions(connection))[0].name
    await core.database.pool.execute(f"ANALYZE {table}")
    found = [row["attname"] for row in await core.database.pool.fetch(ANALYZED, table)]
    assert found == columns


async def test_people_see_about_how_many_events_a_partition_has(core: Core) -> None:
    await core.apply(event("ann", at=NOON))
    statement = """
        INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
        SELECT gen_random_uuid(), $1, $1, 'x', 'player-' || n, '{}' FROM generate_series(1, $2) n
    """
    await core.database.pool.execute(statement, NOON, 20_000)
    await core.database.pool.execute("ANALYZE events")
    # So many more may come before PostgreSQL analyzes it again.
    await core.database.pool.execute(statement, NOON, 9_000)
    (partition,) = await StorageSurvey(core.database).partitions()
    assert partition.events == pytest.approx(29_001, rel=0.02)


async def test_the_embedded_server_spreads_its_maintenance(core: Core) -> None:
    async with core.database.connection() as connection:
        assert await connection.fetchval("SHOW autovacuum") == "on"
        assert await connection.fetchval("SHOW autovacuum_vacuum_cost_delay") == "10ms"
