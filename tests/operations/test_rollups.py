"""Rollups equal a count over the stored events for every hour and day, whatever came late, twice or in pieces."""

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from grandstand.clock import now
from grandstand.domain.errors import ConflictError, UnavailableError
from grandstand.domain.event_model import OLDEST
from grandstand.domain.events import Event
from grandstand.operations.count_events import BUSY_EVENTS, EventCounter
from grandstand.storage import queries
from grandstand.storage.leases import LeaseStore
from grandstand.storage.rollups import RollupStore
from grandstand.telemetry.metrics import REGISTRY
from grandstand.workers.leader import Leader
from tests.support.core import NOON, Core, block, event, split
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

Counts = dict[tuple[str, datetime, str], tuple[int, int]]

EVENTS = st.lists(
    st.builds(
        lambda user_id, at, event_type, number: event(
            user_id, at=at, event_type=event_type, event_id=UUID(int=number), payload={"n": number % 7}
        ),
        st.sampled_from(["ann", "bob", "é", "\U00010000"]),
        st.integers(0, 25 * 365 * 1440).map(lambda count: NOON - timedelta(minutes=count))
        | st.integers(-45, 45).map(lambda count: NOON + timedelta(days=count))
        | st.integers(-90, 90).map(lambda count: NOON + timedelta(minutes=count)),
        st.sampled_from(["game_ended", "game_ended", "level_up", "session.begin"]),
        st.integers(1, 2**128 - 1),
    ),
    max_size=25,
    unique_by=lambda item: item.id,
)


def expected(events: Iterable[Event]) -> Counts:
    """What the rollups must be, from the set of events alone."""
    users: dict[tuple[str, datetime, str], list[str]] = defaultdict(list)
    for item in {item.id: item for item in events}.values():
        at = item.occurred_at.astimezone(UTC)
        day = datetime(at.year, at.month, at.day, tzinfo=UTC)
        users["hour", day + timedelta(hours=at.hour), item.event_type].append(item.user_id)
        users["day", day, item.event_type].append(item.user_id)
        users["day", day, ""].append(item.user_id)
    return {key: (len(found), len(set(found))) for key, found in users.items()}


def first_of(events: Iterable[Event]) -> dict[str, UUID]:
    """The id of each user's first event."""
    found: dict[str, UUID] = {}
    for item in sorted(events, key=lambda item: (item.occurred_at, item.id)):
        found.setdefault(item.user_id, item.id)
    return found


def days_of(events: Iterable[Event]) -> dict[tuple[date, str, int], int]:
    """What must be kept of days, from the set of events alone; see the table `rollup_days`."""
    users: dict[str, set[date]] = defaultdict(set)
    for item in events:
        users[item.user_id].add(item.occurred_at.astimezone(UTC).date())
    found: dict[tuple[date, str, int], int] = defaultdict(int)
    for seen in map(sorted, users.values()):
        for day, after in pairwise([*seen, date.max]):
            found[day, "stay", min(30, (after - day).days)] += 1
        for age in (0, 1, 7, 30):
            found[seen[0], "cohort", age] += seen[0] + timedelta(days=age) in seen
    return {key: count for key, count in found.items() if count}


async def kept(core: Core) -> dict[tuple[date, str, int], int]:
    """What is kept of days, once all of them are."""
    await counter(core).fill_days()
    rows = await core.database.pool.fetch("SELECT day, kind, number, users FROM rollup_days WHERE users <> 0")
    return {(row["day"], row["kind"], row["number"]): row["users"] for row in rows}


async def stored(core: Core) -> tuple[Counts, dict[str, UUID]]:
    rows = await core.database.pool.fetch("SELECT grain, start, event_type, events, users FROM rollups")
    first = await core.database.pool.fetch("SELECT user_id, event_id FROM first_events")
    counts = {(row["grain"], row["start"], row["event_type"]): (row["events"], row["users"]) for row in rows}
    return counts, {row["user_id"]: UUID(str(row["event_id"])) for row in first}


def counter(core: Core) -> EventCounter:
    return EventCounter(core.database, core.event_log)


@given(events=EVENTS, seed=st.integers(0, 2**32))
@settings(max_examples=20)
async def test_rollups_equal_a_count_over_the_events(core: Core, events: list[Event], seed: int) -> None:
    await core.reset()
    chance = random.Random(seed)
    repeated = events + [item for item in events if chance.random() < 0.5]
    chance.shuffle(repeated)
    for batch in split(repeated, chance):
        await core.applier.apply([block(batch, NOON)])
        step = chance.randrange(6)
        if step == 0:
            await counter(core).count()
        elif step == 1:
            await counter(core).rebuild()
        elif step == 2:
            await die_while_counting(core)
        elif step == 3:
            await counter(core).fill_days()
        elif step == 4:
            await count_as_older_programs_do(core)
    await counter(core).count()
    assert await stored(core) == (expected(events), first_of(events))
    assert await kept(core) == days_of(events)
    await counter(core).rebuild()
    assert await stored(core) == (expected(events), first_of(events))
    assert await kept(core) == days_of(events)


class _KilledError(Exception):
    pass


async def die_while_counting(core: Core) -> None:
    """End a count before its commit, as a kill does."""
    store = RollupStore()
    with suppress(_KilledError):
        async with core.database.transaction() as connection:
            await store.lock(connection)
            await store.count(connection)
            raise _KilledError


async def count_as_older_programs_do(core: Core) -> None:
    """Count and keep nothing of days."""
    rows = await core.database.pool.fetch("SELECT * FROM rollup_days")
    await counter(core).count()
    async with core.database.transaction() as connection:
        await connection.execute("DELETE FROM rollup_days")
        await connection.copy_records_to_table("rollup_days", records=rows)


async def test_a_batch_that_fails_counts_nothing(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise _KilledError

    monkeypatch.setattr(core.applier._folder, "fold", fail)
    with pytest.raises(_KilledError):
        await core.apply(event("ann"))
    await counter(core).count()
    assert (await stored(core))[0] == {}


@pytest.mark.parametrize(("events_max", "batches_max"), [(1, 1_000), (3, 1_000), (8, 1_000), (1_000, 1), (1_000, 5)])
async def test_more_than_a_transaction_counts_is_counted_at_once(
    core: Core, monkeypatch: pytest.MonkeyPatch, events_max: int, batches_max: int
) -> None:
    monkeypatch.setattr("grandstand.storage.rollups._COUNTED_EVENTS", events_max)
    monkeypatch.setattr("grandstand.storage.rollups._COUNTED_BATCHES", batches_max)
    batches = [[event(f"user-{number}") for number in range(size)] for size in (1, 2, 1, 3, 1)]
    for batch in batches:
        await core.applier.apply([block(batch, NOON)])
    assert await counter(core).count() == len(batches)
    assert (await stored(core))[0] == expected([each for batch in batches for each in batch])


@given(events=EVENTS, seed=st.integers(0, 2**32), events_max=st.integers(1, 6))
@settings(max_examples=12)
async def test_pieces_come_to_the_same(core: Core, events: list[Event], seed: int, events_max: int) -> None:
    await core.reset()
    for batch in split(events, random.Random(seed), 4):
        await core.applier.apply([block(batch, NOON)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grandstand.storage.rollups._COUNTED_EVENTS", events_max)
        await counter(core).count()
    assert await stored(core) == (expected(events), first_of(events))
    assert await kept(core) == days_of(events)


@pytest.fixture
def restful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is a piece, and each piece is followed by a rest without end."""
    for name in ("_COUNTED_EVENTS", "_COUNTED_EVENTS_LARGE"):
        monkeypatch.setattr(f"grandstand.storage.rollups.{name}", 1)
    monkeypatch.setattr("grandstand.operations.count_events._RESTS", 1e9)
    monkeypatch.setattr("grandstand.operations.count_events._REST_MAX_SECONDS", 3_600.0)


@pytest.mark.usefixtures("restful")
async def test_counting_rests_between_pieces_until_the_stop(core: Core) -> None:
    for user_id in ("ann", "bob", "cid"):
        await core.apply(event(user_id))
    stop = asyncio.Event()
    counting = asyncio.create_task(EventCounter(core.database, core.event_log, stop=stop).count())
    await eventually_async(partial(core.database.pool.fetchval, "SELECT true FROM first_events"))
    assert not counting.done()
    stop.set()
    async with asyncio.timeout(20):
        assert await counting == 1
    assert await counter(core).count() == 2, "whoever cannot be stopped does not rest"


@pytest.mark.usefixtures("restful")
async def test_a_backlog_leaves_no_time_to_rest(core: Core) -> None:
    for user_id in ("ann", "bob", "cid"):
        await core.apply(event(user_id))
    await core.database.pool.execute("UPDATE rollup_queue SET queued_at = queued_at - interval '61 seconds'")
    async with asyncio.timeout(20):
        assert await EventCounter(core.database, core.event_log, stop=asyncio.Event()).count() == 3


async def test_hours_begin_before_any_event(core: Core) -> None:
    """`date_bin` of PostgreSQL 15.6, 16.2 and older is an hour early for a whole hour before its origin."""
    statement = queries.load("rollups/count.sql")
    (origin,) = re.findall(r"date_bin\('1 hour', e.occurred_at, '(.*?)'\)", statement)
    assert await core.database.pool.fetchval("SELECT $1::text::timestamptz < $2", origin, OLDEST)
    events = [
        event("ann", at=at) for at in (OLDEST, datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC))
    ]
    await core.apply(*events)
    await counter(core).count()
    assert await stored(core) == (expected(events), first_of(events))


async def test_a_backlog_is_counted_in_large_pieces(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much waits is asked before each piece, of all that waits."""
    monkeypatch.setattr("grandstand.storage.rollups._COUNTED_EVENTS", 1)
    events = [event(user_id) for user_id in ("ann", "bob", "cid")]
    for item in events:
        await core.apply(item)
    await core.database.pool.execute("UPDATE rollup_queue SET queued_at = queued_at - interval '61 seconds'")
    before = pieces()
    assert await counter(core).count() == 3
    assert pieces() - before == 1
    assert await stored(core) == (expected(events), first_of(events))


async def test_large_pieces_that_take_too_long_are_not_tried_again(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    for user_id in ("ann", "bob", "cid"):
        await core.apply(event(user_id))
    await core.database.pool.execute("UPDATE rollup_queue SET queued_at = queued_at - interval '61 seconds'")
    count_some = RollupStore.count

    async def time_out(store: RollupStore, connection: Any, *, is_large: bool = False) -> Any:
        if is_large:
            raise TimeoutError
        return await count_some(store, connection)

    monkeypatch.setattr("grandstand.storage.rollups._COUNTED_EVENTS", 1)
    monkeypatch.setattr("grandstand.operations.count_events._SHORT_PIECE_SECONDS", 0)
    monkeypatch.setattr(RollupStore, "count", time_out)
    counting = counter(core)
    with pytest.raises(UnavailableError):
        await counting.count()
    assert await counting.count() == 3


async def test_who_leads_no_more_says_nothing_of_the_lag(core: Core) -> None:
    """Its last word would be the highest lag for ever."""
    counting = counter(core)
    leaders = [Leader(core.database, LeaseStore(), holder) for holder in ("one", "two")]
    round_of = leaders[0].while_leading(counting.count, counting.stand_by)
    await leaders[0].step()
    await core.apply(event("ann"))
    await core.database.pool.execute("UPDATE rollup_queue SET queued_at = queued_at - interval '400 seconds'")
    await round_of()
    assert (measured("rollup_lag_seconds"), measured("rollup_queue_events")) == (pytest.approx(400, abs=60), 1)
    await core.database.pool.execute("UPDATE leases SET expires_at = clock_timestamp()")
    for leader in reversed(leaders):
        await leader.step()
    await round_of()
    assert (measured("rollup_lag_seconds"), measured("rollup_queue_events")) == (0, 0)


def pieces() -> float:
    """How many pieces this process has counted."""
    return measured("stage_seconds_count", stage="rollup")


def measured(name: str, **labels: str) -> float:
    """What this process's metric says."""
    return REGISTRY.get_sample_value(f"grandstand_{name}", labels) or 0


async def test_counting_gives_way_to_workers_that_are_behind(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    polite = EventCounter(core.database, core.event_log, streams=core.streams)
    await core.stream.create_group()
    await core.apply(event("ann"))
    waiting = [event("bob")] * (BUSY_EVENTS + 1)
    await core.stream.append(waiting, [], NOON)
    assert await polite.count() == 0
    assert await stored(core) == ({}, {})
    with monkeypatch.context() as patch:
        patch.setattr("grandstand.operations.count_events.PATIENCE_SECONDS", 0)
        assert await polite.count() == 1, "not for ever"
    await core.apply(event("cid"))
    assert await polite.count() == 0
    await core.stream.acknowledge(await core.stream.read("w", 0, 10))
    assert await polite.count() == 1


async def test_no_rebuild_from_less_than_was_counted(core: Core) -> None:
    item = event("ann")
    await core.apply(item)
    await counter(core).count()
    before = await stored(core)
    async with core.database.transaction() as connection:
        for each in await core.event_log.partitions(connection):
            await connection.execute(f"DROP TABLE {each.name}")
    with pytest.raises(ConflictError) as caught:
        await counter(core).rebuild()
    assert caught.value.code == "rollups_need_archive"
    assert await stored(core) == before == (expected([item]), first_of([item]))


async def test_batches_go_on_during_a_rebuild(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [event("ann"), event("bob", event_type="level_up")]
    during = [event("ann", at=NOON - timedelta(hours=1)), event("cid")]
    await core.apply(*before)
    await counter(core).count()
    rebuild_counts = RollupStore.rebuild

    async def rebuild(store: RollupStore, connection: Any, timeout_seconds: float) -> None:
        await rebuild_counts(store, connection, timeout_seconds)
        # The rebuild has looked and is not committed: a batch goes through, what it queues waits, readers read.
        async with asyncio.timeout(20):
            await core.apply(*during)
            assert await counter(core).count() == 0
            assert await stored(core) == (expected(before), first_of(before))

    monkeypatch.setattr(RollupStore, "rebuild", rebuild)
    await counter(core).rebuild()
    assert await stored(core) == (expected(before), first_of(before))
    assert await counter(core).count() == 1
    assert await stored(core) == (expected(before + during), first_of(before + during))


async def test_an_erasure_takes_the_player_out_and_leaves_the_counts(core: Core) -> None:
    events = [event("ann"), event("ann", event_type="level_up"), event("bob")]
    events += [event("ann", at=NOON - timedelta(days=each)) for each in (1, 3, 8)]
    await core.apply(*events)
    await counter(core).count()
    await core.new_eraser().erase("ann")
    # Whoever comes back, within the same hour too, begins anew.
    again = event("ann")
    await core.apply(again, received_at=now() + timedelta(seconds=1))
    assert await core.new_erasure_finisher().finish() == 1
    await counter(core).count()
    pseudonym = await core.database.pool.fetchval("SELECT user_id FROM first_events WHERE user_id LIKE 'erased-%'")
    renamed = [replace(item, user_id=pseudonym) if item.user_id == "ann" else item for item in events] + [again]
    assert await stored(core) == (expected(renamed), first_of(renamed))
    rows = await core.database.pool.fetch("SELECT day, kind, number, users FROM rollup_days WHERE users <> 0")
    assert {tuple(row)[:3]: row["users"] for row in rows} == days_of(renamed)
    assert await kept(core) == days_of(renamed), "and nothing is filled anew"
    assert await core.database.pool.fetchval("SELECT payload = '{}' FROM first_events WHERE user_id = $1", pseudonym)
