"""The page cache: when a kept page is served, when it is not, and that callers share one rendering."""

import asyncio

import pytest

from grandstand.api import page_cache
from grandstand.api.page_cache import PageCache, Rendered
from grandstand.api.replies import Reply
from tests.api.conftest import Site, problem
from tests.support.core import event

pytestmark = pytest.mark.anyio


class Board:
    """A board whose generation and rendering the test decides."""

    def __init__(self, age_max_seconds: float = 60) -> None:
        self.generation: int | None = 1
        self.rendered = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.cache = PageCache(lambda _: self.generation, age_max_seconds)

    async def render(self) -> Rendered:
        generation = self.generation
        self.rendered += 1
        number = self.rendered
        await self.may_end.wait()
        return Rendered(Reply(200, b"%d" % number), generation)

    async def compute(self) -> bytes:
        return (await self.cache.compute(b"name", "board", self.render)).body

    def held(self) -> bytes | None:
        reply = self.cache.find(b"name")
        return None if reply is None else reply.body


async def test_a_page_is_kept_until_the_board_changes() -> None:
    board = Board()
    assert board.held() is None
    assert await board.compute() == b"1"
    assert board.held() == b"1"
    board.generation = 2
    assert board.held() is None
    assert await board.compute() == b"2"


async def test_what_changes_during_the_rendering_makes_the_page_old() -> None:
    board = Board()
    board.may_end.clear()
    computing = asyncio.create_task(board.compute())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    board.generation = 2
    board.may_end.set()
    assert await computing == b"1"
    assert board.held() is None


@pytest.mark.parametrize(("generation", "age"), [(None, 60.0), (1, 0.0)])
async def test_nothing_is_kept_without_a_generation_or_an_age(generation: int | None, age: float) -> None:
    board = Board(age)
    board.generation = generation
    await board.compute()
    assert board.held() is None


async def test_callers_at_once_share_one_rendering_and_one_that_leaves_harms_none() -> None:
    board = Board()
    board.may_end.clear()
    callers = [asyncio.create_task(board.compute()) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    board.may_end.set()
    assert await asyncio.gather(*callers[1:]) == [b"1"] * 4
    assert board.rendered == 1


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    board = Board()

    async def fail() -> Rendered:
        raise ZeroDivisionError

    failed = [asyncio.create_task(board.cache.compute(b"name", "board", fail)) for _ in range(2)]
    for task in failed:
        with pytest.raises(ZeroDivisionError):
            await task
    assert await board.compute() == b"1"


async def test_the_oldest_pages_go_when_there_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "BYTES_MAX", 3 * (page_cache.ENTRY_BYTES + 2))
    board = Board()
    for name in (b"a", b"b", b"c", b"d"):
        await board.cache.compute(name, "board", board.render)
    assert [board.cache.find(name) is not None for name in (b"a", b"b", b"c", b"d")] == [False, True, True, True]


async def test_the_app_serves_kept_pages_and_drops_them_on_a_change(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = 1
    monkeypatch.setattr(site.app._pages.cache, "_generation", lambda _: generation)  # type: ignore[attr-defined]
    monkeypatch.setattr(site.core.reader, "generation", lambda _: generation)
    monkeypatch.setattr(site.app._pages.cache, "_age_max_seconds", 60)  # type: ignore[attr-defined]
    path = "/api/leaderboards/global?limit=7"
    first = await site.get(path)
    await site.core.apply(event("ann", 5))
    kept = await site.get(path)
    assert kept.content == first.content
    again = await site.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers.get("content-length")) == (304, None)
    assert "user" in (await site.get(path, await site.token("ann"))).json()
    problem(await site.get(path, "gs_server_wrong-0123456789abcdef"), 401, "unauthorized")
    generation = 2
    changed = await site.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["total"] == first.json()["total"] + 1


async def test_a_flood_of_names_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every query string is a name of its own, and whoever asks chooses it."""
    monkeypatch.setattr(page_cache, "BYTES_MAX", 100_000)
    board = Board()
    for number in range(200):
        await board.cache.compute(b"?%d" % number, "board", board.render)
    kept = sum(board.cache.find(b"?%d" % number) is not None for number in range(200))
    assert 50 < kept < 100
    await board.cache.compute(b"?" + b"a" * 5_000, "board", board.render)
    assert board.cache.find(b"?" + b"a" * 5_000) is None
    assert board.cache.find(b"?199") is not None
