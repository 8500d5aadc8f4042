"""The scheduler of a running tree is killed again and again while it settles: settled once, paid once, told once."""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from grandstand.supervisor.state import read_state
from tests.support.server import Server
from tests.support.waiting import eventually

CUPS = 60
PLAYERS = 20
PRIZES = [
    {"from": 1, "kind": "gold", "amount": 100},
    {"from": 2, "to": 3, "kind": "gold", "amount": 10},
    {"top_percent": 100, "kind": "ticket", "amount": 1},
]
WANTED = Counter({("gold", 100): CUPS, ("gold", 10): 2 * CUPS, ("ticket", 1): PLAYERS * CUPS})
ENVIRONMENT = {
    "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "0",
    "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0",
    "GRANDSTAND_WEBHOOK_ALLOW_PRIVATE": "true",
}
AMID = ("cup-20", "cup-40")
"""The scheduler is killed amid the settlement of each."""


class Told(ThreadingHTTPServer):
    """Keeps what it is told: the ids under which each thing was told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ids: dict[tuple[str, str], set[str]] = defaultdict(set)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
        data = message["data"]
        name = data.get("prize_id", data["tournament_id"])
        assert isinstance(self.server, Told)
        self.server.ids[message["type"], name].add(self.headers["webhook-id"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        pass


@pytest.fixture
def told() -> Iterator[Told]:
    server = Told()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_killed_again_and_again(up: Callable[..., Server], told: Told) -> None:
    server = up(environment=ENVIRONMENT)
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as api, ExitStack() as stack:
        play(api, told)
        watching = stack.enter_context(connect(server))
        in_the_way = [stack.enter_context(connect(server)) for _ in AMID]
        for cup, connection in zip(AMID, in_the_way, strict=True):
            take_place(connection, cup)
        end_soon(api)
        while in_the_way:
            waited_for = eventually(
                lambda: [each for each in in_the_way if is_waited_for(watching, each)], 60, "it is amid a settlement"
            )[0]
            assert kill_scheduler(server) == 1
            check(api)
            waited_for.rollback()
            in_the_way.remove(waited_for)
        settled = 0
        while settled < CUPS:
            # A new one leads when the lease of the dead one is over.
            eventually(lambda known=settled: count(api, "settled") > known, 60, "the settlement goes on")
            settled = count(api, "settled")
            check(api)
        prizes = check(api)
        assert Counter((prize["kind"], prize["amount"]) for prize in prizes) == WANTED
        names = [("prize.awarded", prize["id"]) for prize in prizes]
        names += [("tournament.settled", f"cup-{number}") for number in range(CUPS)]
        names += [("tournament.started", f"cup-{number}") for number in range(CUPS)]
        eventually(lambda: told.ids.keys() >= set(names), 60, "all is told")
    assert {name: len(ids) for name, ids in told.ids.items()} == dict.fromkeys(names, 1)


def connect(server: Server) -> "psycopg.Connection[Any]":
    state = read_state(server.data_dir)
    assert state is not None
    return psycopg.connect(state.database_url, options=f"-c search_path={state.database_schema}")


def take_place(connection: "psycopg.Connection[Any]", cup: str) -> None:
    """Stand where the winner of a tournament is to stand, in a transaction that stays open."""
    connection.execute(
        "INSERT INTO standings (tournament_id, occurrence, rank, user_id, score, achieved_at) "
        "VALUES (%s, 1, 1, %s, 0, now())",
        (cup, f"u{PLAYERS - 1}"),
    )


def is_waited_for(watching: "psycopg.Connection[Any]", other: "psycopg.Connection[Any]") -> bool:
    with watching.transaction():
        found = watching.execute(
            "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", (other.info.backend_pid,)
        ).fetchone()
    return found is not None


def play(api: httpx.Client, told: Told) -> None:
    """Tournaments that are played."""
    url = f"http://127.0.0.1:{told.server_port}/hooks"
    assert api.post("/api/webhooks", json={"url": url}).status_code == 201
    now = datetime.now(UTC)
    for number in range(CUPS):
        made = api.post(
            "/api/tournaments",
            json={
                "id": f"cup-{number}", "starts_at": (now - timedelta(minutes=1)).isoformat(),
                "ends_at": (now + timedelta(hours=1)).isoformat(), "event_type": "race", "field": "score",
                "operator": "best", "prizes": PRIZES,
            },
        )  # fmt: skip
        assert made.status_code == 201, made.text
    events = [
        {
            "event_type": "race", "user_id": f"u{player}", "occurred_at": now.isoformat(),
            "payload": {"score": player, "tournament_id": f"cup-{number}"},
        }
        for number in range(CUPS) for player in range(PLAYERS)
    ]  # fmt: skip
    for start in range(0, len(events), 100):
        assert api.post("/api/events", json=events[start : start + 100]).json()["accepted"] == 100
    eventually(lambda: count(api, "active") == CUPS, 30, "all have begun")
    ranked = lambda: sum(each["players"] for each in listed(api, "active")) == CUPS * PLAYERS  # noqa: E731
    eventually(ranked, 30, "all is ranked")


def end_soon(api: httpx.Client) -> None:
    """Let them all end in the same moment, a little ahead; those that it has passed by in the next one."""
    left = [f"cup-{number}" for number in range(CUPS)]
    while left:
        ends_at = datetime.now(UTC) + timedelta(seconds=4)
        while left and api.patch(f"/api/tournaments/{left[-1]}", json={"ends_at": ends_at.isoformat()}).is_success:
            left.pop()
        assert not left or datetime.now(UTC) >= ends_at, "why else should it be refused"


def kill_scheduler(server: Server) -> int:
    """Kill -9 the scheduler, if one runs; return how many were killed."""
    found = server.named("--role scheduler")
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
    return len(found)


def check(api: httpx.Client) -> list[dict[str, Any]]:
    """What holds at any time: a tournament is settled with all its prizes, or has none; nobody has one twice."""
    settled = {each["id"] for each in listed(api, "settled")}
    prizes: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get("/api/prizes", params={"limit": 1000} | ({"cursor": cursor} if cursor else {})).json()
        prizes += page["prizes"]
        cursor = page["next_cursor"]
    by_cup = Counter(prize["tournament_id"] for prize in prizes)
    assert settled <= by_cup.keys()
    assert set(by_cup.values()) <= {PLAYERS + 3}
    keys = Counter((prize["tournament_id"], prize["user_id"], prize["kind"]) for prize in prizes)
    assert set(keys.values()) <= {1}
    return prizes


def listed(api: httpx.Client, status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/api/tournaments", params={"status": status, "limit": 1000}).json()[
        "tournaments"
    ]
    return found


def count(api: httpx.Client, status: str) -> int:
    return len(listed(api, status))
