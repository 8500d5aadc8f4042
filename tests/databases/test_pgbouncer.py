"""Behind PgBouncer in transaction mode: every transaction may run in another session, and all is as without it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import psycopg
import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.storage.migrate import migrate
from grandstand.storage.postgres import Database, open_cursor, open_pool
from grandstand.storage.sessions import local_settings, session_settings
from tests.databases.bouncer import SESSIONS, Bouncer, running_bouncer
from tests.faults.load import Load, client_of, define_ticks
from tests.support.engines import RunningEngines
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

SCHEMA = "second_game"


@pytest.fixture(scope="module")
def bouncer(engines: RunningEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bouncer]:
    with running_bouncer(engines, tmp_path_factory.mktemp("bouncer")) as running:
        yield running


@pytest.fixture(scope="module")
def database(engines: RunningEngines) -> Iterator[str]:
    """The name of a database without any table."""
    name = engines.create_database()
    yield name
    engines.drop_database(name)


@pytest.fixture(scope="module")
def environment(engines: RunningEngines, bouncer: Bouncer, database: str) -> dict[str, str]:
    return {
        "GRANDSTAND_DATABASE_URL": bouncer.url(database),
        "GRANDSTAND_DATABASE_POOLER": "pgbouncer",
        "GRANDSTAND_DATABASE_SCHEMA": SCHEMA,
        "GRANDSTAND_DATABASE_POOL_MIN": "2",
        "GRANDSTAND_VALKEY_URL": engines.valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": database,
        "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "1",
        "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0",
    }


@pytest.fixture(scope="module")
def tree(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tree that has migrated and works through PgBouncer."""
    server = start_up(tmp_path_factory.mktemp("tree") / "data", environment=environment)
    yield server
    end(server)


@pytest.fixture
def api(tree: Server) -> Iterator[httpx.Client]:
    with client_of(tree.url, tree.keys.server) as client:
        yield client


def test_a_tournament_from_creation_to_claim(api: httpx.Client) -> None:
    now = datetime.now(UTC)
    definition = {
        "id": "cup", "event_type": "race", "field": "score", "operator": "best", "join": "open",
        "starts_at": (now - timedelta(minutes=1)).isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat(),
        "prizes": [{"from": 1, "kind": "gold", "amount": 100}],
    }  # fmt: skip
    assert api.post("/api/tournaments", json=definition).status_code == 201
    eventually(lambda: api.get("/api/tournaments/cup").json()["status"] == "active", 30)
    for user, score in (("ann", 5), ("bob", 9)):
        event = {"event_type": "race", "user_id": user, "payload": {"score": score, "tournament_id": "cup"}}
        assert api.post("/api/events", json=event).status_code == 202
    eventually(lambda: api.get("/api/tournaments/cup/leaderboard").json()["total"] == 2, 30)
    assert api.post("/api/tournaments/cup/end").status_code == 200
    eventually(lambda: api.get("/api/tournaments/cup").json()["status"] == "settled", 30)
    (prize,) = api.get("/api/prizes").json()["prizes"]
    assert (prize["user_id"], prize["amount"], prize["status"]) == ("bob", 100, "pending")
    claims = [api.post(f"/api/prizes/{prize['id']}/claim", headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [(claim.status_code, claim.json()["status"]) for claim in claims] == [(200, "claimed")] * 2


def test_a_restart_under_load_loses_nothing(
    tree: Server, api: httpx.Client, bouncer: Bouncer, environment: dict[str, str]
) -> None:
    define_ticks(api)
    with Load(tree.url, tree.keys.server, 1000) as load:
        load.go_on(1000)
        bouncer.stop()
        load.go_on(1000)
        bouncer.start()
        load.go_on(1000)
    assert load.failures() == [], "events are taken into the stream meanwhile"
    load.check(api)
    assert "child_ended" not in tree.log
    assert api.get("/api/players/u1").json()["first_seen_at"] is not None
    verified = subprocess.run(
        [sys.executable, "-m", "grandstand", "verify", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)


def test_migrations_at_once_leave_no_lock_behind(engines: RunningEngines, bouncer: Bouncer) -> None:
    """A lock of a session would stay in one that PgBouncer lends to others, and stop every later migration."""
    name = engines.create_database()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: migrate(bouncer.url(name), SCHEMA), range(3)))
    migrate(bouncer.url(name), "third_game")
    with psycopg.connect(engines.database_url(name)) as direct:
        locks = direct.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert locks.fetchone() == (0,)
        tables = "SELECT table_schema, count(*) FROM information_schema.tables WHERE table_name = 'events' GROUP BY 1"
        assert sorted(direct.execute(tables).fetchall()) == [(SCHEMA, 1), ("third_game", 1)]
    engines.drop_database(name)


@pytest.mark.anyio
async def test_what_one_transaction_says_no_other_hears(bouncer: Bouncer) -> None:
    """Two deployments that share the sessions keep to their own schemas, limits and statements."""

    async def open_here(schema: str, **options: bool) -> Database:
        pool = await open_pool(
            bouncer.url("postgres"), schema=schema, size_min=0, size_max=SESSIONS, statement_timeout_seconds=30,
            application_name="tests", keeps_sessions=False, **options,
        )  # fmt: skip
        only_reads = options.get("only_reads", False)
        said = local_settings(session_settings(schema, statement_timeout_seconds=30, only_reads=only_reads))
        return Database(pool, 10, "write", said)

    one, two, reading = await open_here("one"), await open_here("two"), await open_here("one", only_reads=True)

    async def look(database: Database, schema: str) -> set[str]:
        seen = set()
        for _ in range(20):
            async with database.connection() as connection:
                assert await connection.fetchval("SELECT current_setting('search_path')") == schema
                assert await connection.fetchval("SELECT current_setting('jit')") == "off"
                cursor = await open_cursor(connection, "SELECT generate_series(1, $1::int)", 3)
                assert [row[0] for row in await cursor.fetch(10)] == [1, 2, 3]
                seen.add(await connection.fetchval("SELECT pg_backend_pid()::text"))
        return seen

    try:
        assert await look(one, "one") & await look(two, "two"), "they share no session"
        await asyncio.gather(*(look(each, name) for each, name in ((one, "one"), (two, "two")) for _ in range(4)))
        with pytest.raises(UnavailableError) as refused:
            async with reading.connection() as connection:
                await connection.execute("CREATE TABLE refused ()")
        assert isinstance(refused.value.__cause__, asyncpg.ReadOnlySQLTransactionError)
        async with one.connection() as connection:
            assert await connection.fetchval("SELECT current_setting('transaction_read_only')") == "off"
    finally:
        for each in (one, two, reading):
            await each.pool.close()


def test_without_the_setting_the_start_says_what_is_missing(environment: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "grandstand", "serve", "--role", "scheduler"],
        env={**os.environ, **environment, "GRANDSTAND_DATABASE_POOLER": "none"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0
    assert "GRANDSTAND_DATABASE_POOLER=pgbouncer" in result.stderr
