"""Rows of settlement: how long a large tournament takes from its end to `settled`, and what ingest notices of it.

Single events arrive at fixed times (open loop) on other boards while tournaments end, one after the other. A tournament
ends by `POST …/{id}/end`; with the deployment's short grace it is settled a moment later. Acknowledgements whose events
were due within `NEAR_SECONDS` before `settled` was seen are those beside a settlement; those far from any are the
others, of the same seconds of the same run.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec

from bench.measures import Row, percentile
from bench.paced import PacedPosts
from bench.suite import ACCEPTED, MeasuredWrongError, Suite
from bench.workload import Workload, batches, body_of
from grandstand.lab.http_connection import HttpClient, body_in, request_of
from grandstand.lab.own_server import SETTLED_AFTER_SECONDS

LIMIT_SECONDS = 5.0
NEAR_SECONDS = 0.4
FAR_SECONDS = 1.5
_CONNECTIONS = 32
_POLL_SECONDS = 0.005
_TIMEOUT_SECONDS = 60.0


async def measure(suite: Suite) -> list[Row]:
    """Settle one tournament after the other while events come in."""
    plan = suite.plan
    names = [f"bench-{suite.next_seed()}" for _ in range(plan.settlements)]
    for number, name in enumerate(names):
        suite.say(f"filling tournament {number + 1} of {len(names)}")
        await _fill(suite, name)
    suite.settle()
    suite.say(
        f"{len(names)} settlements of {plan.participants:,} players at {plan.settling_events_per_second} events/s"
    )
    sender = PacedPosts(suite, plan.settling_events_per_second, 1, _CONNECTIONS)
    sending = asyncio.create_task(sender.run())
    settled, took = [], []
    try:
        for name in names:
            await asyncio.sleep(2 * FAR_SECONDS)
            ended_at = await _end(suite, name)
            settled.append(await _wait_until_settled(suite, name))
            took.append(max(0.0, settled[-1] - ended_at - SETTLED_AFTER_SECONDS))
        await asyncio.sleep(FAR_SECONDS)
    finally:
        sender.over.set()
        await sending
    near = [ms for due, ms in sender.latencies if any(-NEAR_SECONDS <= due - at <= 0 for at in settled)]
    far = [ms for due, ms in sender.latencies if all(abs(due - at) > FAR_SECONDS for at in settled)]
    facts: dict[str, float | int | str | bool] = {
        "participants": plan.participants, "prizes": plan.awarded, "settlements": len(names),
        "acknowledged_beside": len(near), "acknowledged_away": len(far),
    }  # fmt: skip
    return [
        Row(
            "settlement_seconds", f"settlement of {plan.participants:,} players, {plan.awarded:,} prizes", "s",
            [round(seconds, 2) for seconds in took], limit=LIMIT_SECONDS, facts=facts,
        ),
        Row(
            "settling_accept_p99_ms", "acknowledged beside a settlement, p99", "ms",
            [round(percentile(near, 0.99), 2)], [round(percentile(far, 0.99), 2)], "away from any", facts=facts,
        ),
    ]  # fmt: skip


async def _fill(suite: Suite, name: str) -> None:
    plan = suite.plan
    now = datetime.now(UTC)
    await _ask(suite, "POST", "/api/tournaments", {
        "id": name, "title": name, "event_type": "cup_run", "field": "score", "operator": "best",
        "starts_at": (now - timedelta(minutes=1)).isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat(),
        "prizes": [{"from": 1, "to": plan.awarded, "kind": "gold", "amount": 10}],
    }, expected=201)  # fmt: skip
    events = Workload(plan.participants, suite.next_seed()).games_of_everyone()
    for event in events:
        event.event_type = "cup_run"
        event.payload["tournament_id"] = name
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    try:
        for batch in batches(events, plan.batch_size):
            status, answer = await client.ask(
                request_of("POST", "/api/events", key=suite.deployment.server_key, body=body_of(batch))
            )
            if status != ACCEPTED:
                raise MeasuredWrongError(f"A tournament's events got {status}: {answer.decode(errors='replace')}")
    finally:
        client.close()
    await suite.wait_until_drained()


async def _end(suite: Suite, name: str) -> float:
    await _ask(suite, "POST", f"/api/tournaments/{name}/end", {}, expected=200)
    return time.monotonic()


async def _wait_until_settled(suite: Suite, name: str) -> float:
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    request = request_of("GET", f"/api/tournaments/{name}", key=suite.deployment.server_key)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        while time.monotonic() < deadline:
            _, answer = await client.ask(request)
            if msgspec.json.decode(body_in(answer)).get("status") == "settled":
                return time.monotonic()
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        client.close()
    raise MeasuredWrongError(f"{name} was not settled within {_TIMEOUT_SECONDS:.0f} s: {suite.deployment.log_tail()}")


async def _ask(suite: Suite, method: str, path: str, body: dict[str, object], *, expected: int) -> None:
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    try:
        status, answer = await client.ask(
            request_of(method, path, key=suite.deployment.server_key, body=msgspec.json.encode(body))
        )
    finally:
        client.close()
    if status != expected:
        raise MeasuredWrongError(f"{method} {path} got {status}: {answer.decode(errors='replace')}")
