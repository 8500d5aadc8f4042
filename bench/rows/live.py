"""Row of live boards: the whole path with many listeners on one board, beside the same without any.

Scores of the load change the top of a board ever more seldom, so one more player sets a record ten times a second, with
and without listeners: there is always something to tell. The facts say what the listeners heard between the load's
first request and the moment when all of it was processed: all stay connected, and none waits longer for an update than
`silence_most_seconds`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import msgspec

from bench.jobs import Job
from bench.listeners import Heard, ListenOrder, prepare_listeners
from bench.load import LoadResult
from bench.measures import Row
from bench.suite import ACCEPTED, BOARD, Suite, run_load
from bench.workload import SCORE_MAX
from grandstand.lab.http_connection import HttpClient, request_of

TARGET = 0.8
_LISTEN_SECONDS_MIN = 3.0
_RECORD_SECONDS = 0.1
_records = count(SCORE_MAX)


@dataclass
class _Heard:
    """What one round's listeners heard."""

    listeners: int
    updates_least: int
    silence_most_seconds: float


async def measure(suite: Suite) -> list[Row]:
    """Measure rounds without and with listeners."""
    with_listeners, without = [], []
    heard: list[_Heard] = []
    for number in range(suite.plan.rounds):
        suite.say(f"live boards, round {number + 1} of {suite.plan.rounds}")
        began_at, drained_at = await _whole_path(suite, None)
        without.append(suite.plan.batched_events / (drained_at - began_at))
        rate, found = await _listened(suite, drained_at - began_at)
        with_listeners.append(rate)
        heard.append(found)
    return [
        Row(
            "live", f"whole path with {suite.plan.listeners:,} listeners on the board", "events/s", with_listeners,
            without, "the same without listeners", TARGET,
            facts={
                "listeners": min(each.listeners for each in heard),
                "updates_least": min(each.updates_least for each in heard),
                "silence_most_seconds": round(max(each.silence_most_seconds for each in heard), 2),
            },
        )
    ]  # fmt: skip


async def _listened(suite: Suite, seconds: float) -> tuple[float, _Heard]:
    deployment = suite.deployment
    order = ListenOrder(
        deployment.host, deployment.port, f"/api/leaderboards/{BOARD}/live", suite.plan.listeners,
        # Well beyond the time that it takes without them.
        max(_LISTEN_SECONDS_MIN, 2 * seconds),
    )  # fmt: skip
    async with Job(prepare_listeners, order) as listeners:
        began_at, drained_at = await _whole_path(suite, listeners)
        until = min(drained_at, began_at + order.seconds)
        heard = await listeners.result()
    return suite.plan.batched_events / (drained_at - began_at), _Heard(
        heard.listeners, heard.updates_least(began_at, until), heard.silence_most_seconds(began_at, until)
    )


async def _whole_path(suite: Suite, listeners: Job[Heard] | None) -> tuple[float, float]:
    """Post the events; return when that began and when all were processed."""
    order = suite.product_load(suite.plan.batched_events, suite.plan.batch_size, suite.plan.batch_connections)
    suite.settle()

    async def begin(job: Job[LoadResult]) -> None:
        if listeners is not None:
            listeners.begin()
        job.begin()

    async with _records_set(suite):
        began_at = (await run_load(order, ACCEPTED, begin)).began_at
        return began_at, await suite.wait_until_drained()


@asynccontextmanager
async def _records_set(suite: Suite) -> AsyncIterator[None]:
    """Let one player set record after record while the block runs."""
    task = asyncio.create_task(_set_records(suite))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _set_records(suite: Suite) -> None:
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    try:
        for score in _records:
            event = {"event_type": "game_ended", "user_id": "champion", "payload": {"score": score}}
            body = msgspec.json.encode(event)
            await client.ask(request_of("POST", "/api/events", key=suite.deployment.server_key, body=body))
            await asyncio.sleep(_RECORD_SECONDS)
    finally:
        client.close()
