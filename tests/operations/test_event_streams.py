"""Several event streams: what is written where, who consumes it, and who waits for it."""

from datetime import timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.operations.find_ranking import Part
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.storage.event_stream import HIGH, StreamLimits
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.leases import LeaseStore
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.valkey import open_valkey
from grandstand.workers.stream_consumers import StreamConsumers
from tests.support.core import NOON, Core, event
from tests.support.invariants import broken, check_invariants
from tests.support.waiting import eventually_async
from tests.support.workers import running, stream_consumers

pytestmark = pytest.mark.anyio


class Process:
    """What another process of the same deployment has: streams and a registry of its own, with a setting."""

    def __init__(self, core: Core, count: int = 1, limits: StreamLimits | None = None) -> None:
        self.core = core
        self.count = count
        self.streams = EventStreams(core.valkey, core.prefix, limits or StreamLimits(), count=count)
        self.registry = StreamRegistry(core.database, StreamHistory(), self.streams)

    async def open(self) -> "Process":
        await self.registry.open(self.count)
        return self

    def worker(self) -> StreamConsumers:
        return stream_consumers(self.core, self.streams)

    async def is_drained(self) -> bool:
        return (await self.streams.depth()).depth == 0

    async def waiting(self) -> list[int]:
        return [depth.depth for _, depth in sorted((await self.streams.depths()).items())]


async def test_one_stream_is_the_keys_of_before_and_all_there_is(core: Core) -> None:
    one = await Process(core).open()
    await one.streams.append([event()], [event()], NOON)
    assert await one.waiting() == [2]
    assert await core.valkey.xlen(f"{core.prefix}:{{events}}:high") == 1
    assert await core.database.pool.fetch("SELECT stream FROM event_streams") == [(0,)]


async def test_writes_take_turns_and_every_stream_is_consumed_once(core: Core) -> None:
    three = await Process(core, 3).open()
    sent = [event(f"p{number}", number) for number in range(30)]
    for one in sent:
        await three.streams.append([one], [], NOON)
    assert await three.waiting() == [10, 10, 10]
    # A sender that repeats itself may come to other streams: the same ids in all of them.
    for stream in three.streams.known:
        await stream.append(sent[:20], [], NOON)
    async with running(three.worker()):
        await eventually_async(three.is_drained)
    assert await core.count_events() == 30
    await core.check("global", sent)
    await check_invariants(core)


async def test_streams_of_another_process_are_consumed_and_waited_for_whatever_the_own_setting(core: Core) -> None:
    """A worker that knows of one finds out; and one that is not written to any more is emptied."""
    low = await Process(core, 1).open()
    async with running(low.worker()):
        high = await Process(core, 3).open()
        for number in range(6):
            await high.streams.append([event(f"p{number}", number)], [], NOON)
        assert await low.registry.refresh() == {0, 1, 2}
        await eventually_async(low.is_drained)
    await low.streams.append([event()], [], NOON)
    assert await high.waiting() == [1, 0, 0], "it writes to as many as its setting says"


async def test_what_waits_in_any_registered_stream_holds_up_a_period(core: Core, monkeypatch: Any) -> None:
    await core.define("daily", period="daily")
    now = clock.now()
    await core.apply(event("ann", 1, at=now), received_at=now)
    other = await Process(core, 2).open()
    await other.streams[1].append([event("bob", 2, at=now)], [], now)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=2))
    closer = core.new_closer()
    assert await closer.close() == 0
    until = await core.registry.processed_until()
    assert until <= now, "no process need have heard of the stream before it asks"
    async with running(other.worker()):
        await eventually_async(other.is_drained)
    assert await closer.close() == 1
    board = await core.reader.page("daily", part=Part(period=(await core.reader.periods("daily")).periods[0].id))
    assert [entry.user_id for entry in board.entries] == ["bob", "ann"]


async def test_a_stream_that_nobody_can_ask_makes_everybody_wait(core: Core) -> None:
    two = await Process(core, 2).open()
    away = EventStreams(core.valkey, core.prefix)
    away.know([1])

    async def fails() -> Any:
        raise UnavailableError("away")

    away[1].depth = fails  # type: ignore[method-assign]
    registry = StreamRegistry(core.database, StreamHistory(), away)
    with pytest.raises(UnavailableError):
        await registry.processed_until()
    assert (await away.depths()).keys() == {0}
    assert (await two.registry.processed_until()) <= clock.now()


async def test_a_full_stream_is_passed_over_until_none_has_room(core: Core) -> None:
    two = await Process(core, 2, StreamLimits(events=10)).open()
    await two.streams[0].append([event()] * 5, [], NOON)
    for _ in range(5):
        await two.streams.append([event()], [], NOON)
    assert await two.waiting() == [5, 5], "each holds its part of what may wait"
    with pytest.raises(StreamFullError):
        await two.streams.append([event()], [], NOON)
    await two.streams[1].create_group()
    await two.streams[1].acknowledge(await two.streams[1].read("w", HIGH, 10))

    async def has_room() -> bool:
        try:
            await two.streams.append([event()], [], NOON)
        except StreamFullError:
            return False
        return True

    await eventually_async(has_room)
    assert await two.waiting() == [5, 1]


async def test_letters_without_an_id_in_two_streams_are_two_letters(core: Core) -> None:
    """Ids of blocks are a shard's clock, and repeat between shards."""
    two = await Process(core, 2).open()
    for stream in two.streams.known:
        await core.valkey.xadd(stream.keys[0], {"n": 1, "r": 1, "e": b"not json"}, id="17-1")

    async def is_empty() -> bool:
        return not any([await core.valkey.xlen(stream.keys[0]) for stream in two.streams.known])

    async with running(two.worker()):
        await eventually_async(is_empty)
    rows = await core.database.pool.fetch("SELECT source FROM dead_letters ORDER BY source")
    assert [row[0].rsplit(":", 1)[0] for row in rows] == ["block:1:high:17-1", "block:high:17-1"]


async def test_programs_that_know_one_stream_start_until_there_is_another(core: Core) -> None:
    async def works_from() -> str:
        found: str = await core.database.pool.fetchval("SELECT works_from FROM schema_version")
        return found

    await core.database.pool.execute("UPDATE schema_version SET works_from = '0032'")
    await Process(core, 1).open()
    assert await works_from() == "0032"
    await Process(core, 2).open()
    assert await works_from() == "0035"


async def test_a_leader_that_knows_one_stream_is_waited_for_and_never_comes_back(core: Core) -> None:
    """A program of before 0035 takes and keeps its lease with the statements that it has."""
    take = "UPDATE leases SET holder = 'old', token = token + 1, expires_at = now() + '1 hour' RETURNING token"
    pool = core.database.pool
    await pool.execute("INSERT INTO leases VALUES ('one', 'older', 1, '-infinity')")
    assert await pool.fetchval(take) == 2
    two = await Process(core, 2).open()
    await two.streams.append([event()], [], NOON)
    assert await pool.fetch("SELECT stream FROM event_streams") == [(0,)]
    assert await two.waiting() == [1], "nothing waits where the leader does not look"

    await pool.execute("UPDATE leases SET expires_at = '-infinity'")
    assert await two.registry.refresh() == {0, 1}
    await two.streams.append([event()], [], NOON)
    await two.streams.append([event()], [], NOON)
    assert await two.waiting() == [2, 1]
    assert await pool.fetchval(take) is None, "nobody who knows one stream leads any more"
    async with core.database.connection() as connection:
        assert await LeaseStore().take(connection, "one", "new", 60) is not None


async def test_a_stream_that_a_restored_database_does_not_know_is_registered_again(core: Core) -> None:
    two = await Process(core, 2).open()
    await two.streams[1].append([event()], [], NOON)
    await core.database.pool.execute("DELETE FROM event_streams WHERE stream = 1")
    fresh = Process(core)
    assert await fresh.streams.find() == [1]
    assert "not registered" in (await broken(core))["deliveries_owned"][0]
    await two.registry.refresh()
    assert (await fresh.registry.processed_until()) <= NOON


async def test_a_row_that_is_gone_is_put_back_by_whoever_knew_the_stream(core: Core) -> None:
    """PostgreSQL fails over to a moment before, and nobody writes to the stream any more."""
    two = await Process(core, 2).open()
    await two.streams[1].append([event()], [], NOON)
    low = await Process(core, 1).open()
    await core.database.pool.execute("DELETE FROM event_streams WHERE stream = 1")
    assert (await low.registry.processed_until()) <= NOON
    assert await core.database.pool.fetchval("SELECT count(*) FROM event_streams") == 2


async def test_events_that_one_stream_may_have_are_not_said_to_be_refused_by_all(core: Core) -> None:
    """One did not answer and the other is full: a sender without ids is not to send again what may count."""
    far = open_valkey("valkey://127.0.0.1:1/0", timeout_seconds=1)
    clients = iter([far, core.valkey])
    streams = EventStreams(core.valkey, core.prefix, StreamLimits(events=2), count=2, open_client=lambda: next(clients))
    streams.write_to(2)
    try:
        await streams[1].append([event()], [], NOON)
        with pytest.raises(UnavailableError) as caught:
            await streams.append([event()], [], NOON)
        assert not isinstance(caught.value, StreamFullError)
    finally:
        await streams.close()
