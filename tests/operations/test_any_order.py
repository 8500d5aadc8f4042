"""Scores and ranks depend on the set of events: not on order, batches, repetition, workers, or crashes in between."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand.domain.events import Event
from grandstand.operations.apply_events import EventApplier
from grandstand.storage.ranking_index import RankingIndex
from tests.support.core import Core, block, event, minutes, split

pytestmark = pytest.mark.anyio

BOARDS: dict[str, dict[str, Any]] = {
    "best-desc": {},
    "best-asc": {"order": "asc"},
    "latest-desc": {"operator": "latest"},
    "latest-asc": {"operator": "latest", "order": "asc"},
    "sum-desc": {"operator": "sum"},
    "sum-asc": {"operator": "sum", "order": "asc"},
    "count-desc": {"operator": "count"},
    "count-asc": {"operator": "count", "field": None, "order": "asc"},
    "where": {"operator": "sum", "where": {"mode": "ranked", "stats.pro": True}},
    "limits": {"operator": "best", "min_score": -1, "max_score": 1},
    "dotted": {"operator": "latest", "field": "stats.kills"},
    "other": {"operator": "count", "field": None, "event_type": "level_up"},
}

PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "score": st.integers(-3, 3) | st.sampled_from([2.0, 1.5, "3", None, True, 2**53 - 1, 1 - 2**53]),
        "mode": st.sampled_from(["ranked", "casual"]),
        "stats": st.fixed_dictionaries({}, optional={"pro": st.sampled_from([True, 1]), "kills": st.integers(0, 2)}),
    },
)
EVENTS = st.lists(
    st.builds(
        lambda user_id, minute, event_type, number, payload: event(
            user_id, at=minutes(minute), event_type=event_type, event_id=UUID(int=number), payload=payload
        ),
        st.sampled_from(["ann", "bob", "é", "\uffff", "\U00010000"]),
        st.integers(-2, 2),
        st.sampled_from(["game_ended", "game_ended", "game_ended", "level_up"]),
        st.integers(1, 2**128 - 1),
        PAYLOADS,
    ),
    max_size=20,
    unique_by=lambda item: item.id,
)


class PublishingFailsAtFirst(RankingIndex):
    """A worker's way to the index that breaks between its commit and its first `failures` publishes."""

    failures = 1

    async def publish(self, *arguments: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise ValkeyConnectionError("gone")
        await super().publish(*arguments)


async def deliver(applier: EventApplier, batches: list[list[Event]]) -> None:
    for batch in batches:
        # Blocks of one batch are separate writes to the stream.
        middle = len(batch) // 2
        await applier.apply([block(part) for part in (batch[:middle], batch[middle:]) if part])


@pytest.fixture
async def boards(core: Core) -> Core:
    for key, values in BOARDS.items():
        await core.define(key, **values)
    return core


@settings(max_examples=40)
@given(events=EVENTS, seed=st.integers(0, 2**32))
async def test_permutations_batches_repetitions_and_two_workers(boards: Core, events: list[Event], seed: int) -> None:
    await boards.reset()
    randomly = random.Random(seed)
    deliveries: list[list[list[Event]]] = []
    for _ in range(2):  # each worker gets an overlapping part of all of them, some twice
        mine = [item for item in events for _ in range(randomly.choice([0, 1, 1, 2]))]
        randomly.shuffle(mine)
        deliveries.append([list(batch) for batch in split(mine, randomly)])
    delivered = {item.id for worker in deliveries for batch in worker for item in batch}
    deliveries[0].append([item for item in events if item.id not in delivered])
    await asyncio.gather(*(deliver(boards.new_applier(), [b for b in batches if b]) for batches in deliveries))
    for key in BOARDS:
        await boards.check(key, events)
    assert await boards.count_events() == len(events)


@pytest.mark.parametrize("workers", [2, 6])
async def test_the_same_blocks_applied_by_several_workers_at_once(boards: Core, workers: int) -> None:
    randomly = random.Random(workers)
    events = [event(f"p{randomly.randrange(9)}", randomly.randrange(-9, 9)) for _ in range(300)]
    parts = list(split(events, randomly, 40))
    appliers = [boards.new_applier() for _ in range(workers)]
    for start in range(0, len(parts), 2):
        blocks = [block(part) for part in parts[start : start + 2]]
        applied = await asyncio.gather(*(applier.apply(blocks) for applier in appliers))
        assert sum(outcome.stored for outcome in applied) == sum(one.events for one in blocks)
    for key in BOARDS:
        await boards.check(key, events)


async def test_many_workers_on_overlapping_batches(boards: Core) -> None:
    randomly = random.Random(8)
    events = [event(f"p{randomly.randrange(30)}", randomly.randrange(100)) for _ in range(120)]
    batches = [[block(randomly.sample(events, 60))] for _ in range(16)] + [[block(events)]]
    await asyncio.gather(*(boards.new_applier().apply(blocks) for blocks in batches))
    for key in BOARDS:
        await boards.check(key, events)


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_worker_that_dies_between_commit_and_publish(boards: Core, failures: int) -> None:
    events = [event("ann", 5), event("bob", 7), event("ann", 6)]
    index = PublishingFailsAtFirst(boards.valkey, boards.prefix)
    index.failures = failures
    for _ in range(failures):
        with pytest.raises(ValkeyConnectionError):
            await boards.new_applier(index).apply([block(events)])
    assert await boards.count_events() == 3
    assert (await boards.reader.page("global")).total == 0, "not published yet"
    applied = await boards.new_applier(index).apply([block(events)])
    assert (applied.stored, applied.duplicates) == (0, 3)
    for key in BOARDS:
        await boards.check(key, events)


async def test_a_lost_acknowledgement_changes_nothing(boards: Core) -> None:
    events = [event("ann", score, at=minutes(score)) for score in range(5)]
    for _ in range(3):
        await boards.applier.apply([block(events)])
    for key in BOARDS:
        await boards.check(key, events)


async def test_a_late_redelivery_does_not_bring_back_an_old_score(boards: Core) -> None:
    old, new = event("ann", 1, at=minutes(1)), event("ann", 2, at=minutes(2))
    for item in (old, new, old):
        await boards.apply(item)
    for key in BOARDS:
        await boards.check(key, [old, new])


async def test_a_batch_that_fails_leaves_nothing(boards: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: Any) -> None:
        raise RuntimeError("in the middle of the transaction")

    with monkeypatch.context() as patched:
        patched.setattr(boards.entries, "fold", fail)
        with pytest.raises(RuntimeError):
            await boards.apply(event("ann", 1))
    assert await boards.count_events() == 0
    await boards.apply(kept := event("ann", 1))
    await boards.check("sum-desc", [kept])


async def test_equal_scores_rank_by_time_then_by_the_bytes_of_the_user(core: Core) -> None:
    users = ["b", "a", "é", "\uffff", "\U00010000", "Z", "aa"]
    events = [event(user, 5, at=minutes(1)) for user in users] + [event("early", 5, at=minutes(0))]
    random.Random(1).shuffle(events)
    await core.apply(*events)
    found = [row.user_id for row in await core.walk("global")]
    assert found == ["early", *sorted(users, key=str.encode)]


async def test_best_keeps_the_first_time_that_a_score_was_reached(core: Core) -> None:
    await core.apply(event("ann", 5, at=minutes(9)))
    await core.apply(event("ann", 5, at=minutes(3)), event("ann", 4, at=minutes(1)))
    await core.apply(event("ann", 5, at=minutes(6)))
    assert (await core.reader.user("global", "ann")).achieved_at == minutes(3)


async def test_latest_breaks_equal_times_by_id(core: Core) -> None:
    await core.define("last", operator="latest")
    low, high = event("ann", 1, event_id=UUID(int=1)), event("ann", 2, event_id=UUID(int=2))
    await core.apply(high)
    await core.apply(low)
    await core.check("last", [low, high])
    assert (await core.reader.user("last", "ann")).score == 2


async def test_a_sum_beyond_exact_numbers_is_clamped_as_served_and_exact_inside(core: Core) -> None:
    limit = 2**53 - 1
    await core.define("sum", operator="sum")
    up = [event("ann", limit) for _ in range(3)]
    down = [event("ann", -limit) for _ in range(2)] + [event("ann", -7)]
    await core.apply(*up)
    assert (await core.reader.user("sum", "ann")).score == limit
    await core.check("sum", up)
    for item in down:
        await core.apply(item)
    assert (await core.reader.user("sum", "ann")).score == limit - 7
    await core.check("sum", up + down)
    more_down = [event("ann", -limit) for _ in range(5)]
    await core.apply(*more_down)
    assert (await core.reader.user("sum", "ann")).score == -limit
    await core.check("sum", up + down + more_down)


async def test_clamped_sums_come_back_in_any_order(core: Core) -> None:
    limit = 2**53 - 1
    await core.define("sum", operator="sum", order="asc")
    events = [event(user, sign * limit) for user in ("ann", "bob") for sign in (1, 1, -1, -1, -1, 1, 1)]
    for seed in range(5):
        await core.reset()
        shuffled = events.copy()
        random.Random(seed).shuffle(shuffled)
        for batch in split(shuffled, random.Random(seed), 3):
            await core.apply(*batch)
        await core.check("sum", events)
