"""Tournaments in a running tree, from creation to claim, and the commands for them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = {"GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "1", "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0"}


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tree that settles a second after the end."""
    server = start_up(tmp_path_factory.mktemp("quick") / "data", "--workers", "1", environment=QUICK)
    yield server
    end(server)


@pytest.fixture
def api(quick_server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {quick_server.keys.server}"}
    with httpx.Client(base_url=quick_server.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def grandstand(quick_server: Server, tmp_path: Path) -> Run:
    """Run a command with the server's URL and key, in a folder of the test."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        server = {"GRANDSTAND_URL": quick_server.url, "GRANDSTAND_SERVER_KEY": quick_server.keys.server}
        return subprocess.run(
            [sys.executable, "-m", "grandstand", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, **server, **environment},
        )

    return run


def definition(seconds: float, **values: Any) -> dict[str, Any]:
    """A tournament that began a minute ago and runs for so many seconds more."""
    now = datetime.now(UTC)
    usual = {
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(seconds=seconds)).isoformat(),
        "event_type": "race",
        "field": "score",
        "operator": "best",
        "join": "required",
        "prizes": [{"from": 1, "kind": "gold", "amount": 100}],
    }
    return usual | values


def player(api: httpx.Client, user_id: str) -> dict[str, str]:
    token = api.post("/api/players/sessions", json={"user_id": user_id}).json()["token"]
    return {"Authorization": f"Bearer {token}"}


def play(api: httpx.Client, tournament_id: str, scores: dict[str, int]) -> None:
    for user, points in scores.items():
        assert api.post(f"/api/tournaments/{tournament_id}/join", headers=player(api, user)).status_code == 200
        payload = {"score": points, "tournament_id": tournament_id}
        event = {"event_type": "race", "user_id": user, "payload": payload}
        assert api.post("/api/events", json=event, headers=player(api, user)).status_code == 202
    eventually(lambda: api.get(f"/api/tournaments/{tournament_id}/leaderboard").json()["total"] == len(scores))


def status(api: httpx.Client, tournament_id: str) -> str:
    found: str = api.get(f"/api/tournaments/{tournament_id}").json()["status"]
    return found


def test_from_creation_to_claim(api: httpx.Client) -> None:
    made = api.post("/api/tournaments", json=definition(600, id="cup", claim_days=1))
    assert made.status_code == 201, made.text
    eventually(lambda: status(api, "cup") == "active", 15)
    play(api, "cup", {"ann": 5, "bob": 9})
    # However long playing took: it ends by the clock, a second ahead.
    eventually(lambda: api.patch("/api/tournaments/cup", json={"ends_at": definition(1)["ends_at"]}).is_success)
    eventually(lambda: status(api, "cup") == "settled", 30)
    (prize,) = api.get("/api/prizes", headers=player(api, "bob")).json()["prizes"]
    assert (prize["tournament_id"], prize["rank"], prize["amount"], prize["status"]) == ("cup", 1, 100, "pending")
    claim = {"Idempotency-Key": "once"} | player(api, "bob")
    claimed = api.post(f"/api/prizes/{prize['id']}/claim", headers=claim)
    assert (claimed.status_code, claimed.json()["status"]) == (200, "claimed")
    assert api.post(f"/api/prizes/{prize['id']}/claim", headers=claim).json() == claimed.json()
    assert api.post(f"/api/prizes/{prize['id']}/claim").json()["code"] == "already_claimed"
    assert [entry["user_id"] for entry in api.get("/api/tournaments/cup/leaderboard").json()["entries"]] == [
        "bob",
        "ann",
    ]


@pytest.mark.parametrize("name", ["cup.yaml", "cup.toml", "cup.json"])
def test_the_commands(grandstand: Run, api: httpx.Client, tmp_path: Path, name: str) -> None:
    tournament_id = name.replace(".", "-")
    write(tmp_path / name, definition(600, id=tournament_id, title="Ä cup"))
    made = grandstand("tournaments", "create", name)
    assert made.returncode == 0, made.stderr
    assert yaml.safe_load(made.stdout)["id"] == tournament_id
    again = grandstand("tournaments", "create", name)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"grandstand: There is a tournament '{tournament_id}' already.\n"
    eventually(lambda: status(api, tournament_id) == "active", 15)
    shown = json.loads(grandstand("tournaments", "show", tournament_id, "--json").stdout)
    assert shown == api.get(f"/api/tournaments/{tournament_id}").json()
    listed = grandstand("tournaments", "list", "--status", "active").stdout.splitlines()
    assert listed[0].split()[:2] == ["id", "status"]
    assert [line.split()[:2] for line in listed if line.startswith(tournament_id)] == [[tournament_id, "active"]]

    play(api, tournament_id, {"cleo": 5, "dan": 9})
    dry = grandstand("tournaments", "settle", tournament_id, "--dry-run")
    assert dry.stdout.splitlines()[1].split() == ["1", "dan", "gold", "100"]
    assert dry.stdout.endswith("Dry run, nothing is changed: 2 players, 1 prizes (100 gold).\n")
    assert status(api, tournament_id) == "active"
    ended = grandstand("tournaments", "settle", tournament_id)
    assert ended.stdout.startswith(f"{tournament_id}: ended at ")
    eventually(lambda: status(api, tournament_id) == "settled", 30)
    refused = grandstand("tournaments", "cancel", tournament_id)
    assert (refused.returncode, refused.stderr.splitlines()) == (
        1,
        [f"grandstand: The tournament '{tournament_id}' is settled."],
    )
    (prize,) = json.loads(grandstand("prizes", "list", "--tournament", tournament_id, "--json").stdout)["prizes"]
    voided = grandstand("prizes", "void", prize["id"], "--reason", "test")
    assert voided.stdout == f"{prize['id']}: voided (100 gold of dan).\n"
    assert grandstand("prizes", "void", prize["id"]).returncode == 1
    table = grandstand("prizes", "list", "--user", "dan", "--status", "voided").stdout
    assert prize["id"] in table


def write(path: Path, fields: dict[str, Any]) -> None:
    if path.suffix == ".json":
        path.write_text(json.dumps(fields))
    elif path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(fields))
    else:
        prizes = fields.pop("prizes")
        lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        for prize in prizes:
            lines += ["[[prizes]]", *(f"{key} = {json.dumps(value)}" for key, value in prize.items())]
        path.write_text("\n".join(lines), encoding="utf-8")


def test_a_cancelled_one(grandstand: Run, tmp_path: Path) -> None:
    write(tmp_path / "gone.yaml", definition(600, id="gone"))
    assert grandstand("tournaments", "create", "gone.yaml").returncode == 0
    assert grandstand("tournaments", "cancel", "gone").stdout == "gone: cancelled.\n"


def test_what_stops_the_commands_is_one_sentence(grandstand: Run, tmp_path: Path) -> None:
    write(tmp_path / "wrong.yaml", definition(600, operator="worst"))
    (tmp_path / "list.yaml").write_text("- a")
    cases: list[tuple[tuple[str, ...], dict[str, str], int, str]] = [
        (("tournaments", "create", "wrong.yaml"), {}, 1, "operator: "),
        (("tournaments", "create", "list.yaml"), {}, 2, "must hold one object"),
        (("tournaments", "create", "missing.yaml"), {}, 2, "cannot be read"),
        (("tournaments", "show", "nothing"), {}, 1, "There is no tournament 'nothing'."),
        (("tournaments", "settle", "nothing", "--dry-run"), {}, 1, "There is no tournament 'nothing'."),
        (("tournaments", "settle", "cup", "--occurrence", "1"), {}, 2, "--occurrence goes with --dry-run"),
        (("tournaments", "list", "--status", "x"), {}, 1, "status: must be"),
        (("prizes", "list", "--status", "x"), {}, 1, "status: must be"),
        (("prizes", "void", "nothing"), {}, 1, "There is no such prize."),
        (("prizes", "list"), {"GRANDSTAND_SERVER_KEY": ""}, 2, "The server key is missing"),
        (("tournaments", "list"), {"GRANDSTAND_SERVER_KEY": "gs_server_wrong"}, 4, "refuses the key"),
        (("tournaments", "list"), {"GRANDSTAND_URL": "http://127.0.0.1:1"}, 4, "cannot be reached"),
    ]
    for arguments, environment, code, words in cases:
        result = grandstand(*arguments, **environment)
        assert (result.returncode, result.stdout) == (code, ""), (arguments, result.stderr)
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
