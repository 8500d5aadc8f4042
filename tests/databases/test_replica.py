"""A real streaming replica: it answers reads, never to who has just written, and while the primary is away."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from grandstand.bootstrap.diagnosing import diagnose
from grandstand.operations.audit import Origin, acting_as
from grandstand.operations.route_reads import Reads
from grandstand.settings import load_settings
from grandstand.storage.migrate import migrate
from grandstand.storage.postgres import Connection, Database, open_pool
from grandstand.storage.replicas import Replica, ReplicaWatch
from tests.databases.pair import Pair, running_pair
from tests.faults.load import Load, client_of, define_ticks
from tests.support.engines import RunningEngines
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually, eventually_async

SCHEMA = "watched"
LAG_MAX_SECONDS = 600
"""Of the tree: what happens beyond the limit is tested without one."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running_pair() as running:
        yield running


@pytest.fixture(scope="module")
def tree(engines: RunningEngines, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {
        "GRANDSTAND_DATABASE_URL": pair.primary.url,
        "GRANDSTAND_DATABASE_REPLICA_URL": pair.replica.url,
        "GRANDSTAND_DATABASE_REPLICA_LAG_MAX_SECONDS": str(LAG_MAX_SECONDS),
        "GRANDSTAND_DATABASE_POOL_MIN": "1",
        "GRANDSTAND_VALKEY_URL": engines.valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": "replica-tests",
        "GRANDSTAND_HTTP_PROCESSES": "2",
        # What is kept of them would be newer than the replica.
        "GRANDSTAND_TOURNAMENT_CACHE_SECONDS": "0",
    }
    server = start_up(tmp_path_factory.mktemp("tree") / "data", environment=environment)
    yield server
    end(server)


@pytest.fixture
def api(tree: Server) -> Iterator[httpx.Client]:
    """A client that writes, on a new connection for each request, so that it meets every process."""
    with client_of(tree.url, tree.keys.server) as client:
        client.headers["Connection"] = "close"
        eventually(lambda: metric(tree, "grandstand_replica_up") == 1, 30, "the replica is up")
        yield client


@pytest.fixture
def public(tree: Server) -> Iterator[httpx.Client]:
    """A client that only reads, without a credential."""
    with httpx.Client(base_url=tree.url, timeout=30, headers={"Connection": "close"}) as client:
        yield client


def metric(tree: Server, name: str) -> float:
    headers = {"Authorization": f"Bearer {tree.keys.admin}"}
    text = httpx.get(f"{tree.url}/metrics", headers=headers, timeout=30).text
    found = re.search(rf'^{name}{{pool="replica-1"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def create(api: httpx.Client, tournament_id: str, title: str) -> None:
    now = datetime.now(UTC)
    definition = {
        "id": tournament_id, "title": title, "event_type": "race", "field": "score", "operator": "best", "join": "open",
        "starts_at": (now + timedelta(hours=1)).isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat(),
    }  # fmt: skip
    assert api.post("/api/tournaments", json=definition).status_code == 201


def title(client: httpx.Client, tournament_id: str) -> str:
    found: str = client.get(f"/api/tournaments/{tournament_id}").raise_for_status().json()["title"]
    return found


def test_a_writer_reads_what_it_wrote_in_every_process(
    api: httpx.Client, public: httpx.Client, tree: Server, pair: Pair
) -> None:
    create(api, "cup", "old")
    eventually(lambda: title(public, "cup") == "old", 30)
    before = metric(tree, "grandstand_database_reads_total")
    pair.pause()
    try:
        for number in range(10):
            body = {"title": f"new {number}"}
            assert api.patch("/api/tournaments/cup", json=body).status_code == 200
            assert title(api, "cup") == f"new {number}"
        assert title(public, "cup") == "old", "readers are answered by the replica"
        create(api, "unknown", "made a moment ago")
        assert title(public, "unknown") == "made a moment ago", "what a replica does not know is asked of the primary"
    finally:
        pair.resume()
    eventually(lambda: title(public, "cup") == "new 9", 30, "the replica shows it")
    assert metric(tree, "grandstand_database_reads_total") > before


def test_reads_go_on_without_the_replica_and_come_back(
    api: httpx.Client, public: httpx.Client, tree: Server, pair: Pair
) -> None:
    create(api, "league", "here")
    eventually(lambda: title(public, "league") == "here", 30)
    pair.stop(pair.replica)
    try:
        for _ in range(20):
            assert title(public, "league") == "here"
        eventually(lambda: metric(tree, "grandstand_replica_up") == 0, 30, "it is noticed")
    finally:
        pair.start(pair.replica)
    eventually(lambda: metric(tree, "grandstand_replica_up") == 1, 30, "it is found again")
    before = metric(tree, "grandstand_database_reads_total")

    def is_asked() -> bool:
        assert title(public, "league") == "here"
        return metric(tree, "grandstand_database_reads_total") > before

    eventually(is_asked, 30, "it answers again")


def test_without_the_primary_reads_and_ingest_go_on(
    api: httpx.Client, public: httpx.Client, tree: Server, pair: Pair
) -> None:
    define_ticks(api)
    create(api, "season", "shown")
    with Load(tree.url, tree.keys.server, 500) as load:
        load.go_on(500)
        eventually(lambda: title(public, "season") == "shown", 30)
        ranks = eventually(lambda: public.get("/api/leaderboards/ticks").raise_for_status().json()["entries"], 30)
        pair.stop(pair.primary)
        try:
            load.go_on(1000)
            assert title(public, "season") == "shown"
            assert [each["id"] for each in public.get("/api/tournaments").raise_for_status().json()["tournaments"]]
            page = public.get("/api/leaderboards/ticks").raise_for_status().json()["entries"]
            assert sum(each["score"] for each in page) >= sum(each["score"] for each in ranks)
            assert public.get("/api/health/ready").status_code == 200
            assert api.get("/api/health").json()["postgres"] == "unreachable"
            # What is about money is never answered from an older state, and a writer not by a replica.
            assert api.get("/api/prizes").status_code == 503
            assert api.get("/api/tournaments/season").status_code == 503
        finally:
            pair.start(pair.primary)
        load.go_on(500)
    assert load.failures() == [], "events are taken all the time"
    load.check(api, 60)
    eventually(lambda: api.get("/api/health").json()["postgres"] == "ok", 30)
    create(api, "after", "healed")
    eventually(lambda: replicated(pair) >= {"after"}, 30, "the replica follows again")
    assert "child_ended" not in tree.log


def replicated(pair: Pair) -> set[str]:
    with psycopg.connect(pair.replica.url) as connection:
        return {row[0] for row in connection.execute("SELECT tournament_id FROM grandstand.tournaments")}


@pytest.mark.anyio
async def test_a_replica_that_lags_is_left_and_taken_up_again(pair: Pair) -> None:
    migrate(pair.primary.url, SCHEMA)

    async def open_here(url: str, name: str) -> Database:
        pool = await open_pool(
            url, schema=SCHEMA, size_min=0, size_max=2, statement_timeout_seconds=30, application_name="tests",
            only_reads=True,
        )  # fmt: skip
        return Database(pool, 10, name)

    primary = await open_here(pair.primary.url, "read")
    replica = Replica(await open_here(pair.replica.url, "replica-1"))
    watch = ReplicaWatch(primary, [replica], lag_max_seconds=LAG_MAX_SECONDS)
    reads = Reads(primary, watch)

    async def is_replica(connection: "Connection[Any]") -> bool:
        found: bool = await connection.fetchval("SELECT pg_is_in_recovery()")
        return found

    async def look() -> bool:
        await watch.look()
        return bool(watch.fresh())

    try:
        assert not await reads.read(is_replica), "nobody has looked yet"
        await eventually_async(look, 30, "the replica has caught up")
        with acting_as(Origin("anonymous")):
            assert await reads.read(is_replica)
            assert not await reads.read(is_replica, server="primary")
            pair.pause()
            try:
                with psycopg.connect(pair.primary.url, autocommit=True) as connection:
                    connection.execute("CREATE TABLE watched.moved ()")
                await watch.look()
                caught_up_at = replica.caught_up_at
                await watch.look()
                assert replica.caught_up_at == caught_up_at, "what it lacks grows older"
                watch.lag_max_seconds = replica.lag_seconds() / 2
                assert not watch.fresh()
                assert not await reads.read(is_replica)
            finally:
                pair.resume()
            watch.lag_max_seconds = LAG_MAX_SECONDS

            async def has_moved_on() -> bool:
                await watch.look()
                return replica.caught_up_at != caught_up_at

            await eventually_async(has_moved_on, 30, "it has caught up")
            assert await reads.read(is_replica)
    finally:
        for each in (primary, replica.database):
            await each.pool.close()


@pytest.mark.anyio
async def test_the_doctor_looks_at_replicas(pair: Pair, engines: RunningEngines) -> None:
    """Reachable, a replica, of this primary, of the same version, and how far behind."""
    migrate(pair.primary.url, SCHEMA)

    async def ask(*urls: str) -> dict[str, str]:
        settings = load_settings(
            database_url=pair.primary.url, database_replica_url=",".join(urls), database_schema=SCHEMA,
            valkey_url=engines.valkey_url, database_replica_lag_max_seconds=0.2,
        )  # fmt: skip
        return {each.check: each.status async for each in diagnose(settings, None) if each.check.startswith("replica")}

    names = ("replica_1", "replica_1_source", "replica_1_version", "replica_1_lag")
    well = dict.fromkeys(names, "ok")

    async def is_well() -> bool:
        return await ask(pair.replica.url) == well

    await eventually_async(is_well, 30, "the replica has caught up")
    pair.pause()
    try:
        with psycopg.connect(pair.primary.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE public.unseen ()")
        assert await ask(pair.replica.url) == well | {"replica_1_lag": "warning"}
    finally:
        pair.resume()
    assert await ask("postgresql:///nowhere?host=/nowhere", pair.primary.url) == {
        "replica_1": "warning", "replica_2": "warning", "replica_2_source": "ok", "replica_2_version": "ok",
    }  # fmt: skip
    stranger = await ask(engines.maintenance_url)
    assert stranger["replica_1_source"] == "failed"
