"""An id counts once, whatever months it was received in: across a boundary, at once, with clocks going back."""

import asyncio
import random
from datetime import UTC, date, datetime, time, timedelta

import pytest

from grandstand import clock
from grandstand.domain.events import Event
from grandstand.domain.partitions import month_at
from grandstand.storage.event_log import EventLog
from tests.support.core import Core, block, event, split

pytestmark = pytest.mark.anyio

BOUNDARY = datetime(2027, 1, 1, tzinfo=UTC)
BEFORE, AFTER = BOUNDARY - timedelta(microseconds=1), BOUNDARY


async def apply_at(core: Core, events: list[Event], *moments: datetime) -> None:
    """One batch of a worker of its own, with the same events received at each of the moments."""
    await core.new_applier().apply([block(events, moment) for moment in moments])


async def ids_by_partition(core: Core) -> dict[str, int]:
    rows = await core.database.pool.fetch("SELECT tableoid::regclass::text AS name, count(*) FROM events GROUP BY 1")
    return {row["name"]: row["count"] for row in rows}


async def check_once(core: Core, events: list[Event]) -> None:
    rows = await core.database.pool.fetch("SELECT id, count(*) FROM events GROUP BY id")
    assert {row["id"]: row["count"] for row in rows} == {item.id: 1 for item in events}
    await core.check("sum", events)
    await core.check("count", events)


@pytest.fixture
async def core(core: Core, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setattr(clock, "now", lambda: AFTER + timedelta(days=60))
    await core.define("sum", operator="sum")
    await core.define("count", operator="count", field=None)
    return core


@pytest.mark.parametrize("moments", [(BEFORE, AFTER), (AFTER, BEFORE)], ids=["forward", "back"])
async def test_a_redelivery_in_another_month_counts_once(core: Core, moments: tuple[datetime, datetime]) -> None:
    events = [event("ann", 3), event("bob", 4)]
    for moment in moments:
        await apply_at(core, events, moment)
    await check_once(core, events)
    assert await ids_by_partition(core) == {month_at(moments[0]).name: 2}


async def test_one_batch_with_both_months_counts_once_and_keeps_the_first_delivery(core: Core) -> None:
    events = [event("ann", 3)]
    await apply_at(core, events, AFTER, BEFORE)
    await check_once(core, events)
    assert await ids_by_partition(core) == {"events_2027_01": 1}


async def test_microseconds_decide_the_month(core: Core) -> None:
    early, late = [event("ann", 3)], [event("ann", 4)]
    await apply_at(core, early, BEFORE)
    await apply_at(core, late, AFTER)
    assert await ids_by_partition(core) == {"events_2026_12": 1, "events_2027_01": 1}


async def test_workers_on_both_sides_of_a_boundary_at_once(core: Core) -> None:
    everything: list[Event] = []
    for seed in range(12):
        randomly = random.Random(seed)
        events = [event(f"p{randomly.randrange(5)}", randomly.randrange(10)) for _ in range(40)]
        everything += events
        sides = [(BEFORE,), (AFTER,), (AFTER, BEFORE), (BEFORE, AFTER), (BEFORE,), (AFTER,)]
        randomly.shuffle(sides)
        await asyncio.gather(*(apply_at(core, randomly.sample(events, 40), *moments) for moments in sides))
        await check_once(core, everything)


async def test_many_months_forward_and_back_at_once(core: Core) -> None:
    randomly = random.Random(3)
    months = [datetime(2026 + number // 12, number % 12 + 1, 5, tzinfo=UTC) for number in range(9, 14)]
    events = [event(f"p{randomly.randrange(9)}", randomly.randrange(10)) for _ in range(120)]

    async def worker(seed: int) -> None:
        mine = random.Random(seed)
        for part in split(mine.sample(events, len(events)), mine, 30):
            await apply_at(core, list(part), *mine.sample(months, mine.choice([1, 1, 2])))

    await asyncio.gather(*(worker(seed) for seed in range(5)))
    await check_once(core, events)


async def test_the_open_month_only_moves_forward(core: Core) -> None:
    async def open_month() -> date | None:
        return await core.database.pool.fetchval("SELECT open_month FROM ledger")

    assert await open_month() is None
    for moment, expected in ((AFTER, 1), (BEFORE, 1), (AFTER + timedelta(days=40), 2), (AFTER, 2)):
        await apply_at(core, [event("ann", 1)], moment)
        assert await open_month() == date(2027, expected, 1)


async def test_a_month_that_lies_ahead_of_the_clock_is_not_opened(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong clock's: it would make every right batch run alone."""
    monkeypatch.setattr(clock, "now", lambda: BEFORE - timedelta(days=3))
    events = [event("ann", 3)]
    await apply_at(core, events, AFTER)
    assert await core.database.pool.fetchval("SELECT open_month FROM ledger") is None
    await apply_at(core, [], BEFORE - timedelta(days=3))
    assert await core.database.pool.fetchval("SELECT open_month FROM ledger") == date(2026, 12, 1)
    await check_once(core, events)


async def test_batches_of_the_open_month_run_side_by_side_and_others_do_not(core: Core) -> None:
    await apply_at(core, [event("ann", 1)], BEFORE)
    async with core.database.transaction() as connection:
        await core.ledger.join(connection)  # a batch under way
        await asyncio.wait_for(apply_at(core, [event("ann", 1)], BEFORE), 10)
        other = asyncio.ensure_future(apply_at(core, [event("ann", 1)], AFTER))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND mode = 'ExclusiveLock'"
        while not await core.database.pool.fetchval(waiting):
            assert not other.done(), "it did not wait for the batch under way"
    await asyncio.wait_for(other, 10)


async def test_a_missing_partition_is_made_on_demand(core: Core) -> None:
    events = [event("ann", 1), event("bob", 2)]
    await apply_at(core, events, datetime(2031, 5, 5, tzinfo=UTC))
    await check_once(core, events)
    assert await ids_by_partition(core) == {"events_2031_05": 2}


async def test_a_missing_partition_is_made_by_several_workers_at_once(core: Core) -> None:
    everything: list[Event] = []
    for year in range(2030, 2036):
        batches = [[event(f"p{number}", number)] for number in range(6)]
        everything += [item for batch in batches for item in batch]
        await asyncio.gather(*(apply_at(core, batch, datetime(year, 2, 2, tzinfo=UTC)) for batch in batches))
    await check_once(core, everything)


async def test_a_partition_can_be_made_while_others_read_and_write(core: Core) -> None:
    await apply_at(core, [event("ann", 1)], BEFORE)
    writer, reader = await core.database.pool.acquire(), await core.database.pool.acquire()
    try:
        async with writer.transaction(), reader.transaction():
            await reader.fetch("SELECT * FROM events")
            await writer.execute(
                "INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload) "
                "VALUES (gen_random_uuid(), $1, $1, 'x', 'y', '{}')",
                BEFORE,
            )
            async with core.database.connection() as connection:
                made = await asyncio.wait_for(
                    core.event_log.create_partition(connection, AFTER + timedelta(days=1096)), 10
                )
            assert made
    finally:
        await core.database.pool.release(writer)
        await core.database.pool.release(reader)
    assert await core.count_events() == 2


async def test_the_same_partition_made_by_many_at_once(core: Core) -> None:
    async def create(moment: datetime) -> bool:
        async with core.database.connection() as connection:
            return await core.event_log.create_partition(connection, moment) is not None

    moment = datetime(2030, 1, 1, tzinfo=UTC)
    for _ in range(5):
        made = await asyncio.gather(*(create(moment) for _ in range(8)))
        assert sum(made) == 1
        moment = month_at(moment).ends_at
    async with core.database.connection() as connection:
        held = await core.event_log.partitions(connection)
    assert [each.name for each in held] == [f"events_2030_0{number}" for number in range(1, 6)]


async def test_a_partition_has_the_bounds_and_indexes_of_its_month(core: Core) -> None:
    wanted = {
        "events_2028_02": (date(2028, 2, 1), date(2028, 3, 1)),
        "events_2028_12": (date(2028, 12, 1), date(2029, 1, 1)),
    }
    wanted["events_2028_11_30"] = date(2028, 11, 30), date(2028, 12, 1)
    for name, (month, after) in wanted.items():
        log = EventLog("day" if name.endswith("_30") else "month")
        async with core.database.connection() as connection:
            moment = datetime.combine(month, time(), UTC)
            assert await log.create_partition(connection, moment)
            assert not await log.create_partition(connection, moment)
        bounds = await core.database.pool.fetchval(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = $1", name
        )
        assert bounds == f"FOR VALUES FROM ('{month} 00:00:00+00') TO ('{after} 00:00:00+00')"
        indexes = await core.database.pool.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = $1", name)
        definitions = " ".join(row["indexdef"] for row in indexes)
        assert "UNIQUE INDEX" in definitions
        assert "(user_id, received_at)" in definitions
        assert "(event_type, received_at)" in definitions
        checks = await core.database.pool.fetchval(
            "SELECT count(*) FROM pg_constraint WHERE conrelid = $1::regclass::oid AND contype = 'c'", name
        )
        assert checks == 0
