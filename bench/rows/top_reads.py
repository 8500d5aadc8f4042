"""Rows of reading the top 100 of `global`, without credentials, as a game's clients or an edge would.

- `top_100`: nothing changes meanwhile. The ceiling is a raw ASGI handler on the same server that answers the same bytes
  with as many headers.
- `top_100_unchanged`: the same for clients that have the page already (304), beside that page's 200 in the same round.
- `top_100_changing`: scores of the board change meanwhile, about 100 batches a second, so that no copy stays good for
  long (informational, beside the same ceiling).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.load import LoadOrder
from bench.measures import Row, mean_cores
from bench.raw_http import answering
from bench.suite import BOARD, OK, MeasuredWrongError, Suite, raw_rate, run_counted
from bench.workload import Workload, body_of
from grandstand.lab.http_connection import HttpClient, body_in, headers_in, request_of

TARGET = 0.7
UNCHANGED_TARGET = 1.0
PLAYERS_MIN = 1_000
_PATH = f"/api/leaderboards/{BOARD}"
# uvicorn adds this one to every answer.
_ADDED_BY_SERVER = {b"date"}
_CHANGE_PAUSE_SECONDS = 0.01
NOT_MODIFIED = 304


async def measure(suite: Suite) -> list[Row]:
    """Measure reads of a quiet board and of one that changes, beside the raw handler."""
    status, answer = await _page(suite)
    if status != OK or body_in(answer).count(b'"rank"') != 100 or suite.plan.players < PLAYERS_MIN:
        raise MeasuredWrongError(f"The board did not answer with its top 100: status {status}.")
    headers = tuple(pair for pair in headers_in(answer) if pair[0] not in _ADDED_BY_SERVER)
    raw = answering(body_in(answer), headers)
    quiet, unchanged, changing, ceilings, quiet_cpu, changing_cpu = [], [], [], [], [], []
    for number in range(suite.plan.rounds):
        suite.say(f"top 100, round {number + 1} of {suite.plan.rounds}")
        ceilings.append(await raw_rate(raw, OK, lambda host, port: _load(suite, host, port)))
        rate, cores = await _product(suite)
        quiet.append(rate)
        quiet_cpu.append(cores)
        # Of now: the scores that changed in the last round made another page.
        tag = dict(headers_in((await _page(suite))[1]))[b"etag"]
        unchanged.append((await _product(suite, b"If-None-Match: " + tag + b"\r\n", NOT_MODIFIED))[0])
        async with _scores_change(suite):
            rate, cores = await _product(suite)
        changing.append(rate)
        changing_cpu.append(cores)
        await suite.wait_until_drained()
    ceiling_title = "raw ASGI handler, same bytes"
    return [
        Row(
            "top_100", f"top 100 of a board of {suite.plan.players:,} players", "reads/s", quiet, ceilings,
            ceiling_title, TARGET, cpu_cores=mean_cores(quiet_cpu), facts={"answer_bytes": len(answer)},
        ),
        Row(
            "top_100_unchanged", "the same for clients that have it (304)", "reads/s", unchanged, quiet,
            "the same page with its 200", UNCHANGED_TARGET,
        ),
        Row(
            "top_100_changing", "top 100 while its scores change all the time", "reads/s", changing, ceilings,
            ceiling_title, cpu_cores=mean_cores(changing_cpu),
        ),
    ]  # fmt: skip


async def _page(suite: Suite) -> tuple[int, bytes]:
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    try:
        return await client.ask(request_of("GET", _PATH))
    finally:
        client.close()


def _load(suite: Suite, host: str, port: int, more: bytes = b"") -> LoadOrder:
    request = request_of("GET", _PATH)[:-2] + more + b"\r\n"
    return LoadOrder(host, port, suite.plan.read_connections, (request,), suite.plan.read_seconds)


async def _product(suite: Suite, more: bytes = b"", status: int = OK) -> tuple[float, dict[str, float]]:
    order = _load(suite, suite.deployment.host, suite.deployment.port, more)
    result, cores = await run_counted(suite, order, status)
    return result.rate, cores


@asynccontextmanager
async def _scores_change(suite: Suite) -> AsyncIterator[None]:
    """Post a small batch about every 10 ms during the block."""
    workload = Workload(suite.plan.players, suite.next_seed())
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)

    async def post() -> None:
        while True:
            body = body_of(workload.events(10))
            await client.ask(request_of("POST", "/api/events", key=suite.deployment.server_key, body=body))
            await asyncio.sleep(_CHANGE_PAUSE_SECONDS)

    posting = asyncio.create_task(post())
    try:
        yield
    finally:
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        client.close()
