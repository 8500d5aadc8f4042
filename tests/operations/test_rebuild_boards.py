"""Rank indexes made anew on demand: whatever they held before, and while scores come in."""

import asyncio

import pytest

from grandstand.domain.errors import NotFoundError
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.rebuild_boards import BoardRebuilder, Rebuilt
from tests.support.core import Core, event

pytestmark = pytest.mark.anyio


def rebuilder(core: Core) -> BoardRebuilder:
    catalog = LeaderboardCatalog(core.store)
    return BoardRebuilder(core.database, catalog, core.rankings, core.index, core.changes, core.rebuilder)


async def test_an_index_that_is_newer_than_the_entries_is_made_anew_beside_traffic(core: Core) -> None:
    await core.define("other")
    before = [event(f"p{number}", number) for number in range(50)]
    await core.apply(*before)
    # As after a recovery of PostgreSQL to an earlier point in time.
    await core.database.pool.execute("UPDATE entries SET version = 1, score = score + 1000 WHERE user_id < 'p2'")
    await core.database.pool.execute("DELETE FROM entries WHERE user_id = 'p3'")
    assert await core.walk("global") != await core.computed("global")
    seen: list[Rebuilt] = []
    coming = [event(f"q{number}", number) for number in range(100)]

    async def traffic() -> None:
        for each in coming:
            await core.apply(each)

    await asyncio.gather(traffic(), rebuilder(core).rebuild(["global"], seen.append))
    assert [(each.rankings, each.rankings_total) for each in seen] == [(0, 1), (1, 1)]
    assert seen[-1].entries >= 49
    assert await core.is_complete("global")
    assert await core.walk("global") == await core.computed("global")
    assert len(await core.walk("global")) == 49 + 100
    assert await core.walk("other") != await core.computed("other"), "only what was named"


async def test_all_of_them_are_made_anew_and_those_of_nobody_go(core: Core) -> None:
    await core.define("weekly", period="weekly", segment_by="country")
    await core.apply(*(event(f"p{n}", payload={"score": n, "country": "DE" if n % 2 else "FR"}) for n in range(9)))
    await core.index.complete_new([999_999])
    done = await rebuilder(core).rebuild(None, lambda _: None)
    assert done.rankings == done.rankings_total == 4
    assert done.entries == 9 + 9 + 9
    assert 999_999 not in await core.index.held()
    for key in ("global", "weekly"):
        assert await core.walk(key) == await core.computed(key)


async def test_a_board_that_is_not_there_is_said_before_anything_is_done(core: Core) -> None:
    await core.apply(event())
    with pytest.raises(NotFoundError, match="nobody"):
        await rebuilder(core).rebuild(["global", "nobody"], lambda _: None)
    assert await core.is_complete("global")
