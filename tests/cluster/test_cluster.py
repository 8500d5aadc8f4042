"""The core on a real Valkey Cluster: one that shards, fails over, and has replicas that are away."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import ValkeyError

from grandstand.diagnosis.advice import Advice
from grandstand.diagnosis.valkey import look_at_streams, look_at_valkey
from grandstand.domain.errors import UnavailableError
from grandstand.operations.watch_stream import StreamWatcher
from grandstand.storage.event_stream import HIGH
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.index_reads import IndexIncompleteError
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.valkey import open_valkey
from grandstand.storage.valkey_scripts import Replication
from tests.cluster.replicated import open_replicated_core
from tests.support.core import NOON, Core, core_database_url, event
from tests.support.valkey_cluster import SLOTS, Cluster, Node, held_ports, running_cluster
from tests.support.waiting import eventually, eventually_async
from tests.support.workers import running, stream_consumers

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


@pytest.fixture
async def spread(cluster: Cluster, core_database_url: str, valkey_prefix: str) -> AsyncIterator[Core]:
    """With a stream for each shard; while one of them is away the others go on."""
    eventually(cluster.is_replicated, 30)
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    async with open_replicated_core(core_database_url, cluster.url, valkey_prefix, streams=3) as opened:
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
    hasty = EventStreams(core.valkey, core.prefix, replication=Replication(1, 500))[0]
    try:
        with pytest.raises(UnavailableError):
            await hasty.append([event("during")], [], NOON)
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


async def test_events_of_three_streams_are_on_three_shards_and_count_once(spread: Core, cluster: Cluster) -> None:
    streams = spread.streams
    assert len({cluster.primary_of(stream.keys[0]).port for stream in streams.known}) == 3
    assert [[each.status async for each in look_at_streams(spread.valkey, count)] for count in (1, 3, 4)] == [
        [],
        ["ok"],
        ["warning"],
    ]
    await spread.define("board")
    sent = [event(f"user-{number}", payload={"score": number}) for number in range(30)]
    for one in sent:
        await streams.append([one], [], NOON)
    for stream in streams.known:
        assert (await stream.depth()).depth == 10
        await stream.append(sent[:10], [], NOON)
    async with running(stream_consumers(spread, streams)):
        await eventually_async(lambda: is_drained(spread))
    assert await spread.count_events() == len(sent)
    await spread.check("board", sent)


async def test_a_shard_that_is_gone_stops_neither_intake_nor_workers_and_loses_nothing(
    spread: Core, cluster: Cluster
) -> None:
    """Primary and replica die with acknowledged events that nobody has read."""
    streams = spread.streams
    sent = [event(f"user-{number}", event_type="seen") for number in range(20)]
    for one in sent[:9]:
        await streams.append([one], [], NOON)
    struck = cluster.primary_of(streams[1].keys[0])
    roles = struck.ask("ROLE")
    pair = [struck, next(node for node in cluster.nodes if node.port == int(roles[2][0][1]))]  # type: ignore[index]
    for node in pair:
        node.kill()
    try:
        async with running(stream_consumers(spread, streams)):
            for one in sent[9:]:
                # Answered, and not after a time-out each.
                await asyncio.wait_for(streams.append([one], [], NOON), 20)

            async def others_are_stored() -> bool:
                return await spread.count_events() >= len(sent) - 3

            await eventually_async(others_are_stored, 30)
            assert (await streams.depths()).keys() == {0, 2}
            with pytest.raises(UnavailableError):
                await spread.registry.processed_until()
            for node in pair:
                node.start()
            eventually(cluster.is_replicated, 40)
            await eventually_async(lambda: is_drained(spread), 40, what="what waited there is stored")
    finally:
        for node in pair:
            if not node.is_up:
                node.start()
    assert await spread.count_events() == len(sent)

    async def takes_again() -> bool:
        await streams.append([event(event_type="seen")], [], NOON)
        return (await streams[1].depth()).depth > 0

    await eventually_async(takes_again, 20)


async def test_a_shard_that_hangs_keeps_neither_readers_nor_the_book_of_others(spread: Core, cluster: Cluster) -> None:
    """Neither refused nor answered: every look at it costs a time-out."""
    streams = spread.streams
    watcher = StreamWatcher(spread.database, streams, StreamHistory(), spread.new_memory())
    await watcher.record()
    struck = cluster.primary_of(streams[1].keys[0])
    roles = struck.ask("ROLE")
    pair = [struck, next(node for node in cluster.nodes if node.port == int(roles[2][0][1]))]  # type: ignore[index]
    for node in pair:
        node.suspend()
    try:
        await streams[2].append([event("ann")], [], NOON)
        for _ in range(2):
            # The first look breaks its connection, later ones try to make another.
            began = time.monotonic()
            with pytest.raises(ValkeyError):
                await watcher.record()
            assert time.monotonic() - began < 8, "PostgreSQL ends a transaction that stands still for 10 s"
        marks = await spread.database.pool.fetch("SELECT stream, appended FROM event_streams ORDER BY stream")
        assert [row["appended"] for row in marks] == [0, 0, 1]

        trust = spread.new_trust()

        async def read() -> None:
            pass

        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(IndexIncompleteError):
                await trust.believe(read())
        assert time.monotonic() - began < 9, "readers have PostgreSQL and do not wait one after the other"
    finally:
        for node in pair:
            node.resume()
    eventually(cluster.is_replicated, 40)


async def test_what_is_beside_a_stream_that_went_back_is_made_anew_and_no_other(spread: Core, cluster: Cluster) -> None:
    streams, valkey = spread.streams, spread.valkey
    boards = [f"board-{number}" for number in range(9)]
    for key in boards:
        await spread.define(key)
    await spread.apply(*(event(f"user-{number}", payload={"score": number}) for number in range(5)))
    homes = {key: cluster.primary_of((await spread.keys(key))[0]).port for key in boards}
    watcher = StreamWatcher(spread.database, streams, StreamHistory(), spread.new_memory())
    await streams[1].append([event("ann")], [], NOON)
    await watcher.record()
    names = [
        name for name in (*streams[1].keys, streams[1].keys[0].replace("high", "book")) if await valkey.exists(name)
    ]
    older = {name: await valkey.dump(name) for name in names}
    await streams[1].append([event("bob")] * 2, [], NOON)
    await watcher.record()
    for name, value in older.items():
        await valkey.restore(name, 0, value or b"", replace=True)
    await watcher.record()

    rows = await spread.database.pool.fetch(
        "SELECT reason, stream FROM stream_losses WHERE noticed_at > now() - interval '1 minute'"
    )
    assert ("went_back", 1) in rows
    struck = cluster.primary_of(streams[1].keys[0]).port
    assert {homes[key] for key in boards if not await spread.is_complete(key)} == {struck}
    assert all([await spread.is_complete(key) for key in boards if homes[key] != struck])


async def test_with_one_stream_all_that_may_be_older_is_made_anew(core: Core, cluster: Cluster) -> None:
    """A whole cluster that was restored: shards without a stream have nothing else that tells."""
    boards = [f"board-{number}" for number in range(9)]
    for key in boards:
        await core.define(key)
    await core.apply(*(event(f"user-{number}", payload={"score": number}) for number in range(5)))
    assert len({cluster.primary_of((await core.keys(key))[0]).port for key in boards}) == 3
    watcher = StreamWatcher(core.database, core.streams, StreamHistory(), core.new_memory())
    await core.stream.append([event("ann")], [], NOON)
    await watcher.record()
    await core.valkey.hincrby(core.stream.keys[0].replace("high", "book"), "appended", -1)
    await watcher.record()
    assert not any([await core.is_complete(key) for key in boards])


async def is_drained(core: Core) -> bool:
    return (await core.streams.depth()).depth == 0


def connections(cluster: Cluster) -> int:
    """How many there are to all nodes, the ones that ask this included."""
    return sum(bytes(node.ask("CLIENT", "LIST", "TYPE", "normal")).count(b"\n") for node in cluster.nodes)  # type: ignore[arg-type]


async def look_for_nodes_anew(client: Any, cluster: Cluster) -> None:
    """Have all connections of a client broken, as often as it takes until it has asked where the nodes are."""
    known = client.get_primaries()[0]

    async def looked() -> bool:
        for node in cluster.nodes:
            node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with contextlib.suppress(ValkeyError):
            await client.exists("some key")
        with contextlib.suppress(ValkeyError):
            await client.initialize()
        return client.get_primaries() != [] and client.get_primaries()[0] is not known

    await eventually_async(looked, 20, what="the nodes are looked for anew")


@pytest.mark.parametrize("ends", ["closed", "looks on"])
async def test_no_connection_outlives_a_look_for_the_nodes(cluster: Cluster, ends: str) -> None:
    eventually(cluster.is_replicated, 30)
    before = connections(cluster)
    client: Any = open_valkey(cluster.url, timeout_seconds=5)
    try:
        await client.initialize()
        node_of_before = client.get_primaries()[0]
        await look_for_nodes_anew(client, cluster)
        # As who asks all nodes in turn does, when others look for them meanwhile.
        assert await client.execute_command("PING", target_nodes=node_of_before)
        if ends == "looks on":
            (left,) = [one for one in node_of_before._connections if one.is_connected]
            for _ in range(2):
                client._initialize = True
                await client.initialize()
            assert not left.is_connected
    finally:
        await client.aclose()
    eventually(lambda: connections(cluster) <= before, 10, what="all connections are closed")
    with pytest.raises(ValkeyError):
        await client.exists("some key")


async def test_a_cluster_whose_servers_were_all_away_is_found_again(tmp_path: Path) -> None:
    """The library forgets each server that a command fails on; of those without a replica none is left then."""
    with held_ports(1) as (port,):
        node = Node(tmp_path / "only", port, cluster_enabled="yes")
        client: Any = open_valkey(f"valkey+cluster://127.0.0.1:{port}", timeout_seconds=5)
        try:
            node.start()
            node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)

            async def takes() -> bool:
                return bool(await client.set("key", "value"))

            await eventually_async(takes, 20, what="the cluster is up")
            node.kill()
            for _ in range(3):
                with pytest.raises(ValkeyError):
                    await client.get("key")
            node.start()
            await eventually_async(takes, 20, what="it is found again")
        finally:
            await client.aclose()
            node.kill()


@pytest.mark.parametrize("way", ["refused", "not answered"])
async def test_tries_to_find_a_cluster_that_is_away_leave_nothing_behind(way: str) -> None:
    # Bound, and so nobody else's, but without anybody who listens unless that is asked for.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if way == "not answered":
            bound.listen()
        client: Any = open_valkey(f"valkey+cluster://127.0.0.1:{bound.getsockname()[1]}", timeout_seconds=5)

        async def left_by(tries: int) -> int:
            for _ in range(tries):
                with pytest.raises((ValkeyError, TimeoutError)):
                    async with asyncio.timeout(0.05 if way == "not answered" else 5):
                        await client.get("key")
            gc.collect()
            return sum(isinstance(each, AbstractConnection) for each in gc.get_objects())

        try:
            few = await left_by(2)
            assert await left_by(20) <= few
        finally:
            await client.aclose()


async def test_pipelines_that_are_back_while_the_servers_are_looked_for_have_their_replies(cluster: Cluster) -> None:
    """Or their errors: none that says nothing to who asks."""
    eventually(cluster.is_replicated, 30)
    client: Any = open_valkey(cluster.url, timeout_seconds=5)
    key, rounds = "some key", range(10)
    struck = cluster.primary_of(key)

    async def pipe() -> list[Any]:
        async with client.pipeline(transaction=False) as found:
            for _ in range(3):
                found.execute_command("EXISTS", key)
            return list(await found.execute(raise_on_error=False))

    async def one() -> list[Any]:
        return [await client.exists(key)]

    try:
        for _ in rounds:
            asked = [asyncio.create_task(each()) for each in (pipe, one) * 10]
            await asyncio.sleep(0)
            await asyncio.to_thread(struck.ask, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            for each in await asyncio.gather(*asked, return_exceptions=True):
                replies = each if isinstance(each, list) else [each]
                assert all(reply == 0 or isinstance(reply, ValkeyError) for reply in replies), replies
    finally:
        await client.aclose()


async def test_the_doctor_looks_at_every_server(cluster: Cluster) -> None:
    eventually(cluster.is_replicated, 30)
    client: Any = open_valkey(cluster.url, timeout_seconds=5)

    async def ask() -> dict[str, Advice]:
        return {advice.check: advice async for advice in look_at_valkey(client) if advice.status == "failed"}

    try:
        assert await ask() == {}
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "appendfsync", "everysec")
            try:
                found = await ask()
                assert list(found) == ["valkey_appendfsync"]
                assert str(node.port) in found["valkey_appendfsync"].finding
            finally:
                node.ask("CONFIG", "SET", "appendfsync", "always")
    finally:
        await client.aclose()
