"""The core on a real Valkey Cluster: one that shards, fails over, and has replicas that are away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.storage.event_stream import HIGH
from tests.cluster.replicated import open_replicated_core
from tests.support.core import NOON, Core, core_database_url, event
from tests.support.valkey_cluster import Cluster, running_cluster
from tests.support.waiting import eventually, eventually_async

pytestmark = pytest.mark.anyio
__all__ = ["core_database_url"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
async def core(cluster: Cluster, core_database_url: str, valkey_prefix: str) -> AsyncIterator[Core]:
    eventually(cluster.is_replicated, 30)
    async with open_replicated_core(core_database_url, cluster.url, valkey_prefix) as opened:
        yield opened


async def healed(core: Core) -> None:
    """Wait until writes are acknowledged: a replica that is back counts once it has a log of its own again."""

    async def takes() -> bool:
        await core.stream.append([event("later")], [], NOON)
        return True

    await eventually_async(takes, 40)


async def test_boards_of_all_shards_are_right_and_are_made_anew(core: Core, cluster: Cluster) -> None:
    boards = [f"board-{number}" for number in range(12)]
    for key in boards:
        await core.define(key)
    events = [event(f"user-{number}", payload={"score": number * 7 % 20}) for number in range(20)]
    await core.apply(*events)

    homes = {cluster.primary_of((await core.keys(key))[0]).port for key in boards}
    assert len(homes) == 3
    for key in boards:
        await core.check(key, events)

    struck = (await core.keys(boards[0]))[0]
    cluster.primary_of(struck).ask("FLUSHALL")
    lost = [key for key in boards if not await core.is_complete(key)]
    assert boards[0] in lost
    assert len(lost) < len(boards)
    for key in lost:
        assert await core.walk(key) == await core.computed(key)
        await core.rebuild(key)
        await core.check(key, events)


async def test_a_damaged_index_stops_no_other_on_any_shard(core: Core, cluster: Cluster) -> None:
    boards = [f"board-{number}" for number in range(6)]
    for key in boards:
        await core.define(key)
    events = [event(f"user-{number}", payload={"score": number}) for number in range(10)]
    await core.apply(*events[:5])
    for damaged in boards[:2]:
        (ranks, *_) = await core.keys(damaged)
        cluster.primary_of(ranks).ask("SET", ranks, "not an index")

    await core.apply(*events[5:])

    for key in boards[2:]:
        await core.check(key, events)
    for key in boards[:2]:
        assert not await core.is_complete(key)
        await core.rebuild(key)
        await core.check(key, events)


@pytest.mark.parametrize(
    "told", [("tournaments", "tournaments_generation"), ("prizes", "prizes_generation"), ("names", "names_generation")]
)
async def test_a_change_is_told_whichever_node_a_listener_has(core: Core, told: tuple[str, str]) -> None:
    tell, generation = getattr(core.changes, told[0]), getattr(core.feed, told[1])
    listening = asyncio.create_task(core.feed.run())
    try:
        before = await eventually_async(generation, 20, what="the feed listens")
        await tell()
        await eventually_async(lambda: generation() > before, 20, what="it has heard")
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def test_a_write_without_its_replica_is_not_acknowledged(core: Core, cluster: Cluster) -> None:
    primary = cluster.primary_of(core.stream.keys[0])
    slots = cluster.primary_of(core.stream.keys[0]).ask("ROLE")
    replica = next(node for node in cluster.nodes if node.port == int(slots[2][0][1]))  # type: ignore[index]
    await core.stream.append([event("before")], [], NOON)
    replica.kill()
    try:
        with pytest.raises(UnavailableError):
            await core.stream.append([event("during")], [], NOON)
    finally:
        replica.start()
    eventually(cluster.is_replicated, 30)
    await healed(core)
    assert cluster.primary_of(core.stream.keys[0]) is primary


async def test_what_was_acknowledged_outlives_the_node_that_had_it(core: Core, cluster: Cluster) -> None:
    acknowledged = [event(f"user-{number}") for number in range(30)]
    for one in acknowledged:
        await core.stream.append([one], [], NOON)
    struck = cluster.primary_of(core.stream.keys[0])
    struck.kill()
    try:
        depth = await eventually_async(core.stream.depth, 30, what="the replica has taken over")
        assert depth.depth == len(acknowledged)
        blocks = await core.stream.read("worker", HIGH, 100)
        assert sum(block.events for block in blocks) == len(acknowledged)
    finally:
        struck.start()
    await healed(core)
    await core.applier.apply(blocks)
    await core.stream.acknowledge(blocks)
    assert await core.count_events() == len(acknowledged)
