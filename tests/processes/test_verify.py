"""`grandstand verify` beside a running tree: what it prints, its exit codes, and its one JSON document."""

import json
import subprocess
import sys

import psycopg
import pytest

from grandstand.invariants.registry import CHECKS
from grandstand.supervisor.state import read_state
from tests.processes.commands import run_refused
from tests.support.server import Server
from tests.support.waiting import eventually


def verify(server: Server, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "grandstand", "verify", "--data-dir", str(server.data_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def post(server: Server, events: object) -> None:
    import httpx

    key = {"Authorization": f"Bearer {server.keys.server}"}
    assert httpx.post(f"{server.url}/api/events", json=events, headers=key, timeout=30).status_code == 202
    eventually(lambda: httpx.get(f"{server.url}/api/leaderboards/global").json()["total"] >= 2)


def test_a_running_tree_is_found_and_right(running_server: Server) -> None:
    post(running_server, [
        {"event_type": "game_ended", "user_id": user, "payload": {"score": 1}} for user in ("a", "b")
    ])  # fmt: skip
    result = verify(running_server, "--all")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [check.name for check in CHECKS]
    document = json.loads(verify(running_server, "--json", "--sample", "50", "--seed", "7").stdout)
    assert (document["is_ok"], document["sample"], document["seed"]) == (True, 50, 7)
    assert {each["name"]: each["promise"] for each in document["checks"]} == {
        check.name: check.promise for check in CHECKS
    }
    looked = {each["name"]: each["looked_at"] for each in document["checks"]}
    assert looked["entries_match_events"] >= 2


def test_a_finding_ends_with_1(running_server: Server) -> None:
    post(running_server, [
        {"event_type": "game_ended", "user_id": user, "payload": {"score": 3}} for user in ("c", "d")
    ])  # fmt: skip
    state = read_state(running_server.data_dir)
    assert state is not None
    with psycopg.connect(state.database_url, autocommit=True, options="-c search_path=grandstand") as connection:
        eventually(lambda: connection.execute("SELECT FROM entries WHERE user_id = 'c'").fetchone() is not None)
        connection.execute("UPDATE entries SET score = score + 5 WHERE user_id = 'c'")
        try:
            result = verify(running_server, "--check", "entries_match_events")
            document = json.loads(verify(running_server, "--check", "entries_match_events", "--json").stdout)
        finally:
            connection.execute("UPDATE entries SET score = score - 5 WHERE user_id = 'c'")
    assert result.returncode == 1
    assert result.stdout.startswith("entries_match_events")
    assert "1 finding" in result.stdout
    assert "user_id c" in result.stdout
    (check,) = document["checks"]
    assert (document["is_ok"], check["status"], check["findings"]) == (False, "findings", 1)
    assert check["examples"][0]["ids"]["user_id"] == "c"
    assert verify(running_server, "--check", "entries_match_events").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--check", "nothing"), "There is no check 'nothing'"),
        (("--data-dir", "/nowhere"), "No `grandstand up` runs in"),
    ],
)
def test_what_cannot_run_ends_with_2(running_server: Server, arguments: tuple[str, ...], said: str) -> None:
    known = () if "--data-dir" in arguments else ("--data-dir", str(running_server.data_dir))
    code, sentence = run_refused("verify", *known, *arguments)
    assert code == 2
    assert said in sentence


def test_engines_out_of_reach_end_with_2() -> None:
    code, sentence = run_refused(
        "verify",
        GRANDSTAND_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        GRANDSTAND_VALKEY_URL="valkey://127.0.0.1:1",
    )
    assert code == 2
    assert "cannot be reached" in sentence
