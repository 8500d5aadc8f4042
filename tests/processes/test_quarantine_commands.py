"""`grandstand quarantine` against a running tree."""

import json
import os
import subprocess
import sys
from typing import Any

import httpx

from tests.support.server import Server
from tests.support.waiting import eventually


def run(server: Server, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "grandstand", "quarantine", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "GRANDSTAND_URL": server.url, "GRANDSTAND_SERVER_KEY": server.keys.server},
    )
    assert done.returncode == code, done.stderr
    return done


def test_list_release_and_reject(running_server: Server) -> None:
    headers = {"Authorization": f"Bearer {running_server.keys.server}"}
    board = {"event_type": "quarantine_test", "operator": "sum", "field": "score", "plausibility": {"score_max": 10}}
    with httpx.Client(base_url=running_server.url, headers=headers, timeout=30) as client:
        assert client.put("/api/leaderboards/held-back", json=board).status_code == 201
        events = [
            {"event_type": "quarantine_test", "user_id": user_id, "payload": {"score": score}}
            for user_id, score in (("ann", 11), ("ann", 1), ("bob", 12))
        ]
        assert client.post("/api/events", json=events).status_code == 202

        def held() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(
                run(running_server, "list", "--board", "held-back", "--status", "held", "--json").stdout
            )["quarantine"]
            return found

        waiting = eventually(lambda: len(found := held()) == 2 and found, 60)
        rows = {row["user_id"]: row["id"] for row in waiting}
        assert "score_too_high" in run(running_server, "list", "--board", "held-back", "--user", "ann").stdout
        assert run(running_server, "release", rows["ann"]).stdout == f"{rows['ann']}: released.\n"
        assert run(running_server, "reject", rows["bob"]).stdout == f"{rows['bob']}: rejected.\n"
        assert "was rejected already" in run(running_server, "release", rows["bob"], code=1).stderr
        eventually(lambda: client.get("/api/leaderboards/held-back/users/ann").json().get("score") == 12, 60)
        assert client.get("/api/leaderboards/held-back/users/bob").status_code == 404
    assert held() == []
