"""Reads of where a player stands are taken without ASGI: the same answers, counts, order and promises."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from litestar.types import ASGIApp, Receive, Scope, Send

from grandstand.api.app import build_app
from grandstand.domain.errors import UnavailableError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import RateLimitStore
from tests.api.conftest import KEYS, Site, serve
from tests.api.test_over_the_wire import raw
from tests.api.test_post_at_once import LAST, LEFT, USUAL_WAY, first
from tests.support.connections import close
from tests.support.holding import hold
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
PAGE = "/api/leaderboards/global"
RANK = f"{PAGE}/users/%s"


class Watched:
    """The app, which counts the requests that came by ASGI, and the reads that were looked at before."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.answer_at_once = app.answer_at_once  # type: ignore[attr-defined]
        self.post_at_once = app.post_at_once  # type: ignore[attr-defined]
        self.asked = self.read = 0

    def read_at_once(self, *arguments: Any) -> Any:
        self.read += 1
        return self._app.read_at_once(*arguments)  # type: ignore[attr-defined]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self._app(scope, receive, send)


@asynccontextmanager
async def open_door(site: Site, **limits: int) -> AsyncIterator[tuple[str, Watched]]:
    settings = site.services.settings.model_copy(update=limits)
    store = RateLimitStore(site.core.valkey, f"{settings.valkey_prefix}-{uuid4().hex}")
    limiter = RateLimiter(store, RateLimits.of(settings))
    app = Watched(build_app(replace(site.services, limiter=limiter)))
    async with serve(app, settings) as url:
        yield url, app
    await limiter.close()


def read(path: str, who: str | None = None, more: bytes = b"") -> bytes:
    credential = b"" if who is None else b"Authorization: Bearer %b\r\n" % KEYS.get(who, who).encode()
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (path.encode(), credential, more)


async def score(site: Site, **scores: int) -> None:
    events = [{"event_type": "game_ended", "user_id": user, "payload": {"score": scores[user]}} for user in scores]
    assert (await site.post("/api/events", events, "server")).status_code == 202
    await site.work()


async def test_both_ways_give_the_same_answer(site: Site) -> None:
    await site.core.define("secret", visibility="private")
    await score(site, ann=5, ben=3, cid=1)
    ann, ben = await site.token("ann"), await site.token("ben")
    secret = RANK.replace("global", "secret")
    cases: list[tuple[str, str | None, bytes, int]] = [
        (RANK % "ann", None, b"", 200),
        (RANK % "ben", "server", b"", 200),
        (RANK % "b%65n", "client", b"", 200),
        (RANK % "ben?period=all_time", None, b"", 200),
        (RANK % "ben", None, b"If-None-Match: *\r\n", 304),
        (RANK % "ben", "nonsense", b"", 401),
        (RANK % "ben/nearby?above=1&below=0", None, b"", 200),
        (RANK % "ben/nearby?above=101", None, b"", 422),
        (RANK % "ben?bucket=1", None, b"", 422),
        (RANK % "ben?period=2000", None, b"", 404),
        (RANK % "%00", None, b"", 422),
        (RANK % "nobody", None, b"", 404),
        (RANK.replace("global", "none") % "ben", None, b"", 404),
        (secret % "ann", ann, b"", 200),
        (secret % "ann", ben, b"", 403),
        (secret % "ann", None, b"", 401),
        ("/api/tournaments/none/users/ann", None, b"", 404),
        ("/api/tournaments/none/leaderboard", None, b"", 404),
        ("/api/tournaments/none/leaderboard?occurrence=x&limit=y", "server", b"", 404),
        (PAGE, None, b"", 200),
        (PAGE, "server", b"If-None-Match: *\r\n", 304),
        (PAGE, ben, b"", 200),
        (f"{PAGE}?limit=0", "client", b"", 422),
        (PAGE.replace("global", "secret"), "server", b"", 200),
        (PAGE.replace("global", "secret"), ben, b"", 403),
        (PAGE.replace("global", "none"), None, b"", 404),
        ("/api/prizes?user_id=ann", "server", b"", 200),
        ("/api/prizes?user_id=ann", ann, b"", 200),
        ("/api/prizes?user_id=ann", ben, b"", 403),
        ("/api/prizes?status=lost", "server", b"", 422),
        ("/api/prizes", "client", b"", 403),
        ("/api/prizes", None, b"", 401),
    ]
    async with open_door(site) as (url, app):
        for path, who, more, status in cases:
            app.asked = 0
            at_once = await raw(url, read(path, who, more) + LAST)
            assert app.asked == 1, f"only the last request came by ASGI, not {path}"
            usual = await raw(url, read(path, who, more + USUAL_WAY) + LAST)
            assert app.asked == 3
            assert at_once.startswith(b"HTTP/1.1 %d " % status), (path, at_once)
            assert without_moments(at_once) == without_moments(usual), path


def without_moments(answers: bytes) -> tuple[list[bytes], bytes]:
    """The first answer, without when it was read: pages say so."""
    head, body = first(answers)
    return head, re.sub(rb'"as_of":"[^"]*"', b"", body)


async def test_what_is_not_plain_takes_the_usual_way(site: Site) -> None:
    await score(site, ann=5)
    path = RANK % "ann"
    unusual = [
        read(path).replace(b"GET", b"HEAD"),
        read(path, more=b"Content-Length: 0\r\n"),
        read(path, more=b"Accept: a\r\nAccept: b\r\n"),
        read(path + "/unheard"),
        read("/api/leaderboards/user/users/ann"),
    ]
    async with open_door(site) as (url, app):
        for place, request in enumerate(unusual, start=1):
            await raw(url, request + LAST)
            assert app.asked == 2 * place, request


async def test_both_ways_count_into_the_same_limit(site: Site) -> None:
    await score(site, ann=5)
    async with open_door(site, rate_limit_anonymous_requests=3) as (url, _):
        path = RANK % "ann"
        answers = [await raw(url, read(path, more=more) + LAST) for more in (b"", USUAL_WAY, b"")]
        full = [first(await raw(url, read(path, more=more) + LAST)) for more in (b"", USUAL_WAY)]
    assert re.findall(rb"HTTP/1.1 (\d+)", b"".join(answers)) == [b"200"] * 6
    assert LEFT.findall(b"".join(answers)) == [b"2", b"1", b"0"]
    assert [lines[0] for lines, _ in full] == [b"HTTP/1.1 429 Too Many Requests"] * 2
    assert full[0] == full[1]


@pytest.fixture
def slow_index(site: Site, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Holds every look-up until the event is set."""
    return hold(monkeypatch, site.core.index, "place")


async def test_answers_keep_their_order_and_a_client_that_left_harms_nobody(
    site: Site, slow_index: asyncio.Event
) -> None:
    await score(site, ann=5, ben=3)
    async with open_door(site) as (url, _):
        parts = urlsplit(url)
        _, left = await asyncio.open_connection(parts.hostname, parts.port)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        left.write(read(RANK % "ann"))
        await left.drain()
        writer.write(read(RANK % "ann"))
        await asyncio.wait_for(writer.drain(), 5)
        # The next of the same connection waits for the first, whichever way it takes.
        writer.write(read(RANK % "ben") + LAST)
        left.transport.abort()
        slow_index.set()
        answers = await reader.read()
        await close(writer)
        await close(left)
    assert re.findall(rb'"rank":(\d)', answers) == [b"1", b"2"]
    assert answers.endswith(b'{"status":"ok"}')


@pytest.fixture
def kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the process believe that it would hear of changes, and that there are none."""
    monkeypatch.setattr(site.core.reader, "generation", lambda *_: 1)


@pytest.mark.usefixtures("kept")
async def test_all_who_come_while_a_page_is_rendered_are_given_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await score(site, ann=5)
    may_end = hold(monkeypatch, site.core.reader, "page")
    asked = [read(PAGE), read(PAGE, "server"), read(PAGE, more=b"If-None-Match: *\r\n"), read(PAGE, "nonsense")]
    async with open_door(site, rate_limit_anonymous_requests=100_000) as (url, app):
        answers = [asyncio.create_task(raw(url, each + LAST)) for each in asked]
        await eventually_async(lambda: app.read == len(asked), what="all have come")
        # Whoever guesses waits for nothing.
        assert first(await answers[3])[0][0].startswith(b"HTTP/1.1 401 ")
        may_end.set()
        plain, keyed, unchanged = [first(answer) for answer in await asyncio.gather(*answers[:3])]
        assert app.asked == len(asked), "only the last request of each connection came by ASGI"
    assert [lines[0] for lines, _ in (plain, keyed, unchanged)] == [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 304 Not Modified"
    ]  # fmt: skip
    assert plain[1] == keyed[1] != b""


@pytest.mark.usefixtures("kept")
async def test_a_page_that_is_hidden_while_it_is_rendered_is_given_to_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.core.define("hiding")
    visibility = site.core.reader.visibility
    may_end, is_first = asyncio.Event(), True

    async def hidden(key: str) -> Visibility:
        nonlocal is_first
        if is_first:
            is_first = False
            return await visibility(key)
        await may_end.wait()
        return "private"

    monkeypatch.setattr(site.core.reader, "visibility", hidden)
    async with open_door(site) as (url, _):
        path = PAGE.replace("global", "hiding")
        answers = [asyncio.create_task(raw(url, read(path) + LAST)) for _ in range(3)]
        await raw(url, LAST)
        may_end.set()
        found = [first(answer)[0][0] for answer in await asyncio.gather(*answers)]
    assert found == [b"HTTP/1.1 401 Unauthorized"] * 3


@pytest.mark.usefixtures("kept")
async def test_a_rendering_that_fails_is_told_to_all_and_not_tried_again_by_each(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, may_end = 0, asyncio.Event()

    async def fail(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        await may_end.wait()
        raise UnavailableError("away")

    monkeypatch.setattr(site.core.reader, "page", fail)
    path = f"{PAGE}?limit=3"
    async with open_door(site) as (url, app):
        answers = [asyncio.create_task(raw(url, read(path) + LAST))]
        await eventually_async(lambda: calls == 1, what="the page is being rendered")
        answers += [asyncio.create_task(raw(url, read(path, who) + LAST)) for who in (None, "client", "server")]
        await eventually_async(lambda: app.read == len(answers), what="all have come")
        may_end.set()
        found = [first(answer)[0][0] for answer in await asyncio.gather(*answers)]
        assert (found, calls) == ([b"HTTP/1.1 503 Service Unavailable"] * 4, 1)
        monkeypatch.undo()
        assert first(await raw(url, read(path) + LAST))[0][0] == b"HTTP/1.1 200 OK", "no failure is kept"


async def test_a_stop_waits_for_the_answer(site: Site, slow_index: asyncio.Event) -> None:
    await score(site, ann=5)
    async with open_door(site) as (url, _):
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(read(RANK % "ann"))
        await raw(url, LAST)

        async def is_closed() -> bool:
            try:
                _, late = await asyncio.open_connection(parts.hostname, parts.port)
            except OSError:
                return True
            late.close()
            return False

        async def free_once_closed() -> None:
            await eventually_async(is_closed, what="nobody is let in any more")
            slow_index.set()

        freeing = asyncio.create_task(free_once_closed())
    await freeing
    answer = await reader.read()
    await close(writer)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer
