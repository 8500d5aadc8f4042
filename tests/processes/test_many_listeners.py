"""Thousands of listeners of one live board, from a process of their own, on a complete tree."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.support.server import Server

LISTENERS = 2_000
UPDATE_SECONDS = 2.0


@pytest.fixture
def crowd(running_server: Server) -> Iterator[subprocess.Popen[str]]:
    url = f"{running_server.url}/api/leaderboards/global/live"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.listeners", url, str(LISTENERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    yield process
    process.communicate(timeout=30)


@pytest.mark.timeout(120)
def test_each_of_two_thousand_listeners_has_an_update_within_two_seconds(
    running_server: Server, crowd: subprocess.Popen[str]
) -> None:
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    assert crowd.stdout.readline() == "listening\n"
    headers = {"Authorization": f"Bearer {running_server.keys.server}"}
    with httpx.Client(base_url=running_server.url, headers=headers, timeout=30) as api:
        took: list[float] = []
        for number in range(1, 6):
            mark = f"player-{number}"
            print(mark, file=crowd.stdin, flush=True)
            sent_at = time.time()
            event = {"event_type": "game_ended", "user_id": mark, "payload": {"score": number}}
            assert api.post("/api/events", json=event).status_code == 202
            answer = json.loads(crowd.stdout.readline())
            assert answer["count"] == LISTENERS
            took.append(answer["last_at"] - sent_at)
        assert max(took) <= UPDATE_SECONDS, took
        metrics = api.get("/metrics").text
    assert f"\ngrandstand_live_listeners {LISTENERS}.0\n" in metrics
    assert "\ngrandstand_live_dropped_total 0.0\n" in metrics
    [http] = running_server.named("--role api")
    assert psutil.Process(http.pid).is_running()
