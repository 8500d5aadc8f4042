"""`grandstand boards` and `grandstand replay` against a running tree."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner, Result

from grandstand.cli.main import app
from tests.support.server import Server
from tests.support.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
RUNS = {"event_type": "run", "operator": "best", "field": "points"}


@pytest.fixture
def grandstand(running_server: Server, tmp_path: Path) -> Run:
    """Run the command with the server's URL and key, in a folder of the test."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        server = {"GRANDSTAND_URL": running_server.url, "GRANDSTAND_SERVER_KEY": running_server.keys.server}
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


@pytest.fixture
def in_process(running_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The same in this process, for what is refused: that commands start and print is shown by the others."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Result:
        server = {"GRANDSTAND_URL": running_server.url, "GRANDSTAND_SERVER_KEY": running_server.keys.server}
        return CliRunner().invoke(app, arguments, env={**server, **environment})

    return run


@pytest.fixture
def api(running_server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {running_server.keys.server}"}
    with httpx.Client(base_url=running_server.url, headers=headers, timeout=30) as client:
        yield client
        for board in client.get("/api/leaderboards").json()["leaderboards"]:
            if board["key"] != "global":
                client.delete(f"/api/leaderboards/{board['key']}")


def write(folder: Path, name: str, boards: dict[str, Any]) -> str:
    (folder / name).write_text(yaml.safe_dump({"leaderboards": boards}))
    return name


def keys(api: httpx.Client) -> set[str]:
    return {board["key"] for board in api.get("/api/leaderboards").json()["leaderboards"]}


FULL = {
    "full": {
        "title": "Völlig: 'yes' & no",
        "event_type": "run",
        "operator": "latest",
        "field": "stats.points",
        "where": {"mode": "ranked", "build": 7, "ok": True, "ratio": 0.5},
        "order": "asc",
        "period": "cron: 0 6 * * 1",
        "timezone": "Europe/Berlin",
        "visibility": "private",
        "min_score": -(2**53) + 1,
        "max_score": 2**53 - 1,
        "keep": ["level", "on"],
        "tiers": [{"id": "gold", "top_percent": 2.5}, {"id": "rest", "top_percent": 100.0}],
        "bucket_size": 50,
        "tie_breaks": [{"field": "assists", "order": "asc"}],
    },
    "short": {"event_type": "run", "operator": "count"},
}


@pytest.mark.parametrize("name", ["boards.yaml", "boards.toml"])
def test_export_and_apply_are_each_others_inverse(
    grandstand: Run, api: httpx.Client, tmp_path: Path, name: str
) -> None:
    first = grandstand("boards", "apply", write(tmp_path, "first.yml", FULL))
    assert first.returncode == 0, first.stderr
    assert "+ full: created\n" in first.stdout
    assert first.stdout.endswith("2 created.\n")
    assert "\n  global: not in the file; stays\n" in first.stdout
    before = api.get("/api/leaderboards").json()

    exported = grandstand("boards", "export", name)
    assert (exported.returncode, exported.stdout) == (0, "")
    text = (tmp_path / name).read_text()
    content = tomllib.loads(text) if name.endswith("toml") else yaml.safe_load(text)
    assert content["leaderboards"]["full"] == FULL["full"]
    assert content["leaderboards"]["short"] == FULL["short"], "defaults are left out"
    assert grandstand("boards", "export", "-", "--format", name.partition(".")[2]).stdout == text

    again = grandstand("boards", "apply", name)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "3 unchanged.")
    assert api.get("/api/leaderboards").json() == before
    assert api.delete("/api/leaderboards/full").status_code == 204
    assert grandstand("boards", "apply", "-", "--format", name.partition(".")[2], stdin=text).returncode == 0
    assert api.get("/api/leaderboards").json() == before


def test_apply_shows_what_differs_and_prunes_when_told(grandstand: Run, api: httpx.Client, tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", {"a": RUNS, "b": RUNS, "gone": RUNS})
    assert grandstand("boards", "apply", "one.yaml").returncode == 0
    write(tmp_path, "two.yaml", {"a": RUNS | {"title": "Ä", "max_score": 5}, "b": RUNS, "new": RUNS})
    wanted = (
        '~ a: changed\n    title: null → "Ä"\n    max_score: null → 5\n= b: unchanged\n'
        "  global: not in the file; stays\n- gone: deleted\n+ new: created\n"
    )
    assert (
        "  gone: not in the file; stays (--prune deletes it)\n"
        in grandstand("boards", "apply", "two.yaml", "--dry-run").stdout
    )
    dry = grandstand("boards", "apply", "two.yaml", "--prune", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout == wanted + "Dry run, nothing is changed: 1 created, 1 changed, 1 unchanged, 1 deleted.\n"
    assert {board["key"] for board in api.get("/api/leaderboards").json()["leaderboards"]} == {
        "a",
        "b",
        "gone",
        "global",
    }
    done = grandstand("boards", "apply", "two.yaml", "--prune")
    assert done.stdout == wanted + "1 created, 1 changed, 1 unchanged, 1 deleted.\n"
    assert {board["key"] for board in api.get("/api/leaderboards").json()["leaderboards"]} == {
        "a",
        "b",
        "new",
        "global",
    }
    again = grandstand("boards", "apply", "two.yaml", "--prune")
    assert again.stdout.splitlines()[-1] == "3 unchanged."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("leaderboards: {a: {event_type: run, operator: best}}", "a.field: is needed by the operator 'best'"),
        ("leaderboards: {user: {event_type: run, operator: count}}", "user.key: 'user' is reserved"),
        ("leaderboards: {a: {event_type: run, operator: count, color: red}}", "a.color: "),
        ("leaderboards: {a: {event_type: x, operator: count}, a: {event_type: y}}", "'a' is there twice"),
        ("leaderboards: {on: {event_type: run, operator: count}}", "a key that is no text, True"),
        ("leaderboards: []", "must hold 'leaderboards'"),
        ("boards: {}", "must hold 'leaderboards'"),
        ("- a", "must hold 'leaderboards'"),
        ("leaderboards: {a: ", "is not YAML"),
        ("leaderboards: !!python/object/apply:os.system [exit]", "is not YAML"),
        ("leaderboards: {a: 5}", "a.$: "),
    ],
)  # fmt: skip
def test_a_wrong_file_changes_nothing(
    in_process: Callable[..., Result], api: httpx.Client, tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    result = in_process("boards", "apply", "wrong.yaml")
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert words in result.stderr
    assert result.stderr.startswith("grandstand: wrong.yaml")
    assert keys(api) == {"global"}


def test_what_stops_the_command_is_one_sentence(
    in_process: Callable[..., Result], grandstand: Run, tmp_path: Path
) -> None:
    write(tmp_path, "boards.yaml", {"a": RUNS})
    cases = [
        (("boards", "apply", "missing.yaml"), {}, 2, "missing.yaml cannot be read: no such file"),
        (("boards", "apply", "boards.ini"), {}, 2, "say which it is with --format"),
        (("boards", "export", "x.yaml", "--format", "xml"), {}, 2, "none of yaml, toml and json"),
        (("boards", "apply", "boards.yaml"), {"GRANDSTAND_SERVER_KEY": ""}, 2, "The server key is missing"),
        (("boards", "apply", "boards.yaml"), {"GRANDSTAND_SERVER_KEY": "gs_server_wrong"}, 4, "refuses the key"),
        (("boards", "apply", "boards.yaml"), {"GRANDSTAND_URL": "http://127.0.0.1:1"}, 4, "cannot be reached"),
        (("boards", "export", "-"), {"GRANDSTAND_URL": "ftp://x"}, 2, "must begin with http"),
    ]
    for arguments, environment, code, words in cases:
        result = in_process(*arguments, **environment)
        assert (result.exit_code, result.stdout) == (code, ""), (arguments, result.stderr)
        assert words in result.stderr
        assert "Traceback" not in result.stderr
        assert isinstance(result.exception, SystemExit), result.exception
    for arguments, words in (
        (("replay", "global"), "GRANDSTAND_DATABASE_URL is missing"),
        (("replay", "global", "--data-dir", str(tmp_path)), "No `grandstand up` runs in"),
    ):
        ended = grandstand(*arguments)
        assert (ended.returncode, ended.stdout) == (2, ""), (arguments, ended.stderr)
        assert words in ended.stderr
        assert "Traceback" not in ended.stderr


def send(api: httpx.Client, key: str, scores: dict[str, list[int]]) -> None:
    events = [
        {"event_type": "run", "user_id": user, "payload": {"points": points}}
        for user, each in scores.items()
        for points in each
    ]
    assert api.post("/api/events", json=events).json()["accepted"] == len(events)
    eventually(lambda: api.get("/api/health").json()["stream"]["depth"] == 0)
    eventually(lambda: api.get(f"/api/leaderboards/{key}").json()["total"] == len(scores))


def ranks(api: httpx.Client, key: str) -> list[tuple[str, int]]:
    return [(each["user_id"], each["score"]) for each in api.get(f"/api/leaderboards/{key}").json()["entries"]]


def test_a_rule_that_changes_under_entries_is_replayed(
    grandstand: Run, api: httpx.Client, tmp_path: Path, running_server: Server
) -> None:
    write(tmp_path, "boards.yaml", {"runs": RUNS})
    assert grandstand("boards", "apply", "boards.yaml").returncode == 0
    send(api, "runs", {"ann": [10], "bob": [6, 7], "cleo": [1]})
    assert ranks(api, "runs") == [("ann", 10), ("bob", 7), ("cleo", 1)]

    write(tmp_path, "boards.yaml", {"a-new": RUNS, "runs": RUNS | {"operator": "sum"}})
    refused = grandstand("boards", "apply", "boards.yaml")
    assert refused.returncode == 1
    assert "    refused: What decides scores cannot change under existing entries" in refused.stdout
    assert "    to change it with its entries: grandstand replay runs --rule boards.yaml\n" in refused.stdout
    assert refused.stdout.endswith("1 created, 1 refused.\n")

    here = ("--data-dir", str(running_server.data_dir))
    dry = grandstand("replay", "runs", "--rule", "boards.yaml", "--dry-run", *here)
    assert dry.returncode == 0, dry.stderr
    assert "runs: 4 events read, 2 players move." in dry.stdout
    assert dry.stdout.endswith("Dry run: the leaderboard is as it was.\n")
    assert ranks(api, "runs") == [("ann", 10), ("bob", 7), ("cleo", 1)]

    done = grandstand("replay", "runs", "--rule", "boards.yaml", "--json", *here)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["leaderboard"], outcome["events"], outcome["is_in_force"]) == ("runs", 4, True)
    moves = {move["user_id"]: move for move in outcome["moves"]}
    assert moves["bob"] == {"user_id": "bob", "rank_before": 2, "rank_after": 1, "score_before": 7, "score_after": 13}
    assert (moves["ann"]["rank_after"], moves["ann"]["score_after"]) == (2, 10)
    eventually(lambda: ranks(api, "runs") == [("bob", 13), ("ann", 10), ("cleo", 1)])
    assert grandstand("boards", "apply", "boards.yaml").stdout.splitlines()[-1] == "2 unchanged."

    again = grandstand("replay", "runs", *here)
    assert again.stdout == "runs: 4 events read, 0 players move.\nIt is in force.\n"
    send(api, "runs", {"ann": [5], "bob": [1], "cleo": [1]})
    eventually(lambda: ranks(api, "runs") == [("ann", 15), ("bob", 14), ("cleo", 2)])


def test_a_replay_that_cannot_be_says_why(
    grandstand: Run, api: httpx.Client, tmp_path: Path, running_server: Server
) -> None:
    here = ("--data-dir", str(running_server.data_dir))
    missing = grandstand("replay", "nothing", *here)
    assert (missing.returncode, missing.stderr) == (1, "grandstand: There is no leaderboard 'nothing'.\n")
    write(tmp_path, "boards.yaml", {"runs": RUNS})
    other = grandstand("replay", "global", "--rule", "boards.yaml", *here)
    assert (other.returncode, other.stderr) == (2, "grandstand: boards.yaml has no leaderboard 'global'.\n")
    (tmp_path / "rule.json").write_text(json.dumps(RUNS | {"period": "yearly"}))
    wrong = grandstand("replay", "global", "--rule", "rule.json", *here)
    assert wrong.returncode == 2
    assert "period: must be all_time" in wrong.stderr
