"""Whatever goes away in Valkey while scores come in, no wrong rank is ever served, and in the end nothing has drifted.

Player number n scores between 1,000 n and 1,000 n + 999, more each time: the order is known whatever has been
applied, and a score that is shown must be at least the newest one that was applied when the read began.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.operations.catalog import indexed
from grandstand.operations.read_leaderboard import LeaderboardReader
from tests.support.core import NOON, Core, block, event, standing

pytestmark = pytest.mark.anyio

PLAYERS = 60
ORDER = [f"p{number:02}" for number in range(PLAYERS, 0, -1)]
BOARDS = {"best": {"keep": ["score"]}, "latest": {"operator": "latest"}, "segments": {"segment_by": "country"}}


class Load:
    """Players who score more and more, and checkers who look all the time."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.is_done = asyncio.Event()
        self.sent: dict[str, int] = defaultdict(int)
        self.applied: dict[str, int] = defaultdict(int)
        self.reads = self.refused = self.batches = 0
        self.tasks: list[asyncio.Task[None]] = []
        self._randomly = random.Random(6)

    async def write(self, part: int) -> None:
        """Each writer has players of its own, so that a player's scores rise in the order in which they are applied."""
        applier = self.core.new_applier()
        mine = ORDER[part::2]
        while not self.is_done.is_set():
            users = self._randomly.sample(mine, 5)
            for user_id in users:
                self.sent[user_id] = min(999, self.sent[user_id] + 1)
            events = [self._event(user_id) for user_id in users]
            await applier.apply([block(events)])
            self.batches += 1
            for user_id in users:
                self.applied[user_id] = self.sent[user_id]
            await asyncio.sleep(0)

    def _event(self, user_id: str) -> Any:
        payload = {"score": 1000 * int(user_id[1:]) + self.sent[user_id], "country": "DE"}
        return event(user_id, payload=payload, at=NOON + timedelta(milliseconds=self.sent[user_id]))

    async def wait_for_reads(self, count: int, batches: int = 1) -> None:
        """Let the checkers read and the writers write so many times; what is found wrong is raised at once."""
        wanted, wanted_batches = self.reads + count, self.batches + batches
        while self.reads < wanted or self.batches < wanted_batches:
            await asyncio.sleep(0.001)
            for task in self.tasks:
                if task.done():
                    await task
                    raise AssertionError("nobody should have ended")

    async def check(self, reader: LeaderboardReader) -> None:
        while not self.is_done.is_set():
            key = self._randomly.choice(list(BOARDS))
            first = self._randomly.randint(1, PLAYERS)
            user_id = self._randomly.choice(ORDER)
            least = dict(self.applied)
            try:
                page = await reader.page(key, from_rank=first, limit=7, user_id=user_id)
                own = await reader.user(key, user_id)
                near = await reader.nearby(key, user_id, above=2, below=2)
                lookup = await reader.lookup(key, ORDER[first - 1 : first + 4])
            except UnavailableError:
                self.refused += 1
                continue
            self.reads += 4
            place = ORDER.index(user_id) + 1
            assert [entry.user_id for entry in page.entries] == ORDER[first - 1 : first + 6]
            assert [entry.user_id for entry in near.entries] == ORDER[max(0, place - 3) : place + 2]
            assert [entry.user_id for entry in lookup.entries] == ORDER[first - 1 : first + 4]
            for found in [*page.entries, page.user, own, *near.entries, *lookup.entries]:
                assert found.rank == ORDER.index(found.user_id) + 1
                bottom = 1000 * int(found.user_id[1:])
                assert bottom + least[found.user_id] <= found.score <= bottom + self.sent[found.user_id]
                if key == "best":
                    assert found.metadata == {"score": found.score}
            assert {page.total, own.total, near.total, lookup.total} == {PLAYERS}
            await asyncio.sleep(0)


@asynccontextmanager
async def under_load(core: Core) -> AsyncIterator[Load]:
    for key, values in BOARDS.items():
        await core.define(key, **values)
    load = Load(core)
    first = [load._event(user_id) for user_id in ORDER]
    load.applied.update(dict.fromkeys(ORDER, 0))
    await core.apply(*first)
    load.tasks = [
        asyncio.ensure_future(task)
        for task in (load.write(0), load.write(1), load.check(core.reader), load.check(core.new_reader()))
    ]
    try:
        yield load
        # However slow the disk is, or quick.
        await load.wait_for_reads(201 - load.reads, 21 - load.batches)
    finally:
        load.is_done.set()
        await asyncio.gather(*load.tasks)
    assert load.reads > 200
    assert load.batches > 20
    assert load.refused < load.reads / 10
    await check_whole(core)


async def check_whole(core: Core) -> None:
    """The keeper makes every index complete, and each holds what PostgreSQL has, version for version."""
    for _ in range(2):
        await core.new_keeper().keep()
    for row in await core.database.pool.fetch("SELECT ranking_id FROM rankings WHERE state = 'live'"):
        ranking_id = row["ranking_id"]
        async with core.database.connection() as connection:
            stored = await core.entries.chunk(connection, ranking_id, "", 1000)
        versions = {entry.user_id: entry.version for entry in stored}
        assert await core.index.versions(ranking_id, [*versions, "nobody"]) == versions
    for key in BOARDS:
        assert await core.is_complete(key)
        assert standing(await core.reader.page(key)) == await core.computed(key)
    reconciler = core.new_reconciler()
    for _ in range(10):
        assert await reconciler.reconcile() == 0


@pytest.mark.parametrize("loss", ["all", "ranks", "holders", "metadata", "some members"])
async def test_index_keys_go_away_under_load(core: Core, loss: str) -> None:
    randomly = random.Random(loss)
    keeper = core.new_keeper()
    async with under_load(core) as load:
        for _ in range(15):
            for key in randomly.sample(list(BOARDS), 2):
                ranks, holders, removed, metadata = core.index._keys(await core.ranking_id(key))
                match loss:
                    case "all":
                        await core.valkey.delete(ranks, holders, removed, metadata)
                    case "ranks":
                        await core.valkey.delete(ranks)
                    case "holders":
                        await core.valkey.delete(holders)
                    case "metadata":
                        await core.valkey.delete(metadata)
                    case _:
                        await core.valkey.zpopmin(ranks, randomly.randint(1, 5))
            await load.wait_for_reads(randomly.choice([4, 30]))
            if randomly.random() < 0.7:
                await keeper.keep()


async def test_a_flush_of_a_drained_system_under_load(core: Core) -> None:
    keeper = core.new_keeper()
    async with under_load(core) as load:
        for _ in range(10):
            await core.lose_valkey()
            await load.wait_for_reads(20)
            await keeper.keep()


async def test_a_flush_in_the_middle_of_rebuilds(core: Core) -> None:
    async with under_load(core) as load:
        keeping = True

        async def keep() -> None:
            while keeping:
                # "Lost again and again": its loop says so and goes on.
                with contextlib.suppress(RuntimeError):
                    await core.new_keeper().keep()

        task = asyncio.ensure_future(keep())
        for number in range(60):
            await core.lose_valkey()
            await asyncio.sleep(0.002 * (number % 7))
            await load.wait_for_reads(4)
        keeping = False
        await task


async def test_a_removal_beside_a_loss_and_a_rebuild_leaves_nobody_behind(core: Core) -> None:
    """The index is lost after the user was taken out of it, and rebuilt before the removal is committed."""
    await core.define("best")
    await core.apply(*(event(user_id, 5) for user_id in ORDER))
    ranking = indexed(core.board("best"), await core.ranking_id("best"))
    remove = core.index.remove
    is_first = True

    async def lose_and_rebuild(entries: Any) -> None:
        nonlocal is_first
        await remove(entries)
        if is_first:
            is_first = False
            await core.lose_valkey()
            await core.rebuilder.rebuild(ranking)

    core.index.remove = lose_and_rebuild  # type: ignore[method-assign]
    await core.definer.remove_user("best", "p07")
    page = await core.reader.page("best")
    assert page.total == PLAYERS - 1
    assert standing(page) == await core.computed("best")


async def spoil(core: Core, key: str) -> None:
    """Something of another kind stands where the index keeps its own."""
    await core.valkey.delete(key)
    await core.valkey.set(key, "not ours")


@pytest.mark.parametrize("part", range(4), ids=["ranks", "holders", "removed", "metadata"])
async def test_a_key_of_another_type_stalls_nobody(core: Core, part: int) -> None:
    """The batch is applied, its other boards are ranked by the index, and the damaged index comes back."""
    for key, values in BOARDS.items():
        await core.define(key, **values)
    first = [event(user_id, 5) for user_id in ORDER]
    await core.apply(*first)
    await spoil(core, (await core.keys("best"))[part])
    await core.apply(event("newcomer", 7), event("p07", 9))
    assert not await core.is_complete("best")
    assert await core.is_complete("latest")
    for key in BOARDS:
        page = await core.reader.page(key)
        assert page.total == PLAYERS + 1
        assert standing(page) == await core.computed(key)
    await check_whole(core)


@pytest.mark.parametrize("part", range(2), ids=["ranks", "holders"])
async def test_a_key_of_another_type_is_read_past_and_mended_without_a_write(core: Core, part: int) -> None:
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await core.apply(*(event(user_id, 5) for user_id in ORDER))
    await spoil(core, (await core.keys("best"))[part])
    reader = core.reader
    assert standing(await reader.page("best")) == await core.computed("best")
    assert (await reader.user("best", "p07")).total == PLAYERS
    assert (await reader.lookup("best", ["p07"])).total == PLAYERS
    assert (await reader.nearby("best", "p07", above=1, below=1)).total == PLAYERS
    await check_whole(core)


async def test_holders_without_sense_stall_nobody(core: Core) -> None:
    """The type is right, and the script ends in an error of its own."""
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await core.apply(*(event(user_id, 5) for user_id in ORDER))
    await core.valkey.hset((await core.keys("best"))[1], "p07", "?")
    await core.apply(event("p07", 9))
    assert standing(await core.reader.page("best")) == await core.computed("best")
    await check_whole(core)


async def test_lists_of_rebuilds_of_another_type_are_begun_anew(core: Core) -> None:
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await core.apply(*(event(user_id, 5) for user_id in ORDER))
    await spoil(core, f"{core.prefix}:rebuilds")
    await spoil(core, f"{core.prefix}:rebuilding")
    assert await core.index.rebuilds() == {}
    await core.valkey.delete((await core.keys("best"))[0])
    assert standing(await core.reader.page("best")) == await core.computed("best")
    await spoil(core, f"{core.prefix}:rebuilding")
    await check_whole(core)


async def test_a_removal_from_an_index_of_another_type(core: Core) -> None:
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await core.apply(*(event(user_id, 5) for user_id in ORDER))
    await spoil(core, (await core.keys("best"))[1])
    await core.definer.remove_user("best", "p07")
    assert standing(await core.reader.page("best")) == await core.computed("best")
    await check_whole(core)
