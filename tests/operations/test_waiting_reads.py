"""Many readers of a ranking that has no index: each gets the right answer or is told to come again, soon."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.operations import ranking_windows
from grandstand.operations.find_ranking import Part
from grandstand.storage.entry_reads import EntryReads
from tests.support.core import Core, event
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
READERS = 20


class HeldReads(EntryReads):
    """PostgreSQL's reads, which wait until they are let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_go = asyncio.Event()

    async def around(self, *arguments: Any) -> Any:
        self.begun += 1
        await self.let_go.wait()
        return await super().around(*arguments)


async def lost_board(core: Core) -> None:
    await core.define("board", event_type="run")
    await core.apply(*(event(f"p{number}", number, event_type="run") for number in range(5)))
    assert (await core.reader.user("board", "p4")).rank == 1
    await core.lose_valkey()


async def test_who_waits_too_long_is_told_to_come_again(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking_windows, "WAIT_SECONDS", 0.2)
    await core.define("old", event_type="walk")
    await core.apply(event("ann", 1, event_type="walk"))
    await core.definer.reset("old")
    now = clock.now()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: now + timedelta(minutes=10))
        await core.new_closer().close()
    await core.refresh()
    await lost_board(core)
    reads = HeldReads()
    reader = core.new_reader(entry_reads=reads)
    asked = [asyncio.create_task(reader.user("board", "p4")) for _ in range(READERS)]
    await eventually_async(lambda: sum(task.done() for task in asked) == READERS - ranking_windows.CONCURRENT_MAX)
    # An archive needs no turn.
    assert (await reader.page("old", part=Part(period="all_time"))).total == 1
    reads.let_go.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in found if isinstance(each, UnavailableError)]
    assert len(refused) == READERS - ranking_windows.CONCURRENT_MAX
    assert all(error.retry_after >= 1 for error in refused)
    assert [each.rank for each in found if not isinstance(each, BaseException)] == [1] * ranking_windows.CONCURRENT_MAX
    assert reads.begun == ranking_windows.CONCURRENT_MAX


async def test_who_waited_asks_the_index_again(core: Core) -> None:
    await lost_board(core)
    reads = HeldReads()
    reader = core.new_reader(entry_reads=reads)
    asked = [asyncio.create_task(reader.user("board", "p4")) for _ in range(READERS)]
    await eventually_async(lambda: reads.begun == ranking_windows.CONCURRENT_MAX)
    await core.rebuild("board")
    reads.let_go.set()
    ranks = [found.rank for found in await asyncio.gather(*asked)]
    assert ranks == [1] * READERS
    assert reads.begun == ranking_windows.CONCURRENT_MAX


async def test_the_index_answers_who_has_waited_in_vain(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is complete again, while the turns are still with those who began before."""
    monkeypatch.setattr(ranking_windows, "WAIT_SECONDS", 0.2)
    await lost_board(core)
    reads = HeldReads()
    index = core.index.place
    is_complete, asked = asyncio.Event(), 0

    async def place(*arguments: Any) -> Any:
        """The first answer is that there is none; whoever asks again does so when there is one."""
        nonlocal asked
        asked += 1
        if asked > ranking_windows.CONCURRENT_MAX + 1:
            await is_complete.wait()
        return await index(*arguments)

    monkeypatch.setattr(core.index, "place", place)
    reader = core.new_reader(entry_reads=reads)
    first = [asyncio.create_task(reader.user("board", "p4")) for _ in range(ranking_windows.CONCURRENT_MAX)]
    await eventually_async(lambda: reads.begun == ranking_windows.CONCURRENT_MAX)
    later = asyncio.create_task(reader.user("board", "p3"))
    await eventually_async(lambda: asked == ranking_windows.CONCURRENT_MAX + 2, what="it asks again")
    await core.rebuild("board")
    is_complete.set()
    assert (await later).rank == 2
    reads.let_go.set()
    assert [found.rank for found in await asyncio.gather(*first)] == [1] * ranking_windows.CONCURRENT_MAX
