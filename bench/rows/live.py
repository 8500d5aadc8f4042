"""Row of live boards: the whole path with many listeners on one board, beside the same without any.

The facts say what the listeners heard meanwhile: all stay connected, and none waits longer for an update than
`silence_most_seconds` while scores change all the time.
"""

import asyncio
import statistics
import time

from bench.jobs import Job
from bench.listeners import Heard, ListenOrder, prepare_listeners
from bench.measures import Row
from bench.suite import ACCEPTED, BOARD, Suite, run_load

TARGET = 0.8
_LISTEN_SECONDS_MIN = 2.0


async def measure(suite: Suite) -> list[Row]:
    """Measure rounds without and with listeners."""
    with_listeners, without = [], []
    heard: list[Heard] = []
    for number in range(suite.plan.rounds):
        suite.say(f"live boards, round {number + 1} of {suite.plan.rounds}")
        without.append(await _whole_path(suite))
        rate, found = await _listened(suite, suite.plan.batched_events / without[-1])
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


async def _listened(suite: Suite, seconds: float) -> tuple[float, Heard]:
    deployment = suite.deployment
    order = ListenOrder(
        deployment.host, deployment.port, f"/api/leaderboards/{BOARD}/live", suite.plan.listeners,
        max(_LISTEN_SECONDS_MIN, seconds),
    )  # fmt: skip
    async with Job(prepare_listeners, order) as job:
        job.begin()
        result = asyncio.ensure_future(job.result())
        rates: list[float] = []
        while not rates or not result.done():
            rate = await _whole_path(suite)
            # One that went on after the listeners had left says nothing; the first is long enough not to.
            if not rates or not result.done():
                rates.append(rate)
        return statistics.fmean(rates), await result


async def _whole_path(suite: Suite) -> float:
    events = suite.plan.batched_events
    order = suite.product_load(events, suite.plan.batch_size, suite.plan.batch_connections)
    suite.settle()
    began_at = time.monotonic()
    await run_load(order, ACCEPTED)
    return events / (await suite.wait_until_drained() - began_at)
