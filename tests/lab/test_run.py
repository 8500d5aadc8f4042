"""The lab against a real server, and what it must not overlook: a server that stands still, a promise not kept."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest
import valkey

from grandstand.lab.audit import Reader
from grandstand.lab.load_model import LoadModel
from grandstand.lab.report import figures_of
from grandstand.lab.run import Run
from grandstand.lab.verdict import judge
from grandstand.lab.vitals import Vitals
from grandstand.supervisor.state import State, read_state
from tests.support.server import Server

pytestmark = pytest.mark.anyio
PLAYERS = 3_000
STILL_SECONDS = 1.0


def new_run(server: Server, seed: int, *, players: int = PLAYERS, **options: Any) -> Run:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    model = LoadModel(players)
    return Run(parts.hostname, parts.port, server.keys.server, model, seed, lambda _: None, **options)


async def load(run: Run, server: Server, seconds: float) -> Vitals:
    parts = urlsplit(server.url)
    vitals = Vitals(parts.hostname or "", parts.port or 0, server.keys.server)
    await run.prepare()
    await run.load("peak", seconds, vitals)
    return vitals


async def processed(server: Server) -> State:
    parts = urlsplit(server.url)
    await Reader(parts.hostname or "", parts.port or 0, server.keys.server).wait_until_processed()
    state = read_state(server.data_dir)
    assert state is not None
    return state


def lab(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grandstand", "lab", *arguments]
    command += ["--url", server.url, "--key", server.keys.server]
    return subprocess.run(command, capture_output=True, text=True, timeout=150)


def test_the_commands_write_what_they_promise(running_server: Server, tmp_path: Path) -> None:
    files = "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")
    result = lab(running_server, "run", "--dau", str(PLAYERS), "--minutes", "0.05", *files)
    report = json.loads((tmp_path / "r.json").read_text())
    assert result.returncode == (3 if report["verdict"] == "Not measured" else 0), result.stdout + result.stderr
    assert (report["errors"], report["lost"], report["doubled"], report["wrong"]) == (0, 0, 0, 0)
    assert report["load"]["events"] > 0
    assert report["load"]["audited_events"] == report["load"]["events"]
    assert report["load"]["reads"] > 0
    assert 0 < report["accept_p99_ms"] <= report["latencies_ms"]["accept"]["worst"]
    assert report["generator"]["limit"]["requests_per_second"] > 0
    assert "requests/s" in result.stdout
    assert report["server"]["pools"]["write"]["max"] > 0
    page = (tmp_path / "r.html").read_text()
    assert report["verdict"] in page
    assert page.count("<svg") > 5
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert running_server.keys.server not in page

    found = subprocess.run(
        [sys.executable, "-m", "grandstand", "lab", "compare", *[str(tmp_path / "r.json")] * 2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "accept_p99_ms" in found.stdout


def test_the_capacity_is_searched_within_its_time_and_beside_nothing_else(
    running_server: Server, tmp_path: Path
) -> None:
    files = [
        "--json",
        str(tmp_path / "c.json"),
        "--html",
        str(tmp_path / "c.html"),
        "--steps",
        str(tmp_path / "s.json"),
    ]
    times = ["--minutes", "0.1", "--step-seconds", "3", "--first", "1000"]
    result = lab(running_server, "capacity", *times, *files)
    assert result.returncode in (0, 3), result.stdout + result.stderr
    report = json.loads((tmp_path / "c.json").read_text())
    assert [row["daily_players"] for row in report["table"]] == [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    assert report["steps"] == json.loads((tmp_path / "s.json").read_text())["steps"]
    assert "10,000,000" in (tmp_path / "c.html").read_text()

    board = b'{"event_type":"of_people","operator":"count"}'
    put(running_server, "/api/leaderboards/of-people", board)
    result = lab(running_server, "capacity", *times)
    assert result.returncode == 2
    assert "of-people" in result.stderr
    assert "--beside-data" in result.stderr


def put(server: Server, path: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {server.keys.server}", "Content-Type": "application/json"}
    assert httpx.put(server.url + path, content=body, headers=headers).status_code == 201


async def test_a_server_that_sleeps_is_in_the_percentiles(running_server: Server) -> None:
    began = threading.Event()
    # So many that a percentile is one of many reads, whatever the seed makes of them.
    run = new_run(running_server, 2, players=10 * PLAYERS, generators=2, tell=lambda _: began.set())
    processes = running_server.named("--role ingest")

    def stand_still() -> None:
        began.wait(60)
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
    tally = run.outcome.tally
    assert (tally.p_ms("accept", 90) or 0) > 300 * STILL_SECONDS
    # Reads are due whether or not the events before them were answered.
    assert (tally.p_ms("rank", 90) or 0) > 200 * STILL_SECONDS
    # Whose rank is looked for is chosen when a game is due: of all that waited not only one.
    assert (tally.p_ms("visible", 90) or 0) > 300 * STILL_SECONDS
    await run.close()
    assert run.audit.is_clean, run.audit.findings


async def test_a_generator_that_sleeps_is_no_verdict_on_the_server(running_server: Server) -> None:
    began = threading.Event()
    run = new_run(running_server, 4, players=10 * PLAYERS, tell=lambda _: began.set())
    parts = urlsplit(running_server.url)
    vitals = Vitals(parts.hostname or "", parts.port or 0, running_server.keys.server)

    def stand_still() -> None:
        began.wait(60)
        for pid in vitals.generator_pids:
            psutil.Process(pid).suspend()
        time.sleep(STILL_SECONDS)
        for pid in vitals.generator_pids:
            psutil.Process(pid).resume()

    thread = threading.Thread(target=stand_still)
    thread.start()
    try:
        await run.prepare()
        await run.load("peak", 3, vitals)
    finally:
        await asyncio.to_thread(thread.join)
    figures = figures_of(run, vitals.samples, "peak", is_here=True)
    assert figures.late_p99_ms > 300 * STILL_SECONDS
    assert judge(figures)[0] == "Not measured"


def lose_one(state: State, run: Run) -> None:
    with psycopg.connect(state.database_url, autocommit=True) as database:
        one = f"SELECT id FROM {state.database_schema}.events WHERE event_type = %s LIMIT 1"
        deleted = f"DELETE FROM {state.database_schema}.events WHERE id IN ({one})"
        assert database.execute(deleted, (run.names.other_type,)).rowcount == 1


def double_one(state: State, run: Run) -> None:
    events = f"{state.database_schema}.events"
    with psycopg.connect(state.database_url, autocommit=True) as database:
        # The ids of a partition are unique; those of two need our care.
        one = f"CREATE TEMP TABLE one AS SELECT * FROM {events} WHERE event_type = '{run.names.other_type}' LIMIT 1"
        database.execute(one)
        database.execute("UPDATE one SET received_at = date_trunc('month', received_at) + interval '35 days'")
        assert database.execute(f"INSERT INTO {events} SELECT * FROM one").rowcount == 1


def swap_two_ranks(state: State, run: Run) -> None:
    schema = state.database_schema
    with psycopg.connect(state.database_url, autocommit=True) as database:
        row = database.execute(
            f"SELECT ranking_id FROM {schema}.rankings JOIN {schema}.leaderboards AS l USING (leaderboard_id)"
            " WHERE l.key = %s",
            (run.names.board,),
        ).fetchone()
    assert row is not None
    client = valkey.Valkey.from_url(state.valkey_url)
    try:
        key = f"{state.valkey_prefix}:{{r{row[0]}}}:ranks"
        (first, first_score), (last, last_score) = (client.zrange(key, at, at, withscores=True)[0] for at in (0, -1))
        client.zadd(key, {first: last_score, last: first_score})
    finally:
        client.close()


@pytest.mark.parametrize(
    ("plant", "lost", "doubled"), [(lose_one, 1, 0), (double_one, 0, 1), (swap_two_ranks, 0, 0)]
)  # fmt: skip
async def test_what_is_not_as_promised_is_found(
    running_server: Server, plant: Callable[[State, Run], Any], lost: int, doubled: int
) -> None:
    run = new_run(running_server, 3)
    await load(run, running_server, 2)
    state = await processed(running_server)
    assert run.audit.is_clean
    assert run.audit.acknowledged.total > 10
    plant(state, run)
    await run.close()
    assert (run.audit.lost, run.audit.doubled) == (lost, doubled)
    assert run.audit.wrong > 0
    assert not run.audit.is_clean
