"""Row of poison: the drain of a full stream with one event among all that no attempt can store, beside one without.

The bad event stands in the middle, in a block with good ones, past every check. The clock runs from letting the workers
go until every good event is stored and ranked; the bad one has its attempts afterwards and becomes a dead letter, which
is waited for and checked before the next round.
"""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from bench.measures import Row, mean_cores
from bench.rows.holding import held
from bench.suite import ACCEPTED, Suite, run_load
from bench.workload import Workload
from grandstand.domain.event_model import join_entry
from grandstand.storage.event_stream import HIGH

TARGET = 0.9
_NEIGHBOURS = 99
_ROUNDS_EACH = 3
_POLL_SECONDS = 0.005
_POISON = (
    b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1,"note":"a\\u0000b"},'
    b'"id":"%s","occurred_at":"2026-01-01T00:00:00Z"}'
)
"""PostgreSQL keeps no NUL; the API refuses it, so it goes into the stream directly."""


async def measure(suite: Suite) -> list[Row]:
    """Measure rounds with and without, each first in turn."""
    with_poison: list[float] = []
    without: list[float] = []
    with_cpu: list[dict[str, float]] = []
    without_cpu: list[dict[str, float]] = []
    rounds = suite.plan.rounds * _ROUNDS_EACH
    await _drain(suite, has_poison=True)
    for number in range(rounds):
        suite.say(f"one poison event, round {number + 1} of {rounds}")
        for has_poison in ((True, False), (False, True))[number % 2]:
            rate, cores = await _drain(suite, has_poison=has_poison)
            (with_poison if has_poison else without).append(rate)
            (with_cpu if has_poison else without_cpu).append(cores)
    ours = ("postgres", "worker", "valkey")
    cpu = [
        sum(sum(cores.get(name, 0.0) for name in ours) / rate for cores, rate in zip(measured, rates, strict=True))
        for measured, rates in ((with_cpu, with_poison), (without_cpu, without))
    ]
    return [
        Row(
            "poison", f"drain of {suite.plan.poisoned_events:,} events, one of them poison", "events/s",
            with_poison, without, "the same without", TARGET, cpu_cores=mean_cores(with_cpu),
            facts={"cpu_ratio": round(cpu[0] / cpu[1], 3)},
        )
    ]  # fmt: skip


async def _drain(suite: Suite, *, has_poison: bool) -> tuple[float, dict[str, float]]:
    total = suite.plan.poisoned_events
    halves = (total // 2, total - total // 2 - _NEIGHBOURS - 1)
    async with suite.all_stored(total - has_poison):
        with held(suite.deployment.pids_of("worker")) as let_go:
            await _post(suite, halves[0])
            good = Workload(suite.plan.players, suite.next_seed()).events(_NEIGHBOURS + (not has_poison))
            texts = [msgspec.json.encode(event) for event in good]
            if has_poison:
                texts.insert(_NEIGHBOURS // 2, _POISON % str(uuid4()).encode())
            await suite.streams.append_encoded(HIGH, len(texts), join_entry(texts), datetime.now(UTC))
            await _post(suite, halves[1])
            suite.settle()
            suite.cpu.start()
            began_at = let_go()
            # The bad event's block stays until the event has had its attempts; its neighbours do not wait for that.
            good_at = await suite.wait_until_drained(left=len(texts) if has_poison else 0)
            while suite.count_stored([event.id for event in good]) < len(good):
                await asyncio.sleep(_POLL_SECONDS)
                good_at = time.monotonic()
            cores = suite.cpu.stop()
        await suite.wait_until_drained()
    return total / (good_at - began_at), cores


async def _post(suite: Suite, events: int) -> None:
    await run_load(suite.product_load(events, suite.plan.batch_size, suite.plan.batch_connections), ACCEPTED)
