"""The reconciler: finds whatever drifts, mends and counts it, and leaves a healthy board alone, however busy."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.operations.catalog import LeaderboardCatalog, indexed
from grandstand.storage.entries import Entry
from grandstand.telemetry import metrics
from grandstand.workers import ranking_reconciler
from grandstand.workers.ranking_reconciler import RankingReconciler
from tests.support.core import NOON, Core, block, event, minutes, standing
from tests.support.driver import PublishingFails
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

USERS = [f"p{number:02}" for number in range(30)]


def counted() -> float:
    return metrics.RANKING_DRIFT._value.get()


async def round_trip(core: Core, reconciler: RankingReconciler | None = None) -> int:
    """Let a reconciler walk through everything once and a half."""
    reconciler = reconciler or core.new_reconciler()
    rankings: int = await core.database.pool.fetchval("SELECT count(*) FROM rankings WHERE state IN ('live', 'closed')")
    return sum([await reconciler.reconcile() for _ in range(2 * rankings + 2)])


async def entry_of(core: Core, user_id: str) -> Entry:
    async with core.database.connection() as connection:
        return (await core.entries.find(connection, [(await core.ranking_id("global"), user_id)]))[0]


async def plant(core: Core, drift: str) -> int:
    """Make the index of `global` differ while its parts still agree; return how many entries differ."""
    ranks, holders, removed, _ = await core.keys("global")
    ranking_id = await core.ranking_id("global")
    held = await core.valkey.hget(holders, "p03")
    member = held[6:] + b"p03"
    match drift:
        case "a missing member":
            await core.valkey.zrem(ranks, member)
            await core.valkey.hdel(holders, "p03")
        case "a stale version":
            entry = await entry_of(core, "p03")
            await core.database.pool.execute(
                "UPDATE entries SET score = 99, version = nextval('entry_versions') WHERE user_id = 'p03'"
            )
            assert await core.index.versions(ranking_id, ["p03"]) == {"p03": entry.version}
        case "a removal that was rolled back":
            async with core.database.connection() as connection:
                await core.index.forget(ranking_id, ["p03"], await core.entries.next_version(connection))
            assert await core.valkey.hget(removed, "p03")
        case "a stranger":
            await core.index.publish([Entry(ranking_id, "ghost", 1000, b"", NOON, None, 5)], {ranking_id: -1})
        case _:
            await core.valkey.zrem(ranks, member)
            await core.valkey.hdel(holders, "p03")
            await core.index.publish([Entry(ranking_id, "ghost", 1000, b"", NOON, None, 5)], {ranking_id: -1})
            return 2
    return 1


@pytest.mark.parametrize(
    "drift",
    ["a missing member", "a stale version", "a removal that was rolled back", "a stranger", "one lost, one too many"],
)
async def test_drift_is_mended_and_counted(core: Core, drift: str) -> None:
    await core.apply(*(event(user, number) for number, user in enumerate(USERS)))
    before = counted()
    count = await plant(core, drift)
    assert await core.is_complete("global"), "nothing else would notice"
    assert standing(await core.reader.page("global")) != await core.computed("global")
    assert await round_trip(core) == count
    assert counted() == before + count
    assert standing(await core.reader.page("global")) == await core.computed("global")
    assert await round_trip(core) == 0
    await core.apply(event("p03", 500))
    assert standing(await core.reader.page("global")) == await core.computed("global")


async def test_drift_anywhere_in_a_board_of_many_stretches(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking_reconciler, "_SAMPLE_ENTRIES", 4)
    await core.define("other", segment_by="country")
    await core.apply(*(event(user, payload={"score": 1, "country": "DE"}) for user in USERS))
    ranks, holders, *_ = await core.keys("global")
    for user in USERS[::7]:
        held = await core.valkey.hget(holders, user)
        await core.valkey.zrem(ranks, held[6:] + user.encode())
        await core.valkey.hdel(holders, user)
    reconciler = core.new_reconciler()
    assert sum([await reconciler.reconcile() for _ in range(60)]) == len(USERS[::7])
    assert standing(await core.reader.page("global")) == await core.computed("global")


async def test_nothing_is_mended_on_a_healthy_busy_board(core: Core) -> None:
    """Players score between its looks and, each time, in the gap between a commit and its publishing."""
    await core.define("sum", operator="sum", keep=["score"])
    await core.apply(*(event(user, 1) for user in USERS))
    before = counted()
    is_done = asyncio.Event()
    batches = 0
    turns: Counter[str] = Counter()

    class Slow(type(core.index)):  # type: ignore[misc]
        async def publish(self, *arguments: Any) -> None:
            await asyncio.sleep(0.004)
            await super().publish(*arguments)

    async def work(part: int) -> None:
        nonlocal batches
        applier = core.new_applier(Slow(core.valkey, core.prefix))
        while not is_done.is_set():
            await applier.apply([block([event(user, 1, at=minutes(batches)) for user in USERS[part::2]])])
            batches += 1
            turns[f"part {part}"] += 1

    async def remove() -> None:
        while not is_done.is_set():
            await core.definer.remove_user("sum", "p05")
            await core.apply(event("p05", 1), received_at=clock.now())
            turns["removal"] += 1
            await asyncio.sleep(0.01)

    class Patient(RankingReconciler):
        """Looks again when all that was committed at its first look is published: as in the product, at any speed."""

        async def _mend(self, *arguments: Any) -> int:
            seen = turns.copy()
            await eventually_async(lambda: all(turns[name] > seen[name] for name in ("part 0", "part 1", "removal")))
            return await super()._mend(*arguments)

    tasks = [asyncio.ensure_future(task) for task in (work(0), work(1), remove())]
    reconciler = Patient(
        core.database, LeaderboardCatalog(core.store), core.rankings, core.entries, core.index, second_look_seconds=0
    )
    try:
        mended = 0
        while batches < 60:
            mended += await reconciler.reconcile()
    finally:
        is_done.set()
        await asyncio.gather(*tasks)
    assert mended == 0
    assert counted() == before
    for key in ("global", "sum"):
        assert standing(await core.reader.page(key)) == await core.computed(key)
    assert await round_trip(core) == 0


async def test_who_came_back_between_the_looks_is_left_to_the_worker_who_brings_them(core: Core) -> None:
    """Behind at the first look; at the second off the board and on it again, in a commit that is not published yet."""
    await core.apply(*(event(user, 1) for user in USERS))
    before = counted()
    await plant(core, "a stale version")

    async def come_back(*arguments: Any) -> list[str]:
        await core.definer.remove_user("global", "p03")
        applier = core.new_applier(PublishingFails(core.valkey, core.prefix))
        with pytest.raises(ValkeyConnectionError):
            await applier.apply([block([event("p03", 5)], received_at=clock.now())])
        return []

    reconciler = core.new_reconciler()
    reconciler._strangers = come_back  # type: ignore[method-assign]
    for _ in USERS:
        assert await reconciler.reconcile() == 0
        if (await entry_of(core, "p03")).score == 5:
            break
    assert (await entry_of(core, "p03")).score == 5
    assert counted() == before


async def test_what_is_lost_as_a_whole_is_for_the_keeper(core: Core) -> None:
    await core.apply(*(event(user, 1) for user in USERS))
    await core.lose_valkey()
    before = counted()
    assert await round_trip(core) == 0
    reconciler = core.new_reconciler()
    await core.rebuild("global")
    await plant(core, "a missing member")

    async def lose(*arguments: Any) -> list[str]:
        await core.lose_valkey()
        return []

    reconciler._strangers = lose  # type: ignore[method-assign]
    assert await reconciler.reconcile() == 0
    assert counted() == before


async def test_closed_and_dropped_rankings_and_no_rankings_at_all(core: Core) -> None:
    assert await round_trip(core) == 0
    await core.define("board")
    await core.apply(event("ann", 1))
    await core.definer.delete("board")
    assert await round_trip(core) == 0
    reconciler = core.new_reconciler()
    await reconciler.reconcile()
    await core.sweeper.sweep()
    assert await round_trip(core, reconciler) == 0


async def test_a_removal_whose_commit_fails_is_undone_in_the_index(core: Core) -> None:
    """The index forgot the player before; only the reconciler can tell."""
    await core.apply(event("ann", 1), event("bob", 2))

    async def fail(entries: Any) -> None:
        await type(core.index).remove(core.index, entries)
        raise ConnectionResetError

    core.index.remove = fail  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await core.definer.remove_user("global", "ann")
    del core.index.remove
    assert await core.index.versions(await core.ranking_id("global"), ["ann"]) == {}
    assert await round_trip(core) == 1
    assert standing(await core.reader.page("global")) == await core.computed("global")
    assert await core.index.find_incomplete([indexed(core.board("global"), await core.ranking_id("global"))]) == []
