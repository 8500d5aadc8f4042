"""The worker's loop: order and shares, engines that go away, deliveries of the dead, a stop that loses nothing."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.operations.apply_events import Applied
from grandstand.storage.event_stream import HIGH, LOW, Block
from grandstand.telemetry import metrics
from tests.support.core import NOON, Core, event, open_core
from tests.support.engines import RunningEngines
from tests.support.proxy import open_proxy
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running

pytestmark = pytest.mark.anyio


@dataclass
class Recorder:
    """Stands where an applier stands and writes down what it is given."""

    before: Callable[[], Any] | None = None
    batches: list[list[Block]] = field(default_factory=list)

    async def apply(self, blocks: Sequence[Block]) -> Applied:
        self.batches.append(list(blocks))
        if self.before is not None:
            await self.before()
        return Applied()

    def events(self, priority: int) -> int:
        return sum(block.events for batch in self.batches for block in batch if block.priority == priority)


async def is_drained(core: Core) -> bool:
    return (await core.stream.depth()).depth == 0


async def test_events_flow_from_the_stream_to_the_ranks(core: Core) -> None:
    events = [event(f"p{number % 7}", number) for number in range(50)]
    async with running(consumer(core, core.applier)):
        for start in range(0, 50, 5):
            await core.stream.append(events[start : start + 3], events[start + 3 : start + 5], NOON)
        await eventually_async(lambda: is_drained(core))
    await core.check("global", events)
    assert (await core.stream.depth()).depth == 0


async def test_several_workers_share_the_stream(core: Core) -> None:
    await core.define("sum", operator="sum")
    events = [event(f"p{number % 7}", number) for number in range(600)]
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3):
            worker = consumer(core, core.new_applier(), f"w{number}", batch_max=20)
            await stack.enter_async_context(running(worker))
        for start in range(0, 600, 10):
            await core.stream.append(events[start : start + 10], [], NOON)
        await eventually_async(lambda: is_drained(core), 30)
    await core.check("sum", events)
    assert await core.count_events() == 600


async def test_high_goes_first_and_low_always_gets_its_share(core: Core) -> None:
    """Under a flood: there is always more of the high priority than a batch can hold."""
    stream = core.stream
    await stream.create_group()

    async def flood() -> None:
        for _ in range(60):
            await stream.append([event()] * 50, [], NOON)

    for _ in range(40):
        await stream.append([], [event()] * 50, NOON)
    await flood()
    recorder = Recorder(before=flood)
    worker = consumer(core, recorder)
    rounds = 0
    while recorder.events(LOW) < 2000:
        await worker._round()
        rounds += 1
        assert rounds <= 15, "the low priority starves"
    assert recorder.events(HIGH) > 2 * recorder.events(LOW), "the high priority does not come first"
    for batch in recorder.batches:
        priorities = [block.priority for block in batch]
        assert priorities == sorted(priorities), "high stands before low"
    assert (await stream.depth()).depth > 0


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
async def test_with_both_saturated_low_gets_its_share_and_high_the_rest(core: Core, share: float) -> None:
    """Measured over many batches, with blocks of all sizes."""
    stream, randomly = core.stream, random.Random(7)
    await stream.create_group()

    async def saturate() -> None:
        depth: list[int] = [await core.valkey.xlen(f"{core.prefix}:{{events}}:{name}") for name in ("high", "low")]
        for priority in (HIGH, LOW):
            for _ in range(100 - depth[priority]):
                events = [event()] * randomly.randint(1, 60)
                await stream.append(events if priority == HIGH else [], events if priority == LOW else [], NOON)

    await saturate()
    recorder = Recorder(before=saturate)
    worker = consumer(core, recorder, low_share=share)
    for _ in range(15):
        await worker._round()
        await saturate()
    measured = recorder.events(LOW) / (recorder.events(LOW) + recorder.events(HIGH))
    # A block is not cut to fit: a batch of 1,000 may be off by one of each priority.
    assert share - 0.03 <= measured <= share + 0.08


async def test_low_gets_the_whole_batch_when_there_is_no_high(core: Core) -> None:
    await core.stream.create_group()
    for _ in range(20):
        await core.stream.append([], [event()] * 50, NOON)
    recorder = Recorder()
    await consumer(core, recorder)._round()
    assert recorder.events(LOW) == 1000


@pytest.mark.parametrize("priority", [HIGH, LOW])
async def test_batches_keep_their_size_when_blocks_become_large(core: Core, priority: int) -> None:
    """After a time of small blocks a backlog of large ones must not become one giant transaction."""
    stream = core.stream
    await stream.create_group()
    recorder = Recorder()
    worker = consumer(core, recorder)

    async def append(count: int) -> None:
        await stream.append(
            [event()] * count if priority == HIGH else [], [event()] * count if priority == LOW else [], NOON
        )

    for _ in range(40):
        await append(1)
        await worker._round()
    recorder.batches.clear()
    for _ in range(120):
        await append(100)
    for _ in range(120):
        if await is_drained(core):
            break
        await worker._round()
    assert recorder.events(priority) == 12_000
    assert max(sum(block.events for block in batch) for batch in recorder.batches) <= 1000
    assert len(recorder.batches) < 30


async def test_one_block_larger_than_a_batch_is_taken(core: Core) -> None:
    recorder = Recorder()
    await core.stream.append([event()] * 25, [], NOON)
    await core.stream.append([event()] * 25, [], NOON)
    async with running(consumer(core, recorder, batch_max=10)):
        await eventually_async(lambda: is_drained(core))
    assert [len(batch) for batch in recorder.batches] == [1, 1]


async def test_the_deliveries_of_a_dead_worker_are_taken_over(core: Core) -> None:
    events = [event(f"p{number}", number) for number in range(10)]
    await core.stream.create_group()
    for item in events:
        await core.stream.append([item], [], NOON)
    assert len(await core.stream.read("dead", HIGH, 100)) == 10
    async with running(consumer(core, core.applier, reclaim_idle_seconds=0.2)):
        await eventually_async(lambda: is_drained(core))
    await core.check("global", events)


async def test_what_was_stored_but_not_acknowledged_counts_once(core: Core) -> None:
    """The worker died between its last effect and the acknowledgement."""
    await core.define("sum", operator="sum")
    events = [event("ann", number) for number in range(5)]
    await core.stream.create_group()
    await core.stream.append(events, [], NOON)
    await core.applier.apply(await core.stream.read("dead", HIGH, 1))
    async with running(consumer(core, core.new_applier(), reclaim_idle_seconds=0.2)):
        await eventually_async(lambda: is_drained(core))
    await core.check("sum", events)


async def test_a_stop_finishes_what_was_read(core: Core) -> None:
    is_working, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        is_working.set()
        await may_end.wait()

    recorder = Recorder(before=hold)
    await core.stream.create_group()
    for _ in range(30):
        await core.stream.append([event()], [event()], NOON)
    stop = asyncio.Event()
    task = asyncio.ensure_future(consumer(core, recorder, batch_max=20).run(stop))
    await is_working.wait()
    stop.set()
    may_end.set()
    await asyncio.wait_for(task, 10)
    taken = recorder.events(HIGH) + recorder.events(LOW)
    assert 20 <= taken < 60
    assert (await core.stream.depth()).depth == 60 - taken
    pending = [await core.valkey.xpending(f"{core.prefix}:{{events}}:{name}", "workers") for name in ("high", "low")]
    assert [one["pending"] for one in pending] == [0, 0], "everything that was read is acknowledged"


async def test_what_became_of_events_is_in_the_metrics(core: Core) -> None:
    def counted() -> list[float]:
        read = metrics.REGISTRY.get_sample_value
        unranked = {"leaderboard": "global", "reason": "not_a_number"}
        return [
            read("grandstand_events_stored_total") or 0,
            read("grandstand_events_duplicate_total") or 0,
            read("grandstand_scores_unranked_total", unranked) or 0,
        ]

    before = counted()
    events = [event("ann", 5), event("bob", "text"), event("cyd", "text")]
    async with running(consumer(core, core.applier)):
        for _ in range(2):
            await core.stream.append(events, [], NOON)
            await eventually_async(lambda: is_drained(core))
    assert [after - start for after, start in zip(counted(), before, strict=True)] == [3, 3, 2]
    await core.check("global", events)


async def test_an_idle_worker_stops_at_once(core: Core) -> None:
    async with running(consumer(core, core.applier)):
        await eventually_async(lambda: core.valkey.exists(f"{core.prefix}:{{events}}:high"))


async def test_a_flush_of_valkey_heals_by_itself(core: Core) -> None:
    async with running(consumer(core, core.applier)):
        await core.stream.append([first := event("ann", 5)], [], NOON)
        await eventually_async(lambda: is_drained(core))
        await core.lose_valkey()  # NOGROUP from now on
        await core.stream.append([second := event("bob", 6)], [], NOON)

        async def are_both_there() -> bool:
            return len(await core.walk("global")) == 2 and await is_drained(core)

        await eventually_async(are_both_there)
    assert not await core.is_complete("global"), "what was published into a lost index is no whole"
    await core.rebuild("global")
    await core.check("global", [first, second])


@pytest.mark.parametrize("engine", ["postgres", "valkey"])
async def test_a_worker_outlives_the_absence_of_an_engine(
    core: Core, engine: str, engines: RunningEngines, core_database_url: str, valkey_url: str
) -> None:
    socket = {"postgres": ".s.PGSQL.5432", "valkey": "valkey.sock"}[engine]
    async with open_proxy(engines.socket_folder / socket) as proxy:
        name = core_database_url.partition("@/")[2].partition("?")[0]
        through = {
            "postgres": (f"postgresql://grandstand@127.0.0.1:{proxy.port}/{name}", valkey_url),
            "valkey": (core_database_url, f"valkey://127.0.0.1:{proxy.port}/0"),
        }[engine]
        async with open_core(*through, core.prefix) as far:
            worker = consumer(far, far.applier, reclaim_idle_seconds=0.5)
            async with running(worker):
                events = [event("ann", 1)]
                await core.stream.append(events, [], NOON)
                await eventually_async(lambda: is_drained(core))
                for absence in range(2):
                    proxy.cut()
                    more = [event(f"p{absence}-{number}", number) for number in range(20)]
                    events += more
                    for item in more:
                        await core.stream.append([item], [], NOON)
                    refused = proxy.refused
                    await eventually_async(lambda refused=refused: proxy.refused > refused + 1, what="it tries again")
                    assert (await core.stream.depth()).depth == 20
                    proxy.mend()
                    await eventually_async(lambda: is_drained(core), 20)
            await core.check("global", events)


async def test_a_full_valkey_takes_no_events_and_is_emptied(core: Core) -> None:
    """What stands in the stream must be able to leave it, or nothing would ever get better."""
    events = [event(f"p{number}", number) for number in range(20)]
    for item in events:
        await core.stream.append([item], [], NOON)
    async with running(consumer(core, core.applier)):
        await eventually_async(lambda: is_drained(core))
        await core.valkey.config_set("maxmemory", 1)
        try:
            with pytest.raises(UnavailableError):
                await core.stream.append([event()], [event()], NOON)
            assert (await core.stream.depth()).depth == 0
            await core.valkey.config_set("maxmemory", 0)
            more = [event(f"q{number}", number) for number in range(20)]
            await core.stream.create_group()
            for item in more:
                await core.stream.append([item], [], NOON)
            await core.valkey.config_set("maxmemory", 1)
            await eventually_async(lambda: is_drained(core))
            await core.check("global", events + more)
        finally:
            await core.valkey.config_set("maxmemory", 0)
