"""The rank index may vanish at any moment: reads stay right, and a rebuild heals it while scores keep coming in."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand.domain.events import Event
from grandstand.operations import rebuild_ranking
from grandstand.operations.catalog import indexed
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.index_reads import Indexed
from grandstand.storage.ranking_index import RankingIndex
from tests.support.core import NOON, Core, block, event
from tests.support.model import standings
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LOSSES = ["everything", "the sorted set", "the hash", "some ranks", "some holders", "the mark"]


class DisturbedEntries(EntryStore):
    """Entries whose reading by a rebuild is disturbed after the first piece."""

    def __init__(self, disturb: Callable[[], Awaitable[Any]], times: int = 1) -> None:
        self.disturb = disturb
        self.times = times

    async def stream(self, *arguments: Any) -> AsyncGenerator[list[Entry], None]:
        async with contextlib.aclosing(super().stream(*arguments)) as chunks:
            async for chunk in chunks:
                yield chunk
                if self.times:
                    self.times -= 1
                    await self.disturb()


async def lose(core: Core, loss: str, key: str = "global") -> None:
    ranks, holders, *_ = await core.keys(key)
    match loss:
        case "everything":
            await core.lose_valkey()
        case "the sorted set":
            await core.valkey.delete(ranks)
        case "the hash":
            await core.valkey.delete(holders)
        case "some ranks":
            await core.valkey.zpopmin(ranks, 3)
        case "some holders":
            await core.valkey.hdel(holders, "p1", "p2")
        case "the mark":
            await core.valkey.hdel(holders, "")


async def in_index(core: Core) -> Indexed:
    return indexed(core.board("global"), await core.ranking_id("global"))


def some_events(count: int, seed: int = 1) -> list[Event]:
    randomly = random.Random(seed)
    return [event(f"p{randomly.randrange(20)}", randomly.randrange(50)) for _ in range(count)]


@pytest.mark.parametrize("loss", LOSSES)
async def test_reads_stay_right_after_a_loss_and_a_rebuild_heals(core: Core, loss: str) -> None:
    events = some_events(100)
    await core.apply(*events)
    board = core.catalog.get("global")
    assert board is not None
    wanted = standings(board.definition, events)
    await lose(core, loss)
    assert not await core.is_complete("global")
    assert await core.walk("global", 7) == wanted
    own = await core.reader.user("global", wanted[4].user_id)
    assert (own.rank, own.total) == (5, 20)
    near = await core.reader.nearby("global", wanted[4].user_id, above=1, below=1)
    assert [entry.rank for entry in near.entries] == [4, 5, 6]
    found = await core.reader.lookup("global", [wanted[9].user_id, wanted[2].user_id])
    assert [entry.rank for entry in found.entries] == [3, 10]
    assert await core.index.take_requests(10) == [await core.ranking_id("global")], "a reader asks for the rebuild"
    assert await core.rebuild("global") == 20
    await core.check("global", events)


@pytest.mark.parametrize("loss", LOSSES)
async def test_scores_after_a_loss_are_right_before_and_after_the_rebuild(core: Core, loss: str) -> None:
    before, after = some_events(60, 1), some_events(30, 2)
    board = core.catalog.get("global")
    assert board is not None
    await core.apply(*before)
    await lose(core, loss)
    await core.apply(*after)
    assert await core.walk("global") == standings(board.definition, before + after)
    await core.rebuild("global")
    await core.check("global", before + after)


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_loss_in_the_middle_of_a_rebuild(core: Core, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_ranking, "_CHUNK_ENTRIES", 4)
    events = some_events(100)
    await core.apply(*events)
    await core.lose_valkey()
    disturbed = DisturbedEntries(lambda: lose(core, loss))
    await RankingRebuilder(core.database, core.rankings, disturbed, core.index).rebuild(await in_index(core))
    assert disturbed.times == 0
    await core.check("global", events)


async def test_a_loss_in_every_attempt_is_said_and_leaves_no_half_index(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_ranking, "_CHUNK_ENTRIES", 4)
    events = some_events(100)
    await core.apply(*events)
    disturbed = DisturbedEntries(core.lose_valkey, times=1000)
    with pytest.raises(RuntimeError, match="lost again and again"):
        await RankingRebuilder(core.database, core.rankings, disturbed, core.index).rebuild(await in_index(core))
    assert not await core.is_complete("global")
    await core.rebuild("global")
    await core.check("global", events)


async def test_a_rebuild_beside_working_appliers(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_ranking, "_CHUNK_ENTRIES", 3)
    await core.define("sum", operator="sum")
    events = some_events(400)
    await core.apply(*events[:5])
    is_done = asyncio.Event()

    async def work(part: list[Event]) -> None:
        applier = core.new_applier()
        for start in range(0, len(part), 5):
            await applier.apply([block(part[start : start + 5])])

    async def disturb() -> None:
        randomly = random.Random(6)
        while not is_done.is_set():
            await lose(core, randomly.choice(LOSSES), randomly.choice(["global", "sum"]))
            for key in ("global", "sum"):
                await core.rebuild(key)

    disturbing = asyncio.ensure_future(disturb())
    await asyncio.gather(work(events[::2]), work(events[1::2]))
    is_done.set()
    await disturbing
    for key in ("global", "sum"):
        await core.check(key, events)


async def test_two_rebuilds_of_one_board_at_once(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_ranking, "_CHUNK_ENTRIES", 3)
    events = some_events(100)
    await core.apply(*events)
    await core.lose_valkey()
    await asyncio.gather(*(core.rebuild("global") for _ in range(4)))
    await core.check("global", events)


async def test_a_rebuild_does_not_undo_what_is_newer(core: Core) -> None:
    """A piece read before a change and published after it."""
    await core.apply(old := event("ann", 5))
    board = await core.ranking_id("global")
    async with core.database.connection() as connection:
        piece = await core.entries.chunk(connection, board, "", 100)
    await core.apply(new := event("ann", 9))
    await core.index.publish(piece, {board: -1})
    await core.check("global", [old, new])


async def test_an_empty_board_is_rebuilt_too(core: Core) -> None:
    await core.open_ranking("global")
    await core.lose_valkey()
    assert await core.rebuild("global") == 0
    await core.check("global", [])


async def test_more_than_one_piece(core: Core) -> None:
    await core.fill("global", [(f"p{number:05}", number % 100, NOON) for number in range(12_000)])
    await core.lose_valkey()
    assert await core.rebuild("global") == 12_000
    assert (await core.reader.user("global", "p11999")).rank == 120


async def test_a_first_score_is_seen_by_processes_that_know_the_board_as_empty(core: Core) -> None:
    """Also when the worker that made the ranking died before it said so."""

    class Away(RankingIndex):
        async def publish(self, *arguments: Any) -> None:
            raise ValkeyConnectionError("gone")

    other = Core(core.database, core.valkey, core.prefix)
    await other.refresh()
    listening = asyncio.ensure_future(other.feed.run())
    try:
        await eventually_async(lambda: other.feed.periods_generation() is not None)
        assert (await other.reader.page("global")).total == 0
        blocks = [block([event("ann", 5)])]
        with pytest.raises(ValkeyConnectionError):
            await core.new_applier(Away(core.valkey, core.prefix)).apply(blocks)
        await core.new_applier().apply(blocks)

        async def is_seen() -> bool:
            return (await other.reader.page("global")).total == 1

        await eventually_async(is_seen)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
