"""The loops that keep partitions and rank indexes, and what a loop is."""

import asyncio
from datetime import UTC, datetime

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand import clock
from grandstand.operations import follow_catalog
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.follow_catalog import CatalogFollower
from grandstand.workers.loop import run_every
from grandstand.workers.partition_keeper import PartitionKeeper
from grandstand.workers.ranking_keeper import RankingKeeper
from tests.support.core import Core, event
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def keeper(core: Core) -> RankingKeeper:
    """As in a process that has just started."""
    return core.new_keeper()


async def test_the_keeper_finds_lost_indexes_by_itself(core: Core, keeper: RankingKeeper) -> None:
    for key in ("a", "b", "c"):
        await core.define(key)
    events = [event(f"p{number}", number) for number in range(10)]
    await core.apply(*events)
    await keeper.keep()
    await core.valkey.delete((await core.keys("b"))[0])
    await core.valkey.delete(*await core.keys("global"))
    await keeper.keep()
    for key in ("a", "b", "c", "global"):
        await core.check(key, events)


async def test_the_keeper_leaves_complete_indexes_alone(
    core: Core, keeper: RankingKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebuild(ranking: object) -> int:
        raise AssertionError("there is nothing to rebuild")

    monkeypatch.setattr(core.rebuilder, "rebuild", rebuild)
    await keeper.keep()


async def test_the_keeper_takes_requests_first_and_comes_round_to_every_board(
    core: Core, keeper: RankingKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grandstand.workers import ranking_keeper

    monkeypatch.setattr(ranking_keeper, "_ROUND_MAX", 2)
    keys = [f"b{number}" for number in range(6)]
    for key in keys:
        await core.define(key)
    await core.apply(event())
    await core.lose_valkey()
    await core.reader.page("b5")  # asks for it
    await keeper.keep()
    assert await core.is_complete("b5")
    assert not await core.is_complete("b4")
    for _ in range(4):
        await keeper.keep()
    assert [key for key in [*keys, "global"] if not await core.is_complete(key)] == []


async def test_requests_for_deleted_boards_are_dropped(core: Core, keeper: RankingKeeper) -> None:
    await core.define("board")
    await core.apply(event())
    keys, ranking = await core.keys("board"), await core.ranking_id("board")
    await core.definer.delete("board")
    await core.index.delete(ranking)
    await core.index.request_rebuild(ranking)
    await keeper.keep()
    assert await core.valkey.exists(*keys) == 0


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, 999_999, UTC), ["events_2026_11", "events_2026_12", "events_2027_01"]),
        (datetime(2026, 12, 1, tzinfo=UTC), ["events_2026_12", "events_2027_01", "events_2027_02"]),
    ],
)
async def test_partitions_are_made_ahead(
    core: Core, monkeypatch: pytest.MonkeyPatch, now: datetime, expected: list[str]
) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    keeper = PartitionKeeper(core.database, core.event_log, ahead=2)
    for _ in range(2):
        await keeper.keep()
        async with core.database.connection() as connection:
            assert [each.name for each in await core.event_log.partitions(connection)] == expected
    await asyncio.gather(*(PartitionKeeper(core.database, core.event_log, ahead=5).keep() for _ in range(3)))


async def test_a_follower_learns_of_changes_when_woken(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = LeaderboardCatalog(core.store)
    follower = CatalogFollower(core.database, catalog)
    monkeypatch.setattr(follow_catalog, "_POLL_SECONDS", 3600.0)
    task = asyncio.ensure_future(follower.run())
    try:
        await eventually_async(lambda: catalog.get("global"))
        await core.define("board")
        monkeypatch.setattr(follow_catalog, "_POLL_SECONDS", 0.05)
        follower.wake()
        await eventually_async(lambda: catalog.get("board"), what="it does not wait for its own time")
        await core.definer.delete("board")
        await eventually_async(lambda: catalog.get("board") is None, what="it looks by itself too")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_loop_outlives_engines_and_bugs() -> None:
    rounds: list[int] = []
    stop = asyncio.Event()

    async def action() -> None:
        rounds.append(1)
        match len(rounds):
            case 1:
                raise ValkeyConnectionError("away")
            case 2:
                raise ZeroDivisionError
            case 4:
                stop.set()

    await asyncio.wait_for(run_every("test", 0.001, action, stop), 5)
    assert len(rounds) == 4


async def test_waiting_ends_with_the_stop() -> None:
    stop = asyncio.Event()
    waiting = asyncio.ensure_future(clock.wait(stop, 1000))
    stop.set()
    await asyncio.wait_for(waiting, 5)
