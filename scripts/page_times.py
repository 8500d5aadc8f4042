"""How long the console's pages take, and what watching costs: `python scripts/page_times.py --events 1000000`.

Starts a deployment of its own, fills it with so many events of so many players, then asks each page in turn and tells
the median, the worst, the rows that it showed, and the processor time of the whole deployment (engines too), which
other load does not change. A report over many events is asked for until the scheduler has counted it; how long that
took is told, too. At the end events are posted at a steady rate, in turns with so many overviews held open and without,
and the processor time of the HTTP processes is told for both. Exits with 1 when a page's median is above 100 ms or the
overviews take 2 % of a core, which is what they take from ingest where that fills a core.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
from screenshots import KEY, PAGES, PASSWORD, read_url

from grandstand.storage.event_log import EventLog
from grandstand.supervisor.state import read_state

PAGE_MS_MAX = 100.0
WATCH_SHARE_MAX = 0.02
ROUNDS = 15
DAYS = 60
WATCH_SECONDS = 10.0
WATCH_ROUNDS = 8
POSTERS = 2
BATCH = 50
PAUSE_SECONDS = 0.05
ABSENT = ("missing", "leaderboard-replay", "player-long", "events-refused")
"""Pages of what is not there, or that refuse."""

REPORT_SECONDS_MAX = 600.0
MEASURED = {name: path for name, path in PAGES.items() if name not in ABSENT} | {
    "players, Berlin": "/console/analytics/players?timezone=Europe/Berlin",
    "retention, by field": "/console/analytics/retention?by=platform",
    "events, Berlin": "/console/analytics/events?timezone=Europe/Berlin",
    "sessions, 30 days": f"/console/analytics/sessions?from={datetime.now(UTC) - timedelta(days=29):%Y-%m-%d}",
}
PLAYER = "player-0000007"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--players", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--viewers", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="grandstand-pages-") as data:
        unlimited = {f"GRANDSTAND_RATE_LIMIT_{who}_REQUESTS": "0" for who in ("ANONYMOUS", "SERVER", "CLIENT")}
        environment = {**os.environ, **unlimited, "GRANDSTAND_ADMIN_KEY": KEY, "GRANDSTAND_PORT": "0",
                       "GRANDSTAND_DATA_DIR": data}  # fmt: skip
        tree = subprocess.Popen(
            [sys.executable, "-m", "grandstand", "up"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            url = read_url(tree)
            fill(url, data, options.players, options.events)
            add = [sys.executable, "-m", "grandstand", "operators", "add", "ann", "--role", "admin", "--password-stdin"]
            subprocess.run([*add, "--data-dir", data], input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)
            with httpx.Client(base_url=url, timeout=60) as client:
                answer = client.post("/console/log-in", data={"name": "ann", "password": PASSWORD})
                client.headers["Cookie"] = f"gs_console={answer.cookies['gs_console']}"
                slow = measure(client, tree.pid, options.players, options.events)
                share = watch(client, tree.pid, options.viewers)
        finally:
            tree.send_signal(signal.SIGTERM)
            tree.wait()
    return 1 if slow or share >= WATCH_SHARE_MAX else 0


def fill(url: str, data: str, players: int, events: int) -> None:
    """Import an event of each player, which ranks it, and put the rest into the tables, received when they occurred."""
    headers = {"Authorization": f"Bearer {KEY}"}
    board = {"title": "Weekly race", "event_type": "game_ended", "field": "score", "operator": "best"}
    cup = {
        "id": "friday-cup", "event_type": "game_ended", "field": "score", "operator": "best",
        "starts_at": datetime.now(UTC).isoformat(), "ends_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    with httpx.Client(base_url=url, headers=headers, timeout=None) as client:
        client.put("/api/leaderboards/weekly-race", json=board).raise_for_status()
        client.post("/api/tournaments", json=cup).raise_for_status()
        client.post("/api/events/import", content=write_events(players)).raise_for_status()
        while client.get("/api/health").json()["stream"]["depth"]:
            time.sleep(1)
    asyncio.run(store(data, players, events - players))
    subprocess.run([sys.executable, "-m", "grandstand", "rollups", "rebuild", "--data-dir", data], check=True)


async def store(data: str, players: int, events: int) -> None:
    """Store events of the last `DAYS` days without ingest, which would have received all of them today."""
    state = read_state(Path(data))
    assert state is not None
    connection: Any = await asyncpg.connect(
        state.database_url, server_settings={"search_path": state.database_schema}, timeout=10
    )
    try:
        now = datetime.now(UTC)
        for days in range(0, DAYS + 31, 15):
            await EventLog().create_partition(connection, now - timedelta(days=min(days, DAYS)))
        await connection.execute("SELECT setseed(0.5)")
        statement = Path(__file__).with_name("page_events.sql").read_text(encoding="utf-8")
        await connection.execute(statement, events, players, DAYS, now - timedelta(minutes=15))
        await connection.execute("VACUUM ANALYZE events")
    finally:
        await connection.close()


def write_events(players: int) -> Iterator[bytes]:
    """Yield lines of NDJSON, a thousand at a time: a game of each player."""
    chance, now = random.Random(1), datetime.now(UTC)
    for first in range(0, players, 1000):
        lines = []
        for number in range(first, min(first + 1000, players)):
            occurred_at = now - timedelta(seconds=chance.random() * DAYS * 86_400)
            event = {"id": str(uuid.uuid4()), "event_type": "game_ended", "user_id": f"player-{number:07}",
                     "occurred_at": occurred_at.isoformat(), "payload": {"score": chance.randrange(1_000_000)},
            }  # fmt: skip
            lines.append(json.dumps(event))
        yield ("\n".join(lines) + "\n").encode()


def measure(client: httpx.Client, pid: int, players: int, events: int) -> list[str]:
    """Ask for each page and print a row about it; return those that took too long."""
    slow = []
    print(f"Pages at {events:,} events of {players:,} players in {DAYS} days, {ROUNDS} times each")
    print(f"{'page':<22} {'median ms':>10} {'worst ms':>10} {'processor ms':>13} {'rows':>6} {'counted in s':>13}")
    for name, path in MEASURED.items():
        path = path.replace("player-07", PLAYER)
        counted_seconds = wait_for(client, path)
        times, rows, busy = [], 0, used_seconds(tree := processes(pid))
        for _ in range(ROUNDS):
            began_at = time.perf_counter()
            answer = client.get(path).raise_for_status()
            times.append(1000 * (time.perf_counter() - began_at))
            rows = max(0, answer.text.count("<tr>") - answer.text.count("<thead><tr>"))
        cpu_ms = 1000 * (used_seconds(tree) - busy) / ROUNDS
        median = statistics.median(times)
        print(
            f"{name:<22} {median:10.1f} {max(times):10.1f} {cpu_ms:13.1f} {rows:6} {counted_seconds:13.1f}", flush=True
        )
        if median > PAGE_MS_MAX:
            slow.append(name)
    print("Slower than 100 ms: " + (", ".join(slow) or "none"))
    return slow


def wait_for(client: httpx.Client, path: str) -> float:
    """Ask for a page until what it shows is counted; return the seconds."""
    began_at = time.monotonic()
    while "This is being counted" in client.get(path).raise_for_status().text:
        if time.monotonic() > began_at + REPORT_SECONDS_MAX:
            sys.exit(f"{path} is not counted within {REPORT_SECONDS_MAX:.0f} seconds.")
        time.sleep(0.5)
    return time.monotonic() - began_at


def watch(client: httpx.Client, pid: int, viewers: int) -> float:
    """Post events at a steady rate, in turns with and without open overviews; return what these take of a core.

    It is what an HTTP process that ingest fills has less for events: processor time, the median of pairs of turns.
    """
    serving = [each for each in processes(pid) if re.search(r"--role (ingest|api)", " ".join(each.cmdline()))]
    used: dict[int, list[float]] = {0: [], viewers: []}
    for number in range(WATCH_ROUNDS):
        for count in (0, viewers) if number % 2 else (viewers, 0):
            with ExitStack() as stack:
                readers = [stack.enter_context(open_overview(client)) for _ in range(count)]
                used[count].append(post_steadily(str(client.base_url), serving))
                if not all(reader.is_alive() for reader in readers):
                    sys.exit("An overview was not shown to the end.")
    share = statistics.median(after - before for before, after in zip(used[0], used[viewers], strict=True))
    events = POSTERS * BATCH / PAUSE_SECONDS
    one, other = (statistics.median(used[count]) for count in (0, viewers))
    print(
        f"HTTP processes at {events:,.0f} events a second: {1e6 * one / events:.1f} us an event, with {viewers} "
        f"overviews open {1e6 * other / events:.1f} us; these take {share:.2%} of a core"
    )
    return share


@contextmanager
def open_overview(client: httpx.Client) -> Iterator[Thread]:
    """Read the overview's stream as a browser does, until the end."""
    with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=60) as own, ExitStack() as stack:
        answer = stack.enter_context(own.stream("GET", "/console/live"))

        def read() -> None:
            with suppress(httpx.HTTPError, httpx.StreamError, OSError):
                for _ in answer.iter_raw():
                    pass

        reader = Thread(target=read, daemon=True)
        reader.start()
        yield reader
        answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        reader.join()


def post_steadily(url: str, serving: list[psutil.Process]) -> float:
    """Post events for a while, by several at once; return the processor time of the processes as a share of a core."""
    began_at, before = time.monotonic(), used_seconds(serving)
    with ThreadPoolExecutor(POSTERS) as threads:
        list(threads.map(lambda _: post(url, began_at), range(POSTERS)))
    return (used_seconds(serving) - before) / (time.monotonic() - began_at)


def post(url: str, began_at: float) -> None:
    """Post batches of events when they are due, for `WATCH_SECONDS`."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    event = {"event_type": "looked", "user_id": PLAYER, "payload": {"mode": "ranked"}}
    body = json.dumps([event] * BATCH)
    for number in range(round(WATCH_SECONDS / PAUSE_SECONDS)):
        time.sleep(max(0.0, began_at + number * PAUSE_SECONDS - time.monotonic()))
        connection.request("POST", "/api/events", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.ACCEPTED:
            sys.exit(f"Events were not taken: {answer.status}")
    connection.close()


def processes(pid: int) -> list[psutil.Process]:
    """Return every process of the deployment."""
    return psutil.Process(pid).children(recursive=True)


def used_seconds(tree: list[psutil.Process]) -> float:
    """Return the processor time that processes have used."""
    total = 0.0
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            total += sum(each.cpu_times()[:2])
    return total


if __name__ == "__main__":
    sys.exit(main())
