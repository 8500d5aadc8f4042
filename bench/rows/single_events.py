"""Row "single events": one event a request, until every event is stored, deduplicated and ranked.

The clock runs from the first request until the stream is empty, so a rate that the workers cannot keep up with does not
count; how far behind they were at most is noted as `lag_max_seconds`. The ceiling is a raw ASGI handler on the same
server that reads the body and answers 202, under the same load from the same generator.

Then half of that rate comes in at fixed times: `single_accept_p99_ms` is how long an acknowledgement takes, which is
sent after the disk has the event.
"""

import asyncio
import statistics
from dataclasses import replace

from bench.jobs import Job
from bench.load import LoadResult
from bench.measures import Row, mean_cores, percentile
from bench.raw_http import accepting
from bench.suite import ACCEPTED, Suite, raw_rate, run_counted, run_load

TARGET = 0.4
ACCEPT_P99_LIMIT_MS = 20.0
_PACED_SECONDS = 10.0
_POLL_SECONDS = 0.1


async def measure(suite: Suite) -> list[Row]:
    """Measure single posts beside the raw handler."""
    plan = suite.plan
    rates, ceilings, cpu, lags, waits_ms = [], [], [], [], []
    for number in range(plan.rounds):
        suite.say(f"single events, round {number + 1} of {plan.rounds}")
        if number % 2 == 0:
            ceilings.append(await _ceiling(suite))
        rate, cores, lag_seconds, wait_ms = await _product(suite)
        rates.append(rate)
        cpu.append(cores)
        lags.append(lag_seconds)
        waits_ms.append(wait_ms)
        if number % 2 == 1:
            ceilings.append(await _ceiling(suite))
    row = Row(
        "single_events", f"single events: one a request over {plan.single_connections} connections, until ranked",
        "events/s", rates, ceilings, "raw ASGI handler, 202", TARGET, cpu_cores=mean_cores(cpu),
        facts={"lag_max_seconds": max(lags), "accept_p99_ms_saturated": round(max(waits_ms), 1)},
    )  # fmt: skip
    return [row, await _at_half(suite, statistics.median(rates) / 2)]


async def _at_half(suite: Suite, per_second: float) -> Row:
    suite.say(f"single events, {per_second:,.0f} a second")
    events = min(suite.plan.single_events * 3, int(per_second * _PACED_SECONDS))
    order = replace(suite.product_load(events, 1, suite.plan.single_connections), per_second=per_second)
    async with suite.all_stored(events):
        result, cores = await run_counted(suite, order, ACCEPTED, is_settled=True)
        await suite.wait_until_drained()
    p50, p99 = (round(percentile(result.latencies_ms, share), 2) for share in (0.5, 0.99))
    return Row(
        "single_accept_p99_ms", f"202 to single events at half of that, {per_second:,.0f}/s, p99", "ms", [p99],
        limit=ACCEPT_P99_LIMIT_MS, cpu_cores=cores,
        facts={"events_per_second": round(per_second), "p50_ms": p50, "samples": len(result.latencies_ms)},
    )  # fmt: skip


async def _ceiling(suite: Suite) -> float:
    plan = suite.plan
    return await raw_rate(
        accepting(),
        ACCEPTED,
        lambda host, port: suite.event_load(plan.single_events, 1, plan.single_connections, host, port),
    )


async def _product(suite: Suite) -> tuple[float, dict[str, float], float, float]:
    events = suite.plan.single_events
    drained_at, lag_seconds = 0.0, 0.0
    cores: dict[str, float] = {}

    async def until_ranked(job: Job[LoadResult]) -> None:
        nonlocal drained_at, cores, lag_seconds
        suite.settle()
        suite.cpu.start(generator=job.pid)
        job.begin()
        posting = asyncio.create_task(job.result())
        while not posting.done():
            lag_seconds = max(lag_seconds, (await suite.streams.depth()).lag_seconds)
            await asyncio.wait([posting], timeout=_POLL_SECONDS)
        await posting
        drained_at = await suite.wait_until_drained()
        cores = suite.cpu.stop()

    async with suite.all_stored(events):
        load = suite.product_load(events, 1, suite.plan.single_connections)
        result = await run_load(load, ACCEPTED, until_ranked)
    return events / (drained_at - result.began_at), cores, lag_seconds, percentile(result.latencies_ms, 0.99)
