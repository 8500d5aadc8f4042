"""Rows of latency at a light load: how long until an event is acknowledged, and until its rank is served.

Events arrive at fixed times, whether or not earlier ones have been answered (open loop), and every latency counts from
that time. `visible` ends with the answer of `GET …/users/{user_id}` that shows the event's score: each event raises its
player's score, and the player is asked for until it shows, with a short pause between two questions. So the figure
includes the question's own round trip and up to one pause.
"""

import asyncio
import time
from dataclasses import dataclass, field

import msgspec

from bench.measures import Row, percentile
from bench.suite import ACCEPTED, BOARD, OK, MeasuredWrongError, Suite
from bench.workload import SCORE_MAX, Workload, body_of
from grandstand.lab.http_connection import HttpClient, body_in, request_of

VISIBLE_P99_LIMIT_MS = 1_000.0
_POLL_PAUSE_SECONDS = 0.002
_VISIBLE_TIMEOUT_SECONDS = 10.0
_CONNECTIONS_SPARE = 16


class _Rank(msgspec.Struct):
    score: int


_decode_rank = msgspec.json.Decoder(_Rank).decode


@dataclass
class _Latencies:
    accept_ms: list[float] = field(default_factory=list)
    visible_ms: list[float] = field(default_factory=list)


async def measure(suite: Suite) -> list[Row]:
    """Send events at the light load and follow each until it is visible."""
    rate = suite.plan.light_load_events_per_second
    suite.say(f"latency at {rate} events/s")
    suite.cpu.start()
    latencies = await _send_and_follow(suite, max(1, int(suite.plan.latency_seconds * rate)), rate)
    cores = suite.cpu.stop()
    facts: dict[str, float | int | str | bool] = {"samples": len(latencies.visible_ms), "events_per_second": rate}
    rows = []
    for key, title, values, limit in (
        ("accept", "acknowledged (202)", latencies.accept_ms, None),
        ("visible", "rank served", latencies.visible_ms, VISIBLE_P99_LIMIT_MS),
    ):
        p50, p99 = (round(percentile(values, share), 2) for share in (0.5, 0.99))
        rows += [
            Row(f"{key}_p50_ms", f"{title}, p50 at {rate} events/s", "ms", [p50], facts=facts, cpu_cores=cores),
            Row(f"{key}_p99_ms", f"{title}, p99", "ms", [p99], limit=limit, facts=facts, cpu_cores=cores),
        ]
    return rows


async def _send_and_follow(suite: Suite, count: int, rate: int) -> _Latencies:
    latencies = _Latencies()
    clients = [await HttpClient.open(suite.deployment.host, suite.deployment.port) for _ in range(_CONNECTIONS_SPARE)]
    idle: asyncio.Queue[HttpClient] = asyncio.Queue()
    for client in clients:
        idle.put_nowait(client)
    games = Workload(suite.plan.players, suite.next_seed()).games_of_everyone()
    began_at = time.monotonic() + 0.1
    try:
        async with asyncio.TaskGroup() as group:
            for number, game in enumerate(games[:count]):
                # Above every score so far.
                game.payload["score"] = SCORE_MAX + number
                due_at = began_at + number / rate
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                request = request_of("POST", "/api/events", key=suite.deployment.server_key, body=body_of([game]))
                group.create_task(_follow(suite, idle, request, game.user_id, SCORE_MAX + number, due_at, latencies))
    finally:
        for client in clients:
            client.close()
    return latencies


async def _follow(
    suite: Suite,
    idle: "asyncio.Queue[HttpClient]",
    request: bytes,
    user_id: str,
    score: int,
    due_at: float,
    latencies: _Latencies,
) -> None:
    client = await idle.get()
    try:
        status, answer = await client.ask(request)
        if status != ACCEPTED:
            raise MeasuredWrongError(f"An event got {status}: {body_in(answer).decode(errors='replace')}")
        latencies.accept_ms.append((time.monotonic() - due_at) * 1000)
        question = request_of("GET", f"/api/leaderboards/{BOARD}/users/{user_id}", key=suite.deployment.server_key)
        while True:
            status, answer = await client.ask(question)
            if status == OK and _decode_rank(body_in(answer)).score >= score:
                break
            if time.monotonic() - due_at > _VISIBLE_TIMEOUT_SECONDS:
                raise MeasuredWrongError(f"A score was not visible within {_VISIBLE_TIMEOUT_SECONDS:.0f} s.")
            await asyncio.sleep(_POLL_PAUSE_SECONDS)
        latencies.visible_ms.append((time.monotonic() - due_at) * 1000)
    finally:
        idle.put_nowait(client)
