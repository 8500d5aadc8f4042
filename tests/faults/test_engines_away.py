"""A whole tree on engines that go away: cut off, swallowed, slowed; nothing is lost and nobody needs a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import valkey

from tests.faults.load import ANSWER_TIMEOUT_SECONDS, Load, client_of, define_ticks, depth
from tests.faults.ways import Way, open_way
from tests.support.engines import RunningEngines
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

VALKEY_TIMEOUT_SECONDS = 2

SPARE = 25
"""Connections that loops which woke up together may keep in use; a leak has one for each of hundreds of requests."""


@dataclass
class Deployment:
    """A tree, and the ways to its engines."""

    server: Server
    postgres: Way
    valkey: Way
    engines: RunningEngines
    database: str
    client: httpx.Client

    def load(self, events_per_second: float, credential: str = "") -> Load:
        return Load(self.server.url, credential or self.server.keys.server, events_per_second)

    def connections(self) -> tuple[int, int]:
        """How many connections PostgreSQL and Valkey have from the tree."""
        with psycopg.connect(self.engines.maintenance_url) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
            (row,) = connection.execute(query, (self.database,)).fetchall()
        with valkey.Valkey.from_url(self.engines.valkey_url) as direct:
            return row[0], int(direct.info("clients")["connected_clients"])

    def is_well(self) -> bool:
        health = self.client.get("/api/health").json()
        is_ready = self.client.get("/api/health/ready").status_code == 200
        return is_ready and health["status"] == "ok" and health["stream"]["depth"] == 0

    def check(self, load: Load) -> None:
        """Everything that was sent counts once, and nothing had to be started again for it."""
        eventually(self.is_well, 30, "all is well")
        load.check(self.client)
        with psycopg.connect(self.engines.database_url(self.database)) as connection:
            (row,) = connection.execute("SELECT count(*) FROM grandstand.events").fetchall()
        assert row[0] == sum(load.sent.values())
        assert "child_ended" not in self.server.log


@pytest.fixture(scope="module")
def tree(engines: RunningEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    database = engines.create_database()
    postgres_socket = engines.socket_folder / ".s.PGSQL.5432"
    with open_way(postgres_socket) as postgres, open_way(engines.socket_folder / "valkey.sock") as far_valkey:
        environment = {
            "GRANDSTAND_DATABASE_URL": f"postgresql://grandstand@127.0.0.1:{postgres.port}/{database}",
            "GRANDSTAND_VALKEY_URL": f"valkey://127.0.0.1:{far_valkey.port}/0",
            "GRANDSTAND_VALKEY_PREFIX": database,
            "GRANDSTAND_VALKEY_TIMEOUT_SECONDS": str(VALKEY_TIMEOUT_SECONDS),
        }
        server = start_up(Path(tmp_path_factory.mktemp("tree")) / "data", environment=environment)
        try:
            with client_of(server.url, server.keys.server) as client:
                yield Deployment(server, postgres, far_valkey, engines, database, client)
        finally:
            end(server)
    engines.drop_database(database)


@pytest.fixture
def deployment(tree: Deployment) -> Deployment:
    """The module's tree, mended and without an event."""
    tree.postgres.mend()
    tree.valkey.mend()
    eventually(tree.is_well, 30, "all is well")
    tree.client.delete("/api/leaderboards/ticks")
    define_ticks(tree.client)
    with psycopg.connect(tree.engines.database_url(tree.database), autocommit=True) as connection:
        connection.execute("DELETE FROM grandstand.events")
    return tree


def answers(client: httpx.Client) -> set[int]:
    """What every kind of request is answered right now."""
    tournament = {
        "title": "t", "starts_at": "2090-01-01T00:00:00Z", "ends_at": "2090-01-02T00:00:00Z", "event_type": "tick",
        "operator": "count", "field": None, "join": "open",
    }  # fmt: skip
    requests: list[tuple[str, str, object]] = [
        ("PUT", "/api/leaderboards/other", {"event_type": "tick", "operator": "count", "field": None}),
        ("GET", "/api/leaderboards", None),
        ("GET", "/api/leaderboards/global", None),
        ("GET", "/api/leaderboards/ticks/users/u1/nearby", None),
        ("POST", "/api/leaderboards/ticks/lookup", {"user_ids": ["u1"]}),
        ("POST", "/api/leaderboards/global/scores", {"user_id": "ann", "score": 1}),
        ("DELETE", "/api/leaderboards/global/users/ann", None),
        ("POST", "/api/leaderboards/other/reset", None),
        ("DELETE", "/api/leaderboards/other", None),
        ("PUT", "/api/players/u1", {"display_name": "U"}),
        ("GET", "/api/players/u1", None),
        ("POST", "/api/players/zed/ban", {"reason": "test"}),
        ("POST", "/api/players/zed/unban", None),
        ("POST", "/api/tournaments", tournament),
        ("GET", "/api/tournaments", None),
        ("GET", "/api/prizes?user_id=u1", None),
        ("POST", "/api/prizes/1/claim", None),
        ("POST", "/api/players/sessions", {"user_id": "u1"}),
        ("GET", "/api/health", None),
        ("GET", "/metrics", None),
    ]
    return {client.request(method, path, json=body).status_code for method, path, body in requests}


def test_ingest_goes_on_while_postgresql_is_away(deployment: Deployment) -> None:
    token = deployment.client.post("/api/players/sessions", json={"user_id": "u1"}).json()["token"]
    before = deployment.connections()
    with deployment.load(2000) as load:
        load.go_on(2000)
        deployment.postgres.cut()
        load.go_on(5_000, 60)
        # Health says what is asked of the engines within a limit: while the machine stands still, nothing is known.
        eventually(lambda: (depth(deployment.client) or 0) > 3_000, what="it waits in the stream")
        assert deployment.client.get("/api/health").json()["postgres"] == "unreachable"
        assert deployment.client.get("/api/health/ready").status_code == 503
        assert deployment.client.get("/api/health/live").status_code == 200
        assert 500 not in answers(deployment.client)
        event = {"event_type": "other", "user_id": "u1"}
        own = {"Authorization": f"Bearer {token}"}
        assert deployment.client.post("/api/events", json=event, headers=own).status_code == 202
        wrong = {"Authorization": "Bearer gs_server_wrong-0123456789abcdef"}
        assert deployment.client.post("/api/events", json=event, headers=wrong).status_code == 401
        deployment.postgres.mend()
        load.go_on(2000)
    assert load.failures() == []
    eventually(deployment.is_well, 30, "all is processed")
    load.check(deployment.client)
    eventually(
        lambda: deployment.connections() <= (before[0] + SPARE, before[1] + SPARE), 60, "no connection is left over"
    )
    assert "child_ended" not in deployment.server.log


def test_postgresql_that_swallows_everything_holds_up_no_event(deployment: Deployment) -> None:
    with deployment.load(500) as load:
        load.go_on()
        deployment.postgres.hold()
        load.go_on(1500)
        deployment.postgres.cut()  # so that what waits for an answer hears that there is none
        deployment.postgres.mend()
        load.go_on()
    assert load.failures() == []
    deployment.check(load)


@pytest.mark.parametrize("absence", ["cut", "hold"])
def test_without_valkey_events_are_refused_at_once_and_ranks_are_right(deployment: Deployment, absence: str) -> None:
    client = deployment.client
    before = deployment.connections()
    with deployment.load(200) as load:
        load.go_on(400)
    eventually(deployment.is_well, 30)
    page = client.get("/api/leaderboards/ticks", params={"limit": 100}).json()
    rank = client.get("/api/leaderboards/ticks/users/u7").json()
    with deployment.load(500) as second:
        second.sent.update(load.sent)
        second.go_on()
        (deployment.valkey.cut if absence == "cut" else deployment.valkey.hold)()

        def are_refused_at_once() -> bool:
            # One time-out finds out, and then one request at a time goes on finding out.
            failures = second.failures()
            slow = [answer for answer in failures if answer.seconds > VALKEY_TIMEOUT_SECONDS / 2]
            return len(failures) > 60 and len(slow) < len(failures) / 3

        eventually(are_refused_at_once, 60, "clients are refused, and do not all wait for the same time-out")
        assert {answer.outcome for answer in second.failures()} == {"503"}
        assert {answer.retry_after for answer in second.failures()} == {"1"}
        assert max(answer.seconds for answer in second.failures()) < ANSWER_TIMEOUT_SECONDS / 3
        assert client.get("/api/health").json()["valkey"] == "unreachable"
        if absence == "cut":
            assert 500 not in answers(client)
        during = client.get("/api/leaderboards/ticks", params={"limit": 100}).json()
        assert sum(entry["score"] for entry in during["entries"]) >= sum(entry["score"] for entry in page["entries"])
        assert [entry["rank"] for entry in during["entries"]] == list(range(1, len(during["entries"]) + 1))
        assert client.get("/api/leaderboards/ticks/users/u7").json()["score"] >= rank["score"]
        deployment.valkey.mend()
        second.go_on()
    deployment.check(second)
    eventually(
        lambda: deployment.connections() <= (before[0] + SPARE, before[1] + SPARE), 60, "no connection is left over"
    )


def test_slow_engines_lose_nothing(deployment: Deployment) -> None:
    with deployment.load(500) as load:
        load.go_on()
        deployment.postgres.delay_seconds = deployment.valkey.delay_seconds = 0.05
        load.go_on(500)
        deployment.postgres.mend()
        deployment.valkey.mend()
        load.go_on()
    assert load.failures() == []
    deployment.check(load)


def test_what_starts_while_postgresql_is_away_waits_for_it(deployment: Deployment) -> None:
    server, client = deployment.server, deployment.client
    deployment.postgres.cut()
    victims = [server.named(f"--role {role}")[0] for role in ("ingest", "worker", "scheduler")]
    for victim in victims:
        victim.terminate()
    eventually(lambda: not any(victim.is_running() for victim in victims), 30)

    def is_refused() -> httpx.Response | None:
        answer = client.post("/api/events", json={"event_type": "tick", "user_id": "ann"}, timeout=5)
        return answer if answer.status_code == 503 else None

    answer = eventually(is_refused, 30, "it says that it waits")
    assert answer.headers["retry-after"] == "1"
    assert client.get("/api/health/live").status_code == 200
    assert client.get("/api/health/ready").status_code == 503
    eventually(lambda: server.log.count("waiting_for_engines") >= 3, 30)
    deployment.postgres.mend()
    with deployment.load(500) as load:
        load.go_on()
    deployment.check(load)
