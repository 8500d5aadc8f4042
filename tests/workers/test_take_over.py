"""What dead, slow and stopped workers leave: taken over within seconds, once, and never deadly for all."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from grandstand.storage.event_stream import HIGH, LOW, Block
from grandstand.storage.trial_marks import Mark
from tests.support.core import NOON, Core, event
from tests.support.poison import append, poison, text_of
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running
from tests.workers.mortal_worker import KILLED

pytestmark = pytest.mark.anyio


async def is_drained(core: Core) -> bool:
    return (await core.stream.depth()).depth == 0


async def held_by(core: Core) -> dict[bytes, int]:
    """How many deliveries each worker holds."""
    found = await core.valkey.xinfo_consumers(f"{core.prefix}:{{events}}:high", "workers")
    return {each["name"]: each["pending"] for each in found}


class Processes:
    """Starts workers as processes of their own, and ends them."""

    def __init__(self, core: Core, database_url: str, valkey_url: str) -> None:
        self._arguments = (database_url, valkey_url, core.prefix)
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self, name: str, idle_seconds: float) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.workers.mortal_worker", *self._arguments, name, str(idle_seconds),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._running.append(process)
        return process

    async def end(self) -> None:
        for process in self._running:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()


@pytest.fixture
async def processes(core: Core, core_database_url: str, valkey_url: str) -> AsyncIterator[Processes]:
    started = Processes(core, core_database_url, valkey_url)
    yield started
    await started.end()


async def test_an_event_that_kills_its_worker_is_a_dead_letter(core: Core, processes: Processes) -> None:
    """Each time a worker dies of it another begins, as the supervisor does it."""
    await core.stream.create_group()
    events = [event(f"p{number}", number) for number in range(60)]
    killer = text_of(event("killer", 1))
    texts = [text_of(item) for item in events]
    bad = poison()
    await append(core, [*texts[:10], bad])
    await append(core, [*texts[10:25], killer, *texts[25:30]])
    await append(core, texts[30:])
    deaths = 0
    while not await core.database.pool.fetchval("SELECT count(*) FROM dead_letters WHERE error = 'WorkerLostError'"):
        process = await processes.start(f"w{deaths}", 0.3)
        buried = asyncio.ensure_future(eventually_async(lambda: is_drained(core), 60))
        died = asyncio.ensure_future(process.wait())
        await asyncio.wait([buried, died], return_when=asyncio.FIRST_COMPLETED)
        for task in (buried, died):
            task.cancel()
        if process.returncode is None:
            break
        assert process.returncode == KILLED
        deaths += 1
        assert deaths <= 4, "it kills for ever"
    await eventually_async(lambda: is_drained(core), 30)
    letters = await core.database.pool.fetch("SELECT body, error FROM dead_letters")
    assert {letter["body"]: letter["error"] for letter in letters} == {
        killer: "WorkerLostError",
        bad: "UntranslatableCharacterError",
    }
    assert deaths == 4
    await core.check("global", events)
    assert await core.count_events() == 60
    assert await core.valkey.hlen(f"{core.prefix}:{{events}}:trials") == 0


@pytest.mark.parametrize("mark", [None, Mark("together"), Mark("alone"), Mark("events", (2, 7))])
async def test_whatever_a_dead_worker_left_behind_each_event_has_one_end(core: Core, mark: Mark | None) -> None:
    await core.define("sum", operator="sum")
    await core.stream.create_group()
    events = [event(f"p{number % 4}", number) for number in range(10)]
    texts = [text_of(item) for item in events]
    bad = poison()
    await append(core, [*texts, bad])
    blocks = await core.stream.read("dead", HIGH, 1)
    if mark is not None:
        await core.marks.put({blocks[0]: mark})
    async with running(consumer(core, reclaim_idle_seconds=0.2, retry_seconds=0.05)):
        await eventually_async(lambda: is_drained(core))
    killers = [texts[place] for place in mark.places] if mark is not None else []
    found = [row["body"] for row in await core.database.pool.fetch("SELECT body FROM dead_letters")]
    assert sorted(found) == sorted([bad, *killers])
    await core.check("sum", [item for item in events if text_of(item) not in killers])
    assert await core.valkey.hlen(f"{core.prefix}:{{events}}:trials") == 0


@pytest.mark.parametrize("damage", ["another type", "nonsense"])
@pytest.mark.parametrize("when", ["before", "while trying"])
async def test_damaged_marks_stall_no_take_over(core: Core, damage: str, when: str) -> None:
    """What a dead worker left is stored and ranked, and what nobody here has put there is gone."""
    await core.define("sum", operator="sum")
    await core.stream.create_group()
    events = [event(f"p{number % 4}", number) for number in range(10)]
    await append(core, [text_of(item) for item in events])
    blocks = await core.stream.read("dead", HIGH, 1)
    key = f"{core.prefix}:{{events}}:trials"

    async def spoil() -> None:
        await core.valkey.delete(key)
        if damage == "another type":
            await core.valkey.set(key, "not ours")
        else:
            field = f"{blocks[0].priority}:{blocks[0].block_id.decode()}"
            await core.valkey.hset(key, mapping={field: "[not ours"})  # type: ignore[misc]

    worker = consumer(core, reclaim_idle_seconds=0.2, retry_seconds=0.05)
    if when == "before":
        await spoil()
    else:
        apply = worker._isolator._applier.apply

        async def spoiling(blocks: Any) -> Any:
            await spoil()
            return await apply(blocks)

        worker._isolator._applier.apply = spoiling  # type: ignore[method-assign]
    async with running(worker):
        await eventually_async(lambda: is_drained(core))
    await core.check("sum", events)
    assert await core.database.pool.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert not await core.valkey.exists(key)


async def test_many_stalled_blocks_are_all_taken_over_soon(core: Core) -> None:
    """Far more than one look takes, behind many that a living worker holds."""
    await core.stream.create_group()
    for _ in range(450):
        await core.stream.append([event("busy")], [], NOON)
    busy = await core.stream.read("busy", HIGH, 450)
    events = [event(f"p{number}", number) for number in range(300)]
    for item in events:
        await core.stream.append([item], [item], NOON)
    for priority in (HIGH, LOW):
        dead = await core.stream.read("dead", priority, 300)
        assert len(dead) == 300
        await let_an_hour_pass(core, "dead", dead)
    await core.stream.renew("busy", busy)
    async with running(consumer(core, reclaim_idle_seconds=60)):
        await eventually_async(lambda: is_as_deep_as(core, 450), 30)
        held = await held_by(core)
        assert held[b"busy"] == 450, "what lives is left alone"
    await core.check("global", events)


async def is_as_deep_as(core: Core, events: int) -> bool:
    return (await core.stream.depth()).depth == events


async def let_an_hour_pass(core: Core, worker: str, blocks: list[Block]) -> None:
    """As if the worker had said nothing for an hour of these deliveries of one priority."""
    ids = [block.block_id for block in blocks]
    name = ("high", "low")[blocks[0].priority]
    await core.valkey.xclaim(f"{core.prefix}:{{events}}:{name}", "workers", worker, 0, ids, idle=3_600_000, justid=True)


async def test_one_look_finds_what_lies_behind_many_busy_deliveries(core: Core) -> None:
    await core.stream.create_group()
    for _ in range(400):
        await core.stream.append([event()], [], NOON)
    await core.stream.read("dead", HIGH, 400)
    await eventually_async(lambda: core.stream.claim_stalled("busy", 0.3, 350), what="they are stalled")
    await eventually_async(lambda: last_is_idle(core, 0.3))
    claimed = await core.stream.claim_stalled("alive", 0.3, 20)
    assert len(claimed) == 20


async def last_is_idle(core: Core, seconds: float) -> bool:
    found = await core.valkey.xpending_range(
        f"{core.prefix}:{{events}}:high", "workers", min="-", max="+", count=1000, consumername="dead"
    )
    assert len(found) == 50
    return bool(found[-1]["time_since_delivered"] >= seconds * 1000)


async def is_heard_of(core: Core, worker: str) -> bool:
    """Whether a worker has said of all that it holds, within the last minute, that it is at it."""
    found = await core.valkey.xpending_range(
        f"{core.prefix}:{{events}}:high", "workers", min="-", max="+", count=1000, consumername=worker
    )
    return all(each["time_since_delivered"] < 60_000 for each in found)


async def test_a_slow_worker_keeps_what_it_works_on(core: Core) -> None:
    """Its batch takes many times as long as a delivery may be idle; others do not take it, and it counts once."""
    await core.define("sum", operator="sum")
    await core.stream.create_group()
    events = [event("ann", number) for number in range(20)]
    for start in range(0, 20, 5):
        await core.stream.append(events[start : start + 5], [], NOON)
    is_working, may_go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        calls = 0
        blocks: ClassVar[list[Block]] = []

        async def apply(self, blocks: Any) -> Any:
            Slow.calls += 1
            Slow.blocks = blocks
            is_working.set()
            await may_go_on.wait()
            return await core.applier.apply(blocks)

    class Quick:
        calls = 0

        async def apply(self, blocks: Any) -> Any:
            Quick.calls += 1
            return await core.applier.apply(blocks)

    async with running(consumer(core, Slow(), "slow", reclaim_idle_seconds=0.4)):
        await is_working.wait()
        quick = consumer(core, Quick(), "quick", reclaim_idle_seconds=60)
        for _ in range(5):
            await let_an_hour_pass(core, "slow", Slow.blocks)
            await eventually_async(lambda: is_heard_of(core, "slow"), what="it says that it is alive")
            await quick._claim()
            assert (await held_by(core))[b"slow"] == 4
            assert Quick.calls == 0
        async with running(quick):
            may_go_on.set()
            await eventually_async(lambda: is_drained(core))
    assert (Slow.calls, Quick.calls) == (1, 0)
    await core.check("sum", events)


async def test_a_stopped_worker_loses_its_deliveries_and_does_no_harm_when_it_wakes(
    core: Core, processes: Processes
) -> None:
    """SIGSTOP under load: others take over within seconds; awake again, it finishes what is not its own any more."""
    await core.define("sum", operator="sum")
    await core.stream.create_group()
    events = [event(f"p{number % 9}", number) for number in range(3000)]
    process = await processes.start("stopped", 0.5)

    async def send(some: list[Any]) -> None:
        for start in range(0, len(some), 20):
            await core.stream.append(some[start : start + 20], [], NOON)

    await send(events[:1500])
    await eventually_async(core.count_events, 30)
    process.send_signal(signal.SIGSTOP)
    await send(events[1500:])
    async with running(consumer(core, name="awake", reclaim_idle_seconds=0.5)):
        await eventually_async(lambda: is_drained(core), 30)
        process.send_signal(signal.SIGCONT)
        last = event("p0", 1)
        await core.stream.append([last], [], NOON)
        await eventually_async(lambda: is_drained(core), 30)
        await eventually_async(lambda: is_nothing_held(core), 30)
    await core.check("sum", [*events, last])
    assert await core.count_events() == 3001


async def is_nothing_held(core: Core) -> bool:
    return not any((await held_by(core)).values())


async def test_renewing_takes_nothing_back(core: Core) -> None:
    await core.stream.create_group()
    await append(core, [text_of(event())])
    blocks = await core.stream.read("one", HIGH, 1)
    assert await core.stream.claim_stalled("other", 0, 10) == blocks
    await core.stream.renew("one", blocks)
    assert await held_by(core) == {b"one": 0, b"other": 1}
    await core.stream.acknowledge(blocks)
    await core.stream.renew("other", blocks)
    assert await held_by(core) == {b"one": 0, b"other": 0}


@pytest.mark.parametrize("mark", [None, Mark("alone"), Mark("events", (2,))])
async def test_workers_that_stop_while_nothing_can_be_stored_blame_no_event(core: Core, mark: Mark | None) -> None:
    """Each gets what the one before gave back, tries it on a full disk, and is stopped in its turn."""
    await core.stream.create_group()
    events = [event(f"p{number}", number) for number in range(5)]
    await core.stream.append(events, [], NOON)
    blocks = await core.stream.read("dead", HIGH, 1)
    if mark is not None:
        await core.marks.put({blocks[0]: mark})
    await core.stream.release("dead")
    await core.database.pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    tries: list[int] = []
    try:
        for number in range(6):
            worker = consumer(core, name=f"w{number}", reclaim_idle_seconds=0.2)
            apply = worker._isolator._applier.apply

            async def counting(blocks: Any, apply: Any = apply) -> Any:
                tries.append(len(blocks))
                return await apply(blocks)

            worker._isolator._applier.apply = counting  # type: ignore[method-assign]
            async with running(worker):
                wanted = len(tries) + 2
                await eventually_async(
                    lambda wanted=wanted: asyncio.sleep(0, len(tries) >= wanted), 20, "it is tried again"
                )
        assert await core.marks.read(blocks) == [mark]
    finally:
        await core.database.pool.execute("DROP FUNCTION refuse CASCADE")
    async with running(consumer(core, reclaim_idle_seconds=0.2)):
        await eventually_async(lambda: is_drained(core))
    buried = await core.database.pool.fetch("SELECT user_id FROM dead_letters")
    expected = [f"p{place}" for place in (mark.places if mark is not None else ())]
    assert [letter["user_id"] for letter in buried] == expected
    await core.check("global", [item for item in events if item.user_id not in expected])
