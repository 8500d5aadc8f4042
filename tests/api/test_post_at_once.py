"""Posts of events that arrive as a whole are taken without ASGI: the same answers, counts, order and promises."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from litestar.types import ASGIApp, Receive, Scope, Send

from grandstand.api.app import build_app
from grandstand.domain.errors import GrandstandError
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import RateLimitStore
from tests.api.conftest import KEYS, Site, serve
from tests.api.test_over_the_wire import raw
from tests.support.connections import close
from tests.support.holding import hold
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
USUAL_WAY = b"TE: trailers\r\n"
"""What says that more than a body may follow is not taken at once."""

LEFT = re.compile(rb'\r\nratelimit: "[a-z]+";r=(\d+);t=\d+')
_VARYING = (b"date:", b"ratelimit:")


class Watched:
    """The app, which counts the requests that came by ASGI, and those that did not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.answer_at_once = app.answer_at_once  # type: ignore[attr-defined]
        self.asked = self.posted = 0

    def post_at_once(self, *arguments: Any) -> bool:
        self.posted += 1
        return bool(self._app.post_at_once(*arguments))  # type: ignore[attr-defined]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self._app(scope, receive, send)


@dataclass
class Door:
    """A process whose requests that are no posts at once are counted."""

    url: str
    app: Watched

    async def ask(self, *posts: bytes) -> bytes:
        return await raw(self.url, b"".join(posts))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        return await asyncio.open_connection(parts.hostname, parts.port)


@asynccontextmanager
async def open_door(site: Site, **limits: int) -> AsyncIterator[Door]:
    settings = site.services.settings.model_copy(update=limits)
    limiter = RateLimiter(
        RateLimitStore(site.core.valkey, f"{settings.valkey_prefix}-{uuid4().hex}"), RateLimits.of(settings)
    )
    app = Watched(build_app(replace(site.services, limiter=limiter)))
    async with serve(app, settings) as url:
        yield Door(url, app)
    await limiter.close()


def event(**fields: Any) -> dict[str, Any]:
    return {"event_type": "game_ended", "user_id": "posts", "payload": {"score": 1}, **fields}


def post(content: Any, who: str | None = "server", more: bytes = b"") -> bytes:
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    credential = b"" if who is None else b"Authorization: Bearer %b\r\n" % KEYS.get(who, who).encode()
    head = b"POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b%b\r\n" % (len(body), credential, more)
    return head + body


LAST = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def first(answers: bytes) -> tuple[list[bytes], bytes]:
    """The lines of the first answer's head that are the same whenever it is given, and its body."""
    head, _, rest = answers.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return [lines[0], *sorted(line for line in lines[1:] if not line.startswith(_VARYING))], rest.split(b"HTTP/1.1")[0]


@pytest.mark.parametrize(
    ("content", "who", "more", "status"),
    [
        (event(), "server", b"", 202),
        ([event(), event(event_type="")], "server", b"Content-Type: application/json\r\n", 202),
        ({"events": [event(), event()]}, "admin", b"", 202),
        (event(user_id=""), "server", b"", 422),
        (b"{", "server", b"", 400),
        ([event()] * 101, "server", b"", 413),
        (event(), None, b"", 401),
        (event(), "nobody", b"", 401),
        (event(), "client", b"", 403),
        (event(), "server", b"Content-Type: text/html\r\n", 415),
    ],
)  # fmt: skip
async def test_both_ways_give_the_same_answer(
    site: Site, content: Any, who: str | None, more: bytes, status: int
) -> None:
    async with open_door(site) as door:
        at_once = first(await door.ask(post(content, who, more), LAST))
        assert door.app.asked == 1, "only the last request came by ASGI"
        usual = first(await door.ask(post(content, who, more + USUAL_WAY), LAST))
        assert door.app.asked == 3
    assert at_once[0][0].startswith(b"HTTP/1.1 %d " % status)
    assert at_once == usual
    wanted = 2 * msgspec.json.decode(at_once[1]).get("accepted", 0)
    assert await site.count_streamed() == wanted, await site.core.stream.inspect()


async def test_what_is_refused_is_not_held_until_a_look_for_cycles(site: Site) -> None:
    async with open_door(site) as door:
        gc.collect()
        gc.disable()
        try:
            await door.ask(post(event(), "nobody"), LAST)
            assert not [each for each in gc.get_objects() if isinstance(each, GrandstandError)]
        finally:
            gc.enable()
        assert door.app.posted == 1


async def test_a_player_counts_the_same_both_ways_and_is_refused_alike(site: Site) -> None:
    token = await site.token("posts")
    limits = {"rate_limit_player_requests": 100, "rate_limit_player_events": 4}
    async with open_door(site, **limits) as door:
        answers = await door.ask(post([event()] * 2, token), post(event(user_id="other"), token), LAST)
        usual = await door.ask(post(event(), token, USUAL_WAY), LAST)
        full = [first(await door.ask(post([event()] * 2, token, more), LAST)) for more in (b"", USUAL_WAY)]
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"403", b"200"]
    assert re.findall(rb"HTTP/1.1 (\d+)", usual) == [b"202", b"200"]
    assert LEFT.findall(answers + usual) == [b"99", b"98", b"97"]
    assert [lines[0] for lines, _ in full] == [b"HTTP/1.1 429 Too Many Requests"] * 2
    assert await site.count_streamed() == 3


async def test_a_pipeline_is_answered_in_order(site: Site) -> None:
    posts = [post([event()] * count) for count in (1, 2, 3)]
    async with open_door(site) as door:
        answers = await door.ask(*posts, post(b"["), post(event()), LAST)
    assert re.findall(rb'"accepted":(\d)', answers) == [b"1", b"2", b"3", b"1"]
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"202", b"202", b"400", b"202", b"200"]
    assert await site.count_streamed() == 7


async def test_a_body_that_comes_in_pieces_is_taken_the_usual_way(site: Site) -> None:
    whole = post([event(), event()])
    async with open_door(site) as door:
        reader, writer = await door.connect()
        for place, cut in enumerate((len(whole) - 1, whole.index(b"\r\n\r\n") + 4, whole.index(b"{") + 3), start=1):
            writer.write(whole[:cut])
            await eventually_async(lambda place=place: door.app.asked == place, what="the request has begun")
            writer.write(whole[cut:])
            answer = await reader.readuntil(b"[]}")
            assert answer.endswith(b'{"accepted":2,"rejected":[]}')
        writer.write(whole)
        await reader.readuntil(b"[]}")
        assert door.app.asked == 3, "the one that came as a whole did not"
        await close(writer)
    assert await site.count_streamed() == 8


@pytest.fixture
def slow_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Holds every write to the stream until the event is set."""
    return hold(monkeypatch, site.core.streams, "append")


async def test_202_waits_for_the_disk_and_a_client_that_left_harms_nobody(site: Site, slow_disk: asyncio.Event) -> None:
    async with open_door(site) as door:
        reader, writer = await door.connect()
        _, left = await door.connect()
        left.write(post(event()))
        writer.write(post(event()))
        # The next of the same connection waits, and so does its answer.
        writer.write(LAST)
        await eventually_async(lambda: door.app.posted == 2, what="both are handed in")
        left.transport.abort()
        assert not reader._buffer  # type: ignore[attr-defined]
        slow_disk.set()
        answers = await reader.read()
        await close(writer)
        await close(left)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"200"]
    assert await site.count_streamed() == 2


async def free_once_closed(door: Door, slow_disk: asyncio.Event) -> None:
    async def is_closed() -> bool:
        try:
            _, writer = await door.connect()
        except OSError:
            return True
        await close(writer)
        return False

    await eventually_async(is_closed, what="nobody is let in any more")
    slow_disk.set()


async def test_a_stop_waits_for_the_answer(site: Site, slow_disk: asyncio.Event) -> None:
    async with open_door(site) as door:
        reader, writer = await door.connect()
        writer.write(post(event()))
        await eventually_async(lambda: door.app.posted == 1, what="it is handed in")
        freeing = asyncio.create_task(free_once_closed(door, slow_disk))
    await freeing
    answer = await reader.read()
    await close(writer)
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"\r\nconnection: close\r\n" in answer
