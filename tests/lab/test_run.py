"""A run of the lab against a real server, and what it must not overlook: a server that stands still, a lost event."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from grandstand.lab.load_model import LoadModel
from grandstand.lab.run import Run
from grandstand.lab.vitals import Vitals
from grandstand.supervisor.state import read_state
from tests.support.server import Server

pytestmark = pytest.mark.anyio
PLAYERS = 3_000
STILL_SECONDS = 1.0


def new_run(server: Server, seed: int) -> Run:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Run(parts.hostname, parts.port, server.keys.server, LoadModel(PLAYERS), seed, lambda _: None)


async def load(run: Run, server: Server, seconds: float) -> Vitals:
    parts = urlsplit(server.url)
    vitals = Vitals(parts.hostname or "", parts.port or 0, server.keys.server)
    await run.prepare()
    await run.load("peak", seconds, vitals)
    return vitals


def test_the_command_writes_what_it_promises(running_server: Server, tmp_path: Path) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "grandstand", "lab", "run", "--dau", str(PLAYERS), "--minutes", "0.05"),
            *("--url", running_server.url, "--key", running_server.keys.server),
            *("--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["errors"], report["lost"], report["doubled"], report["wrong"]) == (0, 0, 0, 0)
    assert report["verdict"] in ("Excellent", "Good", "Will struggle")
    assert report["load"]["events"] > 0
    assert report["load"]["reads"] > 0
    assert 0 < report["accept_p99_ms"] <= report["latencies_ms"]["accept"]["worst"]
    page = (tmp_path / "r.html").read_text()
    assert report["verdict"] in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert running_server.keys.server not in page


async def test_a_server_that_stands_still_is_in_the_percentiles(running_server: Server) -> None:
    run = new_run(running_server, 2)
    processes = running_server.named("--role ingest")

    def stand_still() -> None:
        time.sleep(1.5)
        for process in processes:
            process.suspend()
        time.sleep(STILL_SECONDS)
        for process in processes:
            process.resume()

    thread = threading.Thread(target=stand_still)
    thread.start()
    try:
        await load(run, running_server, 4)
    finally:
        await asyncio.to_thread(thread.join)
    # A quarter of the time nobody was answered: without counting from when requests were due, only a few would be slow.
    assert run.outcome.p_ms("accept", 90) > 300 * STILL_SECONDS
    await run.close()
    assert run.auditor.is_clean, run.auditor.findings


async def test_a_lost_event_is_found(running_server: Server) -> None:
    run = new_run(running_server, 3)
    await load(run, running_server, 2)
    state = read_state(running_server.data_dir)
    assert state is not None
    schema = state.database_schema
    sent = run.auditor.acknowledged.total
    while True:
        with psycopg.connect(state.database_url, autocommit=True) as database:
            one = f"SELECT id FROM {schema}.events WHERE event_type = %s LIMIT 1"
            wanted = (run.traffic.other_type,)
            lost = database.execute(f"DELETE FROM {schema}.events WHERE id IN ({one})", wanted).rowcount
        if lost:
            break
        await asyncio.sleep(0.05)
    await run.close()
    assert (run.auditor.lost, run.auditor.doubled) == (1, 0)
    assert sent > 10
    assert not run.auditor.is_clean
