"""The page cache: when a kept page is served, when it is not, and that callers share one rendering."""

import asyncio
import gc
import weakref
from types import SimpleNamespace

import pytest

from grandstand.operations import answer_cache
from grandstand.operations.answer_cache import AnswerCache
from tests.api.conftest import Site, problem
from tests.support.core import event

pytestmark = pytest.mark.anyio


class Answer:
    """Something that can be seen to be let go."""


class Board:
    """A board whose generation and rendering the test decides."""

    def __init__(self, age_max_seconds: float = 60, weight_max: int = 100) -> None:
        self.generation: int | None = 1
        self.rendered = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.cache: AnswerCache[bytes, bytes] = AnswerCache(
            "tests", age_max_seconds=age_max_seconds, weight_max=weight_max
        )

    def mark(self) -> int | None:
        return self.generation

    async def render(self) -> bytes:
        self.rendered += 1
        number = self.rendered
        await self.may_end.wait()
        return b"%d" % number

    async def compute(self) -> bytes:
        return await self.cache.compute(b"name", self.mark, self.render)

    def held(self) -> bytes | None:
        return self.cache.find(b"name")


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

    async def fail() -> bytes:
        raise ZeroDivisionError

    failed = [asyncio.create_task(board.cache.compute(b"name", board.mark, fail)) for _ in range(2)]
    for task in failed:
        with pytest.raises(ZeroDivisionError):
            await task
    assert await board.compute() == b"1"


async def test_what_was_used_longest_ago_goes_when_there_is_too_much() -> None:
    board = Board(weight_max=3)
    for name in (b"a", b"b", b"c"):
        await board.cache.compute(name, board.mark, board.render)
    assert board.cache.find(b"a") is not None
    await board.cache.compute(b"d", board.mark, board.render)
    assert [board.cache.find(name) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


async def test_nothing_is_older_than_the_stated_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes unheard: an answer was begun to be read at most so long ago."""
    now = 0.0
    monkeypatch.setattr(answer_cache, "time", SimpleNamespace(monotonic=lambda: now))
    board = Board(age_max_seconds=1)

    async def load() -> bytes:
        return str(now).encode()

    ages = []
    for step in range(100):
        now = step * 0.13
        ages.append(now - float(await board.cache.get(b"name", board.mark, load)))
    assert 0.8 < max(ages) <= 1


async def test_answers_out_of_age_are_let_go_though_nobody_asks_for_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a process that serves ever new pages grows until the weight is full, for hours."""
    now = 0.0
    monkeypatch.setattr(answer_cache, "time", SimpleNamespace(monotonic=lambda: now))
    board = Board(age_max_seconds=1)
    answers: weakref.WeakSet[Answer] = weakref.WeakSet()

    async def load() -> Answer:
        answer = Answer()
        answers.add(answer)
        return answer

    cache: AnswerCache[int, Answer] = AnswerCache("tests", age_max_seconds=1, weight_max=1000)
    for step in range(100):
        now = step * 0.1
        await cache.get(step, board.mark, load)
    gc.collect()
    assert 10 <= len(answers) <= 21, "those of one age, and at most of another one"


async def test_while_changes_go_unheard_every_caller_reads_anew() -> None:
    board = Board()
    board.generation = None
    assert [await board.cache.get(b"name", board.mark, board.render) for _ in range(2)] == [b"1", b"2"]


async def test_the_app_serves_kept_pages_and_drops_them_on_a_change(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = 1
    monkeypatch.setattr(site.core.reader, "generation", lambda *_: generation)
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


async def test_a_flood_of_names_does_not_fill_the_memory(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every query string is a name of its own, and whoever asks chooses it."""
    monkeypatch.setattr(site.core.reader, "generation", lambda *_: 1)
    cache = site.app._pages.cache  # type: ignore[attr-defined]
    monkeypatch.setattr(cache, "_age_max_seconds", 60)
    monkeypatch.setattr(cache, "_weight_max", 40_000)
    path = "/api/leaderboards/global"
    for number in range(50):
        assert (await site.get(f"{path}?limit=1&user_id={number}")).status_code == 200
    kept = sum(cache.find(f"{path}?limit=1&user_id={number}".encode()) is not None for number in range(50))
    assert 10 < kept < 45
    assert cache.find(f"{path}?limit=1&user_id=49".encode()) is not None
    long = f"{path}?limit=1&from_rank={'0' * 1_100}1"
    assert (await site.get(long)).status_code in (200, 422)
    assert cache.find(long.encode()) is None


async def test_a_board_that_is_hidden_while_its_page_is_asked_for_is_not_kept_as_public(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["public"])

    async def visibility(_: str) -> str:
        return next(said, "private")

    monkeypatch.setattr(site.services.reader, "visibility", visibility)
    problem(await site.get("/api/leaderboards/global?limit=3"), 401, "unauthorized")
