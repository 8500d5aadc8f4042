"""Every process hears of changes at once, and knows when it may have missed one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from grandstand.operations.apply_events import EventApplier
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.valkey import open_valkey
from tests.support.core import Core, block, event
from tests.support.engines import RunningEngines
from tests.support.proxy import open_proxy
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(feed: ChangeFeed) -> AsyncIterator[None]:
    task = asyncio.ensure_future(feed.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def is_read(core: Core, *keys: str) -> bool:
    """Read the boards, as a cache does before it keeps them; whether all of what was heard so far is in it."""
    for key in keys:
        await core.reader.page(key)
    return all(core.reader.generation(key) is not None for key in keys)


async def test_generations_follow_changes(core: Core) -> None:
    told: list[int] = []
    feed = ChangeFeed(core.valkey, core.prefix, lambda: told.append(1))
    assert feed.generation(1) is None, "nothing is heard yet"
    async with running(feed):
        await eventually_async(lambda: feed.generation(1) is not None)
        before = [feed.generation(ranking) for ranking in (1, 2, 3)]
        told.clear()
        await core.changes.rankings([1, 3])
        await eventually_async(lambda: feed.generation(3) != before[2])
        assert feed.generation(1) not in (None, before[0])
        assert feed.generation(2) == before[1]
        await core.changes.leaderboards()
        await eventually_async(lambda: told)
    assert feed.generation(1) is None


async def test_years_of_rankings_take_bounded_memory_and_no_change_is_missed(core: Core) -> None:
    """Thousands of rankings begin and end each day; a process that listens for a year must not remember them all."""
    feed = ChangeFeed(core.valkey, core.prefix, lambda: None, rankings_max=100)
    async with running(feed):
        await eventually_async(lambda: feed.generation(1) is not None)
        kept_by_caches = {ranking: feed.generation(ranking) for ranking in range(1, 1001)}
        for first in range(1, 1001, 50):
            await core.changes.rankings(range(first, first + 50))
        names = feed.names_generation()
        await core.changes.names()
        await eventually_async(lambda: feed.names_generation() != names, what="all of it is heard")
        assert feed.rankings_remembered <= 100
        assert not [ranking for ranking, seen in kept_by_caches.items() if feed.generation(ranking) == seen]
        # What changed last is told apart, and a ranking whose change was forgotten one by one is heard of again.
        newest, forgotten = feed.generation(1000), feed.generation(1)
        await core.changes.rankings([1])
        await eventually_async(lambda: feed.generation(1) != forgotten)
        assert feed.generation(1000) == newest


async def test_an_applied_batch_changes_the_generation_of_its_boards_only(core: Core) -> None:
    """It is known once a board was read, and read anew after rankings were made."""
    await core.define("spend", event_type="purchase")
    async with running(core.feed):
        await eventually_async(lambda: core.feed.generation(0) is not None)
        assert core.reader.generation("global") is None
        await core.apply(event("ann", 0))
        await eventually_async(lambda: is_read(core, "global", "spend"))
        one, other = core.reader.generation("global"), core.reader.generation("spend")
        await core.apply(event("ann", 1))
        await eventually_async(lambda: core.reader.generation("global") != one)
        assert core.reader.generation("spend") == other
        assert core.reader.generation("nothing") is None


async def test_known_events_are_news_once_only(core: Core) -> None:
    """Another worker may have died before it told of a ranking; whoever repeats its events tells, and not each time."""
    sent = [event("ann", 1), event("bob", 2)]
    async with running(core.feed):
        await eventually_async(lambda: core.feed.periods_generation() is not None)
        await core.apply(*sent)
        other = core.new_applier()

        async def hear() -> int | None:
            mark = core.feed.generation(-7)
            await core.changes.rankings([-7])
            await eventually_async(lambda: core.feed.generation(-7) != mark)
            return core.feed.periods_generation()

        async def news(applier: EventApplier) -> bool:
            before = await hear()
            await applier.apply([block(sent)])
            return await hear() != before

        assert [await news(core.applier), await news(other), await news(other)] == [False, True, False]
        await core.define("late", event_type="match")
        await other.apply([block([event("ann", 1, event_type="match")])])
        assert not await news(other)


async def test_after_a_lost_connection_everything_counts_as_changed(core: Core, engines: RunningEngines) -> None:
    async with open_proxy(engines.socket_folder / "valkey.sock") as proxy:
        valkey = open_valkey(f"valkey://127.0.0.1:{proxy.port}/0", timeout_seconds=2)
        told: list[int] = []
        feed = ChangeFeed(valkey, core.prefix, lambda: told.append(1))
        try:
            async with running(feed):
                await eventually_async(lambda: feed.generation(1) is not None)
                await core.changes.rankings([1])
                first = feed.generation(1)
                await eventually_async(lambda: feed.generation(1) != feed.generation(2))
                proxy.cut()
                await eventually_async(lambda: feed.generation(1) is None)
                await core.changes.rankings([1])  # unheard
                told.clear()
                proxy.mend()
                await eventually_async(lambda: feed.generation(1) is not None)
                assert feed.generation(1) not in (None, first)
                assert feed.generation(1) == feed.generation(2), "all that was cached before is old"
                assert told, "definitions may have changed too"
        finally:
            await valkey.aclose()
