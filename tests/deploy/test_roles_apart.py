"""The services of compose.yaml, each a process of its own, on real engines: from an event to a rank and to a prize."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.compose import Container, read_compose, substitute
from tests.support.engines import RunningEngines
from tests.support.leaks import check_files
from tests.support.server import Keys
from tests.support.waiting import eventually

KEYS = Keys()
ROLES = ("ingest", "api", "worker", "scheduler")


class Apart:
    """The whole deployment; `containers` by service, as many of each as the file asks for."""

    def __init__(self, database_url: str, valkey_url: str, prefix: str, folder: Path) -> None:
        self.services = read_compose()["services"]
        given = {"POSTGRES_PASSWORD": "postgres", "VALKEY_PASSWORD": "valkey", **KEYS.environment()}
        of_the_test = {
            "GRANDSTAND_DATABASE_URL": database_url,
            "GRANDSTAND_VALKEY_URL": valkey_url,
            "GRANDSTAND_VALKEY_PREFIX": prefix,
            # Sooner than the defaults, so that the test is short.
            "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "1",
            "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0",
        }

        def container(name: str, number: int) -> Container:
            service = self.services[name]
            environment = {key: substitute(value, given) for key, value in service["environment"].items()}
            return Container(service, environment | of_the_test, folder / f"{name}-{number}.log")

        self.migrate = container("migrate", 1)
        self.containers = {
            name: [
                container(name, number) for number in range(self.services[name].get("deploy", {}).get("replicas", 1))
            ]
            for name in ROLES
        }

    @property
    def all(self) -> list[Container]:
        return [one for several in self.containers.values() for one in several]

    def client(self, name: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEYS.server}"}
        return httpx.Client(base_url=self.containers[name][0].url, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def apart(engines: RunningEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    database = engines.create_database()
    folder = tmp_path_factory.mktemp("apart")
    deployment = Apart(engines.database_url(database), engines.valkey_url, database.replace("_", "-"), folder)
    try:
        deployment.migrate.run()
        for one in deployment.all:
            one.start()
        for one in deployment.all:
            one.wait_until_healthy()
        yield deployment
        assert [one.stop() for one in deployment.all] == [0] * len(deployment.all)
        check_files(folder.glob("*"))
    finally:
        for one in (deployment.migrate, *deployment.all):
            one.kill()
        engines.drop_database(database)


@pytest.fixture
def ingest(apart: Apart) -> Iterator[httpx.Client]:
    with apart.client("ingest") as client:
        yield client


@pytest.fixture
def api(apart: Apart) -> Iterator[httpx.Client]:
    with apart.client("api") as client:
        yield client


def send(ingest: httpx.Client, event_type: str, scores: dict[str, int], **payload: str) -> None:
    events = [
        {"user_id": user, "event_type": event_type, "payload": {"score": score, **payload}}
        for user, score in scores.items()
    ]
    assert ingest.post("/api/events", json={"events": events}).status_code == 202


def order(api: httpx.Client, board: str = "global") -> list[tuple[str, int]]:
    entries = api.get(f"/api/leaderboards/{board}").json()["entries"]
    return [(entry["user_id"], entry["score"]) for entry in entries]


def test_each_role_is_a_service_of_its_own(apart: Apart) -> None:
    commands = {name: apart.services[name]["command"] for name in ROLES}
    assert commands == {name: ["serve", "--role", name] for name in ROLES}
    assert all(one.is_healthy() for one in (several[0] for several in apart.containers.values()))


def test_an_event_that_one_process_takes_is_ranked_by_another_and_read_from_a_third(
    ingest: httpx.Client, api: httpx.Client
) -> None:
    api.put("/api/leaderboards/first", json={"event_type": "first", "field": "score", "operator": "best"})
    scores = {f"p{number}": number for number in range(1, 9)}

    def taken() -> bool:
        send(ingest, "first", scores)
        return order(api, "first") == sorted(scores.items(), key=lambda item: -item[1])

    eventually(taken, 30)
    assert ingest.get("/api/leaderboards/first").status_code == 404
    assert api.post("/api/events", json={"events": []}).status_code == 404


def test_a_tournament_is_settled_and_its_prize_claimed(ingest: httpx.Client, api: httpx.Client) -> None:
    now = datetime.now(UTC)
    definition = {
        "id": "cup",
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
        "event_type": "race", "field": "score", "operator": "best",
        "prizes": [{"from": 1, "kind": "gold", "amount": 100}],
    }  # fmt: skip
    assert api.post("/api/tournaments", json=definition).status_code == 201
    eventually(lambda: api.get("/api/tournaments/cup").json()["status"] == "active", 30)
    send(ingest, "race", {"ann": 20, "bob": 10}, tournament_id="cup")
    eventually(lambda: api.get("/api/tournaments/cup/leaderboard").json()["total"] == 2, 30)
    assert api.post("/api/tournaments/cup/end").status_code == 200
    eventually(lambda: api.get("/api/tournaments/cup").json()["status"] == "settled", 40)
    token = api.post("/api/players/sessions", json={"user_id": "ann"}).json()["token"]
    as_ann = {"Authorization": f"Bearer {token}"}
    (prize,) = api.get("/api/prizes", headers=as_ann).json()["prizes"]
    assert (prize["tournament_id"], prize["rank"], prize["amount"]) == ("cup", 1, 100)
    assert api.post(f"/api/prizes/{prize['id']}/claim", headers=as_ann).json()["status"] == "claimed"


def test_probes_and_prometheus_are_answered_without_a_role_for_http(apart: Apart) -> None:
    scheduler = apart.containers["scheduler"][0]
    worker = apart.containers["worker"][0]
    shown = httpx.get(f"http://127.0.0.1:{scheduler.watch_port}/metrics", timeout=30)
    assert shown.status_code == 200
    assert "\ngrandstand_stream_lag_seconds " in shown.text
    assert (
        "\ngrandstand_batch_events_count "
        in httpx.get(f"http://127.0.0.1:{worker.watch_port}/metrics", timeout=30).text
    )
    for method, path, status in (("GET", "/api/leaderboards/global", 404), ("POST", "/metrics", 404)):
        refusal = httpx.request(method, f"http://127.0.0.1:{worker.watch_port}{path}", timeout=30)
        assert (refusal.status_code, refusal.json()["code"]) == (status, "not_found")


def test_what_comes_in_while_no_worker_runs_is_ranked_when_they_are_back(
    apart: Apart, ingest: httpx.Client, api: httpx.Client
) -> None:
    api.put("/api/leaderboards/again", json={"event_type": "again", "field": "score", "operator": "sum"})
    eventually(lambda: api.get("/api/leaderboards/again").status_code == 200)
    send(ingest, "again", {"ann": 5})
    workers = apart.containers["worker"]
    assert [one.stop() for one in workers] == [0] * len(workers)
    send(ingest, "again", {"ann": 7, "bob": 3})
    for one in workers:
        one.start()
    send(ingest, "again", {"bob": 1})
    eventually(lambda: order(api, "again") == [("ann", 12), ("bob", 4)], 60)
