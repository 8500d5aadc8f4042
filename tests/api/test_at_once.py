"""Pages that are held are answered where their head ends: the same answers, counted alike, the connection goes on."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from grandstand.api import server
from grandstand.api.app import build_app
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import RateLimitStore
from tests.api.conftest import KEYS, Site, serve
from tests.api.test_over_the_wire import raw
from tests.support.loop_clock import LoopClock

pytestmark = pytest.mark.anyio
PAGE = b"/api/leaderboards/global?limit=%d"
USUAL_WAY = b"Content-Length: 0\r\n"
"""What announces a body, even of no bytes, is not answered before it is there."""

SHARED = "public, max-age=5, s-maxage=60, stale-while-revalidate=30"

LEFT = re.compile(rb'\r\nratelimit: "default";r=(\d+);t=\d+')


def request(more: bytes = b"", *, limit: int = 7, version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\nHost: x\r\n%b\r\n" % (PAGE % limit, version, more)


def split(answers: bytes) -> list[bytes]:
    return [b"HTTP/1.1 " + part for part in answers.split(b"HTTP/1.1 ")[1:]]


def headers(answer: bytes) -> bytes:
    """The head without what differs between answers of one page: the time, and what is left of the limit."""
    head = answer.partition(b"\r\n\r\n")[0]
    return re.sub(rb"(?<=\ndate: )[^\r]*|(?<=;r=)\d+|(?<=;t=)\d+", b"", head)


def left(answers: bytes) -> list[int]:
    return [int(found) for found in LEFT.findall(answers)]


@pytest.fixture
async def url(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A process that counts whoever has no credential, and holds pages for long."""
    monkeypatch.setattr(site.core.reader, "generation", lambda *_: 1)
    settings = site.services.settings
    counted = ("anonymous", "client", "server")
    limits = RateLimits.of(settings.model_copy(update={f"rate_limit_{who}_requests": 100_000 for who in counted}))
    # With counts of its own: what other tests have asked for would be heard of in the middle of this one.
    limiter = RateLimiter(RateLimitStore(site.core.valkey, f"{settings.valkey_prefix}:{uuid4().hex}"), limits)
    app = build_app(replace(site.services, limiter=limiter))
    monkeypatch.setattr(app._pages.cache, "_age_max_seconds", 600)  # type: ignore[attr-defined]
    async with serve(app, settings) as opened:
        for limit in (7, 8):
            await raw(opened, request(b"Connection: close\r\n", limit=limit))
        yield opened
    await limiter.close()


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], what: bytes) -> bytes:
    """Ask on a connection that stays open; return the answer."""
    reader, writer = connection
    writer.write(what)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@pytest.mark.parametrize("is_held_by_client", [False, True], ids=["200", "304"])
@pytest.mark.parametrize("who", [None, "client", "server"])
async def test_both_ways_give_the_same_answer(url: str, who: str | None, is_held_by_client: bool) -> None:
    parts = urlsplit(url)
    connection = await asyncio.open_connection(parts.hostname, parts.port)
    credential = b"" if who is None else b"Authorization: Bearer %b\r\n" % KEYS[who].encode()
    tag = re.search(rb"etag: (.*)\r\n", await ask(connection, request(credential)))
    more = credential + (b"If-None-Match: " + tag[1] + b"\r\n" if tag and is_held_by_client else b"")
    usual = await ask(connection, request(more + USUAL_WAY))
    at_once = await ask(connection, request(more))
    usual_again = await ask(connection, request(more + USUAL_WAY))
    connection[1].close()
    await connection[1].wait_closed()
    assert at_once.startswith(b"HTTP/1.1 304 " if is_held_by_client else b"HTTP/1.1 200 ")
    assert headers(usual) == headers(at_once) == headers(usual_again)
    assert usual.partition(b"\r\n\r\n")[2] == at_once.partition(b"\r\n\r\n")[2]
    first = left(usual)[0]
    assert left(at_once + usual_again) == [first - 1, first - 2], "both ways count into the same limit, once each"


async def test_head_says_what_get_says(url: str) -> None:
    parts = urlsplit(url)
    reader, writer = connection = await asyncio.open_connection(parts.hostname, parts.port)
    got = await ask(connection, request())
    writer.write(request().replace(b"GET", b"HEAD"))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert sorted(headers(head).split(b"\r\n")) == sorted(headers(got).split(b"\r\n"))


async def test_a_held_page_is_for_keys_in_force_and_no_player_s(url: str, site: Site) -> None:
    made = (await site.post("/api/keys", {"kind": "server", "name": "short"}, "admin")).json()
    path = (PAGE % 7).decode()
    async with httpx.AsyncClient(base_url=url) as client:

        async def status(credential: str) -> tuple[int, str]:
            answer = await client.get(path, headers={"Authorization": f"Bearer {credential}"})
            return answer.status_code, answer.headers["cache-control"]

        assert [await status(made["key"]) for _ in range(2)] == [(200, SHARED)] * 2
        assert [await status(await site.token("ann")) for _ in range(2)] == [(200, "private, no-store")] * 2
        assert (await site.delete(f"/api/keys/{made['id']}", "admin")).status_code == 204
        assert (await status(made["key"]))[0] == 401


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"Authorization: Bearer nonsense\r\n", b"401"),
        (b"Authorization: \r\nAuthorization: \r\n", b"401"),
        (b"Host: x\r\n", b"400"),
        (b"Connection: upgrade\r\nUpgrade: h2c\r\nHost: y\r\n", b"400"),
        (b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"200"),
        (b"Accept: a\r\nAccept: b\r\n", b"200"),
        (b"If-None-Match: *\r\n", b"304"),
    ],
)
async def test_what_decides_is_read_before_a_held_page_is_given(url: str, more: bytes, status: bytes) -> None:
    answer = await raw(url, request(more) + request(b"Connection: close\r\n"))
    assert split(answer)[0].startswith(b"HTTP/1.1 " + status)


async def test_a_pipeline_is_answered_in_order_and_counted_once_each(url: str) -> None:
    limits = [7, 8, 8, 7, 8, 7]
    asked = [request(limit=limit) for limit in limits]
    single = {limit: split(await raw(url, request(b"Connection: close\r\n", limit=limit)))[0] for limit in (7, 8)}
    answers = await raw(url, b"".join(asked) + request(b"Connection: close\r\n"))
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in split(answers)]
    assert bodies == [single[limit].partition(b"\r\n\r\n")[2] for limit in [*limits, 7]]
    counted = left(answers)
    assert counted == list(range(counted[0], counted[0] - len(bodies), -1))


@pytest.mark.parametrize(
    "first",
    [
        request(b"Content-Length: 5\r\n") + b"hello",
        request(b"Transfer-Encoding: chunked\r\n") + b"5\r\nhello\r\n0\r\n\r\n",
        request(b"Expect: 100-continue\r\nContent-Length: 0\r\n"),
    ],
    ids=["body", "chunks", "expect"],
)
async def test_what_follows_a_head_is_not_taken_for_a_request(url: str, first: bytes) -> None:
    answers = await raw(url, first + request(b"Connection: close\r\n", limit=8))
    found = [answer for answer in split(answers) if not answer.startswith(b"HTTP/1.1 100 ")]
    assert [answer[:12] for answer in found] == [b"HTTP/1.1 200"] * 2


@pytest.mark.parametrize(
    "last", [request(version=b"1.0"), request(b"Connection: keep-alive\r\n", version=b"1.0")], ids=["plain", "kept"]
)
async def test_an_old_client_s_connection_ends_with_its_answer(url: str, last: bytes) -> None:
    answer = await raw(url, last)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer


async def test_a_connection_ends_when_it_was_quiet_for_long(
    url: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 1)
    async with serve(site.app, site.services.settings) as quiet:
        parts = urlsplit(quiet)
        reader, writer = connection = await asyncio.open_connection(parts.hostname, parts.port)
        clock = LoopClock(monkeypatch)
        for _ in range(3):
            await ask(connection, request())
            await clock.let_pass(0.9)
            assert not reader.at_eof(), "the time counts from the last answer"
        await clock.let_pass(0.2)
        assert await reader.read() == b""
        clock.go_on()
        writer.close()
        await writer.wait_closed()
