"""Rows of one player's rank, the neighbourhood, and a lookup of 20 players, beside raw ZRANK calls.

The ceiling calls ZRANK for the same players from one process with the product's client library, over as many
connections as the load has: one round trip a call, no HTTP, no total, no score, no check that the index is complete.
"""

import msgspec
from valkey.asyncio import Valkey

from bench.jobs import Job
from bench.load import LoadOrder
from bench.measures import Row, mean_cores
from bench.raw_ranks import RANKS_KEY, RankOrder, prepare_ranks
from bench.suite import BOARD, OK, Suite, run_counted
from bench.workload import Workload
from grandstand.lab.http_connection import request_of

TARGET = 0.45
"""Of one player's rank; the others are informational."""

_LOOKUP_PLAYERS = 20
_REQUESTS = 2_000


async def measure(suite: Suite) -> list[Row]:
    """Measure the three reads and the raw calls, round by round."""
    workload = Workload(suite.plan.players, suite.next_seed())
    user_ids = [event.user_id for event in workload.events(_REQUESTS)]
    requests = _requests(user_ids, suite.deployment.server_key)
    await _fill(suite.valkey, workload.user_ids)
    rates: dict[str, list[float]] = {name: [] for name in requests}
    cpu: dict[str, list[dict[str, float]]] = {name: [] for name in requests}
    raw = []
    try:
        for number in range(suite.plan.rounds):
            suite.say(f"rank reads, round {number + 1} of {suite.plan.rounds}")
            raw.append(await _raw(suite, tuple(user_ids)))
            for name, texts in requests.items():
                rate, cores = await _product(suite, texts)
                rates[name].append(rate)
                cpu[name].append(cores)
    finally:
        await suite.valkey.unlink(RANKS_KEY)
    titles = {
        "rank": "rank of one player",
        "nearby": "nearby: 5 above and 5 below",
        "lookup": f"lookup of {_LOOKUP_PLAYERS} players",
    }
    return [
        Row(
            name,
            titles[name],
            "reads/s",
            rates[name],
            raw,
            "raw ZRANK calls",
            TARGET if name == "rank" else None,
            cpu_cores=mean_cores(cpu[name]),
        )
        for name in requests
    ]


def _requests(user_ids: list[str], key: str) -> dict[str, tuple[bytes, ...]]:
    path = f"/api/leaderboards/{BOARD}"
    groups = [user_ids[start : start + _LOOKUP_PLAYERS] for start in range(0, len(user_ids), _LOOKUP_PLAYERS)]
    return {
        "rank": tuple(request_of("GET", f"{path}/users/{user_id}", key=key) for user_id in user_ids),
        "nearby": tuple(request_of("GET", f"{path}/users/{user_id}/nearby", key=key) for user_id in user_ids),
        "lookup": tuple(
            request_of("POST", f"{path}/lookup", key=key, body=msgspec.json.encode({"user_ids": group}))
            for group in groups
        ),
    }


async def _product(suite: Suite, requests: tuple[bytes, ...]) -> tuple[float, dict[str, float]]:
    plan, deployment = suite.plan, suite.deployment
    order = LoadOrder(deployment.host, deployment.port, plan.read_connections, requests, plan.read_seconds)
    result, cores = await run_counted(suite, order, OK)
    return result.rate, cores


async def _fill(valkey: Valkey, user_ids: list[str]) -> None:
    for start in range(0, len(user_ids), 1000):
        chunk = user_ids[start : start + 1000]
        await valkey.zadd(RANKS_KEY, {user_id: (start + place) * 37 % 1_000_003 for place, user_id in enumerate(chunk)})


async def _raw(suite: Suite, members: tuple[str, ...]) -> float:
    plan = suite.plan
    order = RankOrder(suite.deployment.state.valkey_url, members, plan.read_connections, plan.read_seconds)
    async with Job(prepare_ranks, order) as job:
        job.begin()
        return await job.result()
