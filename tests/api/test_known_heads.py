"""What has the head of the last request on its connection is not parsed, and answered as on a connection of its own."""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from grandstand.api.posting_protocol import PostingHttpProtocol
from tests.api.conftest import Site
from tests.api.test_over_the_wire import raw
from tests.api.test_post_at_once import LAST, LEFT, USUAL_WAY, Door, event, first, open_door, post
from tests.api.test_read_at_once import PAGE, RANK, read, score, without_moments
from tests.api.test_read_at_once import open_door as open_reads

pytestmark = pytest.mark.anyio
CLOSING = b"Connection: close\r\n"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The targets of the heads that were parsed."""
    seen = []
    note = PostingHttpProtocol.on_headers_complete

    def on_headers_complete(self: PostingHttpProtocol) -> None:
        seen.append(self.url)
        note(self)

    monkeypatch.setattr(PostingHttpProtocol, "on_headers_complete", on_headers_complete)
    return seen


class Connection:
    """One connection, on which each request waits for the answer to the last."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self._writer.write(piece)
            # Each in a read of its own, as far as that can be had.
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"\r\ncontent-length: (\d+)", head)
            assert found is not None
            return head + await self._reader.readexactly(int(found[1]))

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


async def connect(door: Door) -> Connection:
    return Connection(*await door.connect())


async def connect_to(url: str) -> Connection:
    parts = urlsplit(url)
    return Connection(*await asyncio.open_connection(parts.hostname, parts.port))


async def test_a_head_is_parsed_once_whatever_the_length(site: Site, parsed: list[bytes]) -> None:
    async with open_door(site) as door:
        connection = await connect(door)
        for count in (1, 2, 30, 3, 1):
            answer = await connection.ask(post([event()] * count))
            assert answer.endswith(b'{"accepted":%d,"rejected":[]}' % count)
        assert len(parsed) == 1
        # Another head, and the usual way, and then the first again.
        assert (await connection.ask(post(event(), "admin"))).startswith(b"HTTP/1.1 202 ")
        assert (await connection.ask(post(event(), "server", USUAL_WAY))).startswith(b"HTTP/1.1 202 ")
        assert len(parsed) == 3
        assert (await connection.ask(post(event(), "admin"))).startswith(b"HTTP/1.1 202 ")
        assert len(parsed) == 3
        connection.close()
    assert await site.count_streamed() == 40


@pytest.mark.parametrize(
    ("content", "who", "more"),
    [
        (event(), "server", b""),
        ([event(), event(event_type="")], "server", b"Content-Type: application/json\r\n"),
        (event(user_id=""), "server", b""),
        (b"{", "server", b""),
        (b"", "server", b""),
        ([event()] * 101, "server", b""),
        (event(), None, b""),
        (event(), "nobody", b""),
        (event(), "client", b""),
        (event(), "server", b"Content-Type: text/html\r\n"),
        (b" " * 60_000, "server", b""),
    ],
)  # fmt: skip
async def test_the_answer_is_that_of_a_head_that_is_parsed(
    site: Site, parsed: list[bytes], content: Any, who: str | None, more: bytes
) -> None:
    async with open_door(site) as door:
        alone = first(await door.ask(post(content, who, more), LAST))
        connection = await connect(door)
        await connection.ask(post(event(), who, more))
        before = len(parsed)
        again = first(await connection.ask(post(content, who, more)))
        assert len(parsed) == before
        connection.close()
    assert again == alone


def changed(old: bytes, new: bytes, content: Any = None) -> bytes:
    whole = post(event() if content is None else content)
    assert old in whole
    return whole.replace(old, new, 1)


LENGTH = b"Content-Length: %d" % len(post(event()).partition(b"\r\n\r\n")[2])
BODY = post(event()).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "second",
    [
        changed(LENGTH, b"Content-Length: +%d" % len(BODY)),
        changed(LENGTH, b"Content-Length: 0x10"),
        changed(LENGTH, b"Content-Length: "),
        changed(LENGTH, b"Content-Length: -1"),
        changed(LENGTH, b"Content-Length: 1 2"),
        changed(LENGTH, LENGTH.replace(b": ", b": 000")),
        changed(LENGTH, LENGTH + b"\r\n" + LENGTH),
        changed(LENGTH, LENGTH + b"\r\nTransfer-Encoding: chunked"),
        changed(LENGTH, LENGTH + b", %d" % len(BODY)),
        changed(LENGTH, LENGTH + b"\r\nContent-Encoding: gzip"),
        changed(b"Host: x", b"Host: x\r\nHost: y"),
        changed(b"Host: x", b"Host: x y"),
        changed(b"HTTP/1.1", b"HTTP/1.0"),
        changed(b"/api/events", b"/api/eventz"),
        changed(b"POST", b"PUT"),
        changed(LENGTH, b"Content-Length: %d" % (len(BODY) + 1)) + b" ",
        changed(LENGTH, b"Content-Length: %d" % (len(BODY) - 1)),
        b"\r\n" + post(event()),
        post(event()) + b"\r\n",
    ],
)  # fmt: skip
async def test_what_only_resembles_it_is_read_as_ever(site: Site, second: bytes) -> None:
    async with open_door(site) as door:
        alone = re.sub(rb"date: [^\r]*\r\n", b"", await raw(door.url, second + LAST))
        connection = await connect(door)
        assert (await connection.ask(post(event()))).startswith(b"HTTP/1.1 202 ")
        connection._writer.write(second + LAST)
        after = re.sub(rb"date: [^\r]*\r\n", b"", await connection.rest())
        connection.close()
        if second.endswith(BODY[-1:]):
            # And where the end is a read of its own.
            connection = await connect(door)
            assert (await connection.ask(post(event()))).startswith(b"HTTP/1.1 202 ")
            connection._writer.write(second)
            await asyncio.sleep(0.02)
            connection._writer.write(LAST)
            assert re.sub(rb"date: [^\r]*\r\n", b"", await connection.rest()) == after
            connection.close()
    assert re.findall(rb"HTTP/1.1 \d+", after) == re.findall(rb"HTTP/1.1 \d+", alone)
    assert after == alone


async def test_pieces_and_pipelines_behind_a_known_head(site: Site) -> None:
    whole = post([event(), event()])
    async with open_door(site) as door:
        connection = await connect(door)
        for cut in (10, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
            assert (await connection.ask(post(event()))).endswith(b'{"accepted":1,"rejected":[]}')
            assert (await connection.ask(whole[:cut], whole[cut:])).endswith(b'{"accepted":2,"rejected":[]}')
        connection._writer.write(whole + post(event()) + whole + post(b"{") + post(event(), "server", CLOSING))
        answers = await connection.rest()
        connection.close()
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"202", b"202", b"400", b"202"]
    assert re.findall(rb'"accepted":(\d)', answers) == [b"2", b"1", b"2", b"1"]
    assert await site.count_streamed() == 4 * 3 + 6


async def test_a_request_that_says_it_is_the_last_is_the_last_each_time(site: Site) -> None:
    async with open_door(site) as door:
        for _ in range(2):
            connection = await connect(door)
            assert (await connection.ask(post(event()))).startswith(b"HTTP/1.1 202 ")
            connection._writer.write(post(event(), "server", CLOSING) + post(event(), "server", CLOSING))
            assert (await connection.rest()).count(b"HTTP/1.1 202 ") == 1
            connection.close()


async def test_each_counts_and_a_credential_is_asked_about_each_time(site: Site, parsed: list[bytes]) -> None:
    token = await site.token("posts")
    limits = {"rate_limit_player_requests": 3}
    async with open_door(site, **limits) as door:
        connection = await connect(door)
        answers = [await connection.ask(post(event(), token)) for _ in range(5)]
        assert [answer[9:12] for answer in answers] == [b"202"] * 3 + [b"429"] * 2
        assert LEFT.findall(b"".join(answers)) == [b"2", b"1", b"0", b"0", b"0"]
        assert len(parsed) == 1
        connection.close()
    created = await site.post("/api/keys", {"kind": "server", "name": "known"}, "admin")
    key = created.json()
    async with open_door(site) as door:
        connection = await connect(door)
        assert (await connection.ask(post(event(), key["key"]))).startswith(b"HTTP/1.1 202 ")
        await site.delete(f"/api/keys/{key['id']}", "admin")
        assert (await connection.ask(post(event(), key["key"]))).startswith(b"HTTP/1.1 401 ")
        assert len(parsed) == 2
        connection.close()


TARGETS = (PAGE, RANK % "ann", RANK % "ann/nearby", f"{PAGE}?limit=2", "/api/prizes?user_id=ann", RANK % "nobody")
USUAL = read(PAGE, "server")


async def test_the_head_of_a_read_is_parsed_once_whatever_the_target(site: Site, parsed: list[bytes]) -> None:
    await score(site, ann=5, ben=3)
    async with open_reads(site) as (url, _):
        alone = [without_moments(await raw(url, read(target, "server") + LAST)) for target in TARGETS]
        connection = await connect_to(url)
        parsed.clear()
        for _ in range(2):
            again = [without_moments(await connection.ask(read(target, "server"))) for target in TARGETS]
            assert again == alone
        assert parsed == [PAGE.encode()]
        # Posts between them have a head of their own.
        for _ in range(2):
            assert (await connection.ask(post(event()))).startswith(b"HTTP/1.1 202 ")
            assert (await connection.ask(read(PAGE, "server"))).startswith(b"HTTP/1.1 200 ")
        assert parsed == [PAGE.encode(), b"/api/events"]
        connection.close()


async def test_what_is_read_is_what_is_there_by_then_and_whoever_may(site: Site, parsed: list[bytes]) -> None:
    await score(site, dee=5)
    created = await site.post("/api/keys", {"kind": "server", "name": "known"}, "admin")
    key = created.json()
    async with open_reads(site, rate_limit_anonymous_requests=3) as (url, _):
        connection = await connect_to(url)
        assert b'"score":5' in await connection.ask(read(RANK % "dee", key["key"]))
        await score(site, dee=9)
        assert b'"score":9' in await connection.ask(read(RANK % "dee", key["key"]))
        await site.delete(f"/api/keys/{key['id']}", "admin")
        assert (await connection.ask(read(PAGE, key["key"]))).startswith(b"HTTP/1.1 401 ")
        connection.close()
        connection = await connect_to(url)
        parsed.clear()
        answers = [await connection.ask(read(PAGE)) for _ in range(5)]
        assert [answer[9:12] for answer in answers] == [b"200"] * 3 + [b"429"] * 2
        assert LEFT.findall(b"".join(answers)) == [b"2", b"1", b"0", b"0", b"0"]
        connection.close()


RESEMBLING = [
    USUAL.replace(b"/api", b"/api#x", 1),
    USUAL.replace(b"/api", b"/a pi", 1),
    USUAL.replace(b"/api", b"/\x00api", 1),
    USUAL.replace(b"/api", b"/\xffapi", 1),
    USUAL.replace(b"/api", b"/api\t", 1),
    USUAL.replace(b"/api", b"//api", 1),
    USUAL.replace(b"/api", b"http://y/api", 1),
    USUAL.replace(b"/api", b"http://x/api", 1),
    USUAL.replace(b"/api/leaderboards", b"/api/%6ceaderboards", 1),
    USUAL.replace(b"GET /", b"GET  /", 1),
    USUAL.replace(b"GET /", b"get /", 1),
    USUAL.replace(b"GET ", b"HEAD ", 1),
    USUAL.replace(b"GET ", b"DELETE ", 1),
    USUAL.replace(b"1.1", b"1.0", 1),
    USUAL.replace(b"1.1", b"2.0", 1),
    USUAL.replace(b"Host: x", b"Host: x\r\nHost: x", 1),
    USUAL.replace(b"Host: x", b"Host: x\r\nContent-Length: 3", 1) + b"abc",
    USUAL.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked", 1) + b"0\r\n\r\n",
    read(RANK % "ann", "server") + USUAL,
    USUAL + b"\r\n",
    b"\r\n" + USUAL,
]


async def test_what_only_resembles_a_read_is_read_as_ever(site: Site) -> None:
    await score(site, ann=5)
    async with open_reads(site) as (url, _):
        for second in RESEMBLING:
            alone = without_dates(await raw(url, second + LAST))
            for pieces in ((second + LAST,), (second, LAST)):
                connection = await connect_to(url)
                for _ in range(2):
                    assert (await connection.ask(USUAL)).startswith(b"HTTP/1.1 200 ")
                for piece in pieces:
                    connection._writer.write(piece)
                    await asyncio.sleep(0.02)
                assert without_dates(await connection.rest()) == alone, (second, pieces)
                connection.close()


def without_dates(answers: bytes) -> bytes:
    return re.sub(rb'date: [^\r]*\r\n|"as_of":"[^"]*"', b"", answers)


async def test_a_head_that_comes_in_pieces_behind_a_known_one(site: Site) -> None:
    await score(site, ann=5)
    whole = read(RANK % "ann", "server")
    async with open_reads(site) as (url, _):
        connection = await connect_to(url)
        for cut in (3, 10, whole.index(b" HTTP"), len(whole) - 1):
            assert (await connection.ask(read(PAGE, "server"))).startswith(b"HTTP/1.1 200 ")
            assert b'"user_id":"ann"' in await connection.ask(whole[:cut], whole[cut:])
        connection._writer.write(whole + read(PAGE, "server") + whole + read(PAGE, "server", CLOSING))
        assert (await connection.rest()).count(b"HTTP/1.1 200 ") == 4
        connection.close()
