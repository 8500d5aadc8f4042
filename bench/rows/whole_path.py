"""Rows of the whole path: batches posted over HTTP until every event is stored, deduplicated and ranked.

- `whole_path`: workers run while the events come in; from the first request until the stream is empty.
- `accept_batches`: only until the last 202 (every event is on the disk, in the stream), while the workers are held.
- `drain`: the same events, from letting the workers go until the stream is empty.

The ceiling of storing is COPY into a sibling of the events table (see raw_copy), over as many connections as there are
workers. It does not parse, deduplicate across batches, rank, or survive anything. Accepting has a raw ASGI handler that
reads the same bodies as its ceiling. Every measurement begins after a checkpoint; who goes first alternates.

After each round the stored events are counted, so a figure never comes from events that were lost.
"""

from bench.jobs import Job
from bench.load import LoadOrder, LoadResult
from bench.measures import Row, mean_cores
from bench.raw_copy import CopyOrder, copy_rate, create_sibling
from bench.raw_http import accepting
from bench.rows.holding import held
from bench.suite import ACCEPTED, Suite, raw_rate, run_load

TARGET = 0.3
TRANSACTION_ROWS = 4_000
"""As many as a worker aims to store in one transaction (`GRANDSTAND_WORKER_BATCH_MAX`)."""


async def measure(suite: Suite) -> list[Row]:
    """Measure the three rows, beside the COPY and the raw handler of the same round."""
    await create_sibling(suite.database_url, suite.schema)
    whole, accept, drain = [], [], []
    copies, raw_accepts = [], []
    whole_cpu, accept_cpu, drain_cpu = [], [], []
    for number in range(suite.plan.rounds):
        suite.say(f"whole path, round {number + 1} of {suite.plan.rounds}")
        if number % 2 == 0:
            copies.append(await _copy(suite))
        rate, cores = await _whole_path(suite)
        whole.append(rate)
        whole_cpu.append(cores)
        if number % 2 == 1:
            copies.append(await _copy(suite))
        (accept_rate, accept_cores), (drain_rate, drain_cores) = await _in_two_steps(suite)
        accept.append(accept_rate)
        drain.append(drain_rate)
        accept_cpu.append(accept_cores)
        drain_cpu.append(drain_cores)
        raw_accepts.append(
            suite.plan.batch_size * await raw_rate(accepting(), ACCEPTED, lambda h, p: _load(suite, h, p))
        )
    copy_title = f"COPY over {suite.deployment.workers} connections"
    return [
        Row(
            "whole_path", f"whole path: batches of {suite.plan.batch_size} posted, stored, deduplicated, ranked",
            "events/s", whole, copies, copy_title, TARGET, cpu_cores=mean_cores(whole_cpu),
        ),
        Row(
            "drain", "drain: the same from the stream on (workers let go)",
            "events/s", drain, copies, copy_title, cpu_cores=mean_cores(drain_cpu),
        ),
        Row(
            "accept_batches", "accept: the same until the last 202 (workers held)",
            "events/s", accept, raw_accepts, "raw ASGI handler, same bodies", cpu_cores=mean_cores(accept_cpu),
        ),
    ]  # fmt: skip


def _load(suite: Suite, host: str, port: int) -> LoadOrder:
    return suite.event_load(suite.plan.batched_events, suite.plan.batch_size, suite.plan.batch_connections, host, port)


async def _whole_path(suite: Suite) -> tuple[float, dict[str, float]]:
    events = suite.plan.batched_events
    drained_at = 0.0
    cores: dict[str, float] = {}

    async def until_ranked(job: Job[LoadResult]) -> None:
        nonlocal drained_at, cores
        suite.settle()
        suite.cpu.start(generator=job.pid)
        job.begin()
        await job.result()
        drained_at = await suite.wait_until_drained()
        cores = suite.cpu.stop()

    async with suite.all_stored(events):
        result = await run_load(_load(suite, suite.deployment.host, suite.deployment.port), ACCEPTED, until_ranked)
    return events / (drained_at - result.began_at), cores


async def _in_two_steps(suite: Suite) -> tuple[tuple[float, dict[str, float]], tuple[float, dict[str, float]]]:
    events = suite.plan.batched_events
    accept_cores: dict[str, float] = {}

    async def until_accepted(job: Job[LoadResult]) -> None:
        nonlocal accept_cores
        suite.settle()
        suite.cpu.start(generator=job.pid)
        job.begin()
        await job.result()
        accept_cores = suite.cpu.stop()

    async with suite.all_stored(events):
        with held(suite.deployment.pids_of("worker")) as let_go:
            load = _load(suite, suite.deployment.host, suite.deployment.port)
            result = await run_load(load, ACCEPTED, until_accepted)
            suite.cpu.start()
            began_at = let_go()
            drained_at = await suite.wait_until_drained()
            drain_cores = suite.cpu.stop()
    return (events / result.seconds, accept_cores), (events / (drained_at - began_at), drain_cores)


async def _copy(suite: Suite) -> float:
    rows = suite.plan.batched_events // suite.deployment.workers
    suite.settle()
    return await copy_rate(
        [
            CopyOrder(suite.database_url, suite.schema, suite.plan.players, suite.next_seed(), rows, TRANSACTION_ROWS)
            for _ in range(suite.deployment.workers)
        ]
    )
