"""Rows of scaling: what two processes do beside one, on the same deployment, one right after the other.

- `two_workers`: draining the stream, as the row `drain` does, with two workers and with one.
- `two_http`: reads of the first page of a board with two HTTP processes and with one.

The one that is not meant to work is stopped by a signal. Its last wait for events ends by itself at the stream, so
after a moment nothing is handed to it; nobody is connected to it, for both accept from one socket.

Engines and the generator share the machine, so on two cores the rates cannot double: two HTTP processes leave the
generator nothing. `by_cpu` says what they would come to on cores of their own: twice the CPU time that one needs for a
thing, by what two need for it. Below two lies what they cost each other (locks, caches, smaller batches).
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from bench.load import LoadOrder
from bench.measures import Row, mean_cores
from bench.rows.holding import held
from bench.suite import ACCEPTED, BOARD, OK, MeasuredWrongError, Suite, open_suite, run_counted, run_load
from grandstand.lab.http_connection import request_of

TARGET = 1.6
_PLAYERS = 1_000
_LAST_WAIT_SECONDS = 0.5
"""Longer than a worker's wait for new blocks lasts at the stream."""

_Measured = tuple[float, dict[str, float]]


async def measure(suite: Suite) -> list[Row]:
    """Measure both rows. Needs two workers or more, of which two are used."""
    if suite.deployment.workers < 2:
        raise MeasuredWrongError("How workers scale needs two of them: measure with --workers 2.")
    async with AsyncExitStack() as stack:
        two_http = await open_suite(stack, replace(suite.plan, players=_PLAYERS), 1, suite.say, http_processes=2)
        drains: dict[int, list[_Measured]] = {1: [], 2: []}
        reads: dict[int, list[_Measured]] = {1: [], 2: []}
        for number in range(suite.plan.rounds):
            suite.say(f"scaling, round {number + 1} of {suite.plan.rounds}")
            for processes in (1, 2) if number % 2 == 0 else (2, 1):
                drains[processes].append(await _drain(suite, processes))
                reads[processes].append(await _read(two_http, processes))
    return [
        _row(
            "two_workers", "scaling: drain with two workers", "events/s", drains, "one worker", ("worker", "postgres")
        ),
        _row("two_http", "scaling: top 100 with two HTTP processes", "reads/s", reads, "one process", ("http",)),
    ]


def _row(key: str, title: str, unit: str, measured: dict[int, list[_Measured]], one: str, ours: tuple[str, ...]) -> Row:
    rates = {processes: [rate for rate, _ in rounds] for processes, rounds in measured.items()}
    cores = {processes: mean_cores([used for _, used in rounds]) for processes, rounds in measured.items()}
    # What each thing costs the processes whose scaling is asked for.
    each = {
        processes: sum(cores[processes].get(name, 0.0) for name in ours) * len(rates[processes]) / sum(rates[processes])
        for processes in rates
    }
    return Row(
        key, title, unit, rates[2], rates[1], one, TARGET if key == "two_workers" else None, cpu_cores=cores[2],
        facts={
            "by_cpu": round(2 * each[1] / each[2], 2) if each[2] else 0.0,
            "cores_of_one": ", ".join(f"{name} {share:.2f}" for name, share in cores[1].items()),
        },
    )  # fmt: skip


async def _drain(suite: Suite, workers: int) -> _Measured:
    events = suite.plan.batched_events
    pids = suite.deployment.pids_of("worker")
    load = suite.product_load(events, suite.plan.batch_size, suite.plan.batch_connections)
    async with suite.all_stored(events):
        with held(pids[workers:]), held(pids[:workers]) as let_go:
            await asyncio.sleep(_LAST_WAIT_SECONDS)
            await run_load(load, ACCEPTED)
            suite.settle()
            suite.cpu.start()
            began_at = let_go()
            drained_at = await suite.wait_until_drained()
            cores = suite.cpu.stop()
    return events / (drained_at - began_at), cores


async def _read(suite: Suite, processes: int) -> _Measured:
    deployment = suite.deployment
    request = request_of("GET", f"/api/leaderboards/{BOARD}")

    order = LoadOrder(
        deployment.host, deployment.port, suite.plan.read_connections, (request,), suite.plan.read_seconds
    )  # fmt: skip
    with held(deployment.pids_of("http")[processes:]):
        result, cores = await run_counted(suite, order, OK)
    return result.rate, cores
