"""The stream: all or nothing in, once out to each, gone when acknowledged, counted in events."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from valkey.exceptions import ResponseError

from grandstand import clock
from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.domain.events import decode_events, encode_events
from grandstand.storage.event_stream import HIGH, LOW, Block, EventStream, StreamLimits
from grandstand.storage.valkey import open_valkey
from tests.support.core import NOON, Core, event
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stream(core: Core) -> EventStream:
    await core.stream.create_group()
    return core.stream


async def test_a_block_comes_out_as_it_went_in(stream: EventStream) -> None:
    received_at = NOON + timedelta(microseconds=7)
    events = [
        event("é\U0001f3c6", payload={"score": 5, "text": "\U0001f3c6"}, event_id=UUID(int=1)),
        event(at=datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
    ]
    await stream.append(events, [], received_at)
    [block] = await stream.read("w", HIGH, 10)
    assert (block.priority, block.events, block.received_at) == (HIGH, 2, received_at)
    assert [(e.id, e.user_id, e.occurred_at, bytes(e.payload)) for e in decode_events(block.data)] == [
        (str(e.id), e.user_id, e.occurred_at, bytes(e.payload)) for e in events
    ]


async def test_priorities_are_read_apart(stream: EventStream) -> None:
    await stream.append([event()], [event(event_type="level_up")] * 2, NOON)
    assert [block.events for block in await stream.read("w", LOW, 10)] == [2]
    assert await stream.read("w", LOW, 10) == []
    assert [block.events for block in await stream.read("w", HIGH, 10)] == [1]


async def test_waiting_returns_either_priority(stream: EventStream) -> None:
    assert await stream.wait("w", 0.01) == []
    await stream.append([], [event()], NOON)
    assert [block.priority for block in await stream.wait("w", 5)] == [LOW]
    await stream.append([event()], [], NOON)
    assert [block.priority for block in await stream.wait("w", 5)] == [HIGH]


async def test_a_block_goes_to_one_consumer(stream: EventStream) -> None:
    for _ in range(10):
        await stream.append([event()], [], NOON)
    one, other = await stream.read("one", HIGH, 6), await stream.read("other", HIGH, 100)
    assert (len(one), len(other)) == (6, 4)
    assert not {block.block_id for block in one} & {block.block_id for block in other}


async def test_depth_counts_events_and_ends_at_zero(core: Core, stream: EventStream) -> None:
    assert await stream.depth() == (0, 0.0)
    now = clock.now()
    await stream.append([event()] * 3, [event()] * 4, now - timedelta(seconds=90))
    depth = await stream.depth()
    assert depth.depth == 7
    assert 90 <= depth.lag_seconds < 150
    high = await stream.read("w", HIGH, 10)
    assert (await stream.depth()).depth == 7, "delivered is not processed"
    await stream.acknowledge(high)
    await stream.acknowledge(high)
    assert (await stream.depth()).depth == 4
    await stream.acknowledge(await stream.read("w", LOW, 10))
    assert await stream.depth() == (0, 0.0)
    assert await core.valkey.xlen(f"{core.prefix}:{{events}}:high") == 0


async def test_acknowledging_nothing_is_harmless(stream: EventStream) -> None:
    await stream.acknowledge([])
    await stream.acknowledge([Block(HIGH, b"1-1", 5, NOON, b"[]", 2)])
    assert (await stream.depth()).depth == 0


async def test_stalled_blocks_can_be_claimed_once_they_are_idle(stream: EventStream) -> None:
    await stream.append([event()], [event()], NOON)
    dead = await stream.read("dead", HIGH, 10) + await stream.read("dead", LOW, 10)
    assert await stream.claim_stalled("alive", 60, 10) == []
    claimed: list[Block] = []

    async def claim() -> bool:
        claimed.extend(await stream.claim_stalled("alive", 0.05, 10))
        return len(claimed) >= 2

    await eventually_async(claim)
    assert sorted(claimed) == sorted(dead)
    assert await stream.claim_stalled("other", 60, 10) == [], "claiming makes them busy again"


async def test_acknowledged_blocks_are_not_claimed(stream: EventStream) -> None:
    await stream.append([event()], [], NOON)
    blocks = await stream.read("w", HIGH, 10)
    await stream.acknowledge(blocks)
    assert await stream.claim_stalled("other", 0, 10) == []


async def test_creating_the_group_again_keeps_what_is_there(stream: EventStream) -> None:
    await stream.append([event()], [], NOON)
    await stream.create_group()
    assert len(await stream.read("w", HIGH, 10)) == 1


async def test_without_its_group_the_stream_says_so(core: Core) -> None:
    with pytest.raises(ResponseError, match=r"^NOGROUP"):
        await core.stream.read("w", HIGH, 1)


async def test_what_was_appended_before_the_group_is_delivered(core: Core) -> None:
    await core.stream.append([event()], [], NOON)
    await core.stream.create_group()
    assert len(await core.stream.read("w", HIGH, 10)) == 1


async def test_idle_consumers_without_deliveries_are_forgotten(core: Core, stream: EventStream) -> None:
    await stream.append([event()], [], NOON)
    await stream.read("holding", HIGH, 1)
    await stream.read("idle", HIGH, 1)
    await stream.forget_idle_consumers(3600)
    name = f"{core.prefix}:{{events}}:high"

    async def left() -> set[bytes]:
        return {consumer["name"] for consumer in await core.valkey.xinfo_consumers(name, "workers")}

    assert await left() == {b"holding", b"idle"}

    async def is_forgotten() -> bool:
        await stream.forget_idle_consumers(0)
        return await left() == {b"holding"}

    await eventually_async(is_forgotten)
    await stream.claim_stalled("other", 0, 1)


async def test_a_stream_out_of_reach_takes_nothing(core: Core) -> None:
    valkey = open_valkey("valkey://127.0.0.1:1/0", timeout_seconds=1)
    try:
        away = EventStream(valkey, core.prefix)
        with pytest.raises(UnavailableError):
            await away.append([event()], [], NOON)
        with pytest.raises(UnavailableError):
            await away.depth()
    finally:
        await valkey.aclose()


async def test_a_full_server_takes_both_priorities_or_none(core: Core, stream: EventStream) -> None:
    await core.valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(UnavailableError):
            await stream.append([event()], [event()], NOON)
    finally:
        await core.valkey.config_set("maxmemory", 0)
    assert await stream.depth() == (0, 0.0)


async def test_limits_and_depth_outlive_the_loss_of_the_count(core: Core, stream: EventStream) -> None:
    limited = EventStream(core.valkey, core.prefix, StreamLimits(events=10))
    await limited.append([event()] * 6, [event()] * 3, NOON)
    await core.valkey.delete(limited.keys[2])
    with pytest.raises(StreamFullError):
        await limited.append([event()] * 2, [], NOON)
    await limited.acknowledge(await limited.read("w", HIGH, 10))
    await limited.inspect()
    assert (await limited.depth()).depth == 3
    assert int(await core.valkey.get(limited.keys[2]) or 0) == 3
    await limited.append([event()] * 7, [], NOON)
    with pytest.raises(StreamFullError):
        await limited.append([], [event()], NOON)


async def test_streams_that_are_deleted_with_their_count_leave_a_depth_of_nothing(
    core: Core, stream: EventStream
) -> None:
    await stream.append([event()] * 6, [event()] * 3, NOON)
    await core.valkey.delete(*stream.keys)
    seen = await stream.inspect()
    assert (seen.depth, seen.lost_events) == (0, 9)
    await stream.correct(seen)
    await stream.append([event()] * 2, [], NOON)
    await stream.correct(seen)
    assert (await stream.inspect())[2:] == (2, (0,) * 6)
    assert int(await core.valkey.get(stream.keys[2]) or 0) == 2


async def test_large_blocks_are_kept_small_and_counted_as_kept(core: Core, stream: EventStream) -> None:
    sent = [event() for _ in range(500)]
    await stream.append(sent, [event()], NOON)
    assert len(await core.valkey.dump(f"{core.prefix}:{{events}}:high") or b"") < len(encode_events(sent)) / 3
    (block,) = await stream.read("w", HIGH, 1)
    assert block.data == encode_events(sent)
    await stream.acknowledge([block, *await stream.read("w", LOW, 1)])
    book = await core.valkey.hgetall(f"{core.prefix}:{{events}}:book")
    assert {book[name] for name in (b"bytes:1", b"bytes:2", b"events:1", b"events:2")} == {b"0"}


@pytest.mark.parametrize("kept", [b"", b"no array", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfdjunk", b"[" * 5000])
async def test_what_nobody_appended_is_delivered_as_it_is(core: Core, stream: EventStream, kept: bytes) -> None:
    await stream.create_group()
    await core.valkey.xadd(f"{core.prefix}:{{events}}:high", {"n": 1, "r": 0, "e": kept})
    (block,) = await stream.read("w", HIGH, 1)
    assert block.data == kept
