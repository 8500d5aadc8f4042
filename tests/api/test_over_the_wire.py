"""What only a real server shows: streaming, back-pressure, chunked bodies, limits while reading, the orderly stop."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard

from grandstand.domain.errors import UnavailableError
from tests.api.conftest import KEYS, Site, problem, serve

pytestmark = pytest.mark.anyio
PATH = "/api/events/import"
OLD = {"event_type": "game_ended", "user_id": "ann", "occurred_at": "2016-05-26T14:36:55Z", "payload": {"score": 1}}
LINE = json.dumps(OLD).encode() + b"\n"


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def send_import(url: str, body: Any, key: str = "server", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await client.post(
            PATH,
            content=body,
            headers={"Authorization": f"Bearer {KEYS[key]}", "Content-Type": "application/x-ndjson"} | headers,
        )


@pytest.mark.parametrize("size", [7, 1000, 10**6])
@pytest.mark.parametrize(("encoding", "encode"), [("", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
async def test_an_import_says_what_became_of_every_line(site: Site, size: int, encoding: str, encode: Any) -> None:
    bad = [b"nope\n", b"\n", b'{"event_type":"t"}\n', b'"' + b"x" * 30000 + b'"\n']
    body = encode(LINE * 3 + b"".join(bad) + LINE * 2500 + LINE.rstrip())
    async with serve(site.app, site.services.settings) as url:
        headers = {"Content-Encoding": encoding} if encoding else {}
        answer = await send_import(url, pieces(body, size), **headers)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["lines"], report["accepted"], report["rejected_count"]) == (2508, 2504, 3)
    assert [(each["line"], each["code"]) for each in report["rejected"]] == [
        (4, "invalid_event"),
        (6, "invalid_user_id"),
        (7, "line_too_long"),
    ]
    assert await site.count_streamed() == 2504


async def test_an_import_that_fails_in_the_middle_says_how_far_it_came(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = site.core.streams.append, 0

    async def fails_third(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise UnavailableError("away")
        await append(*arguments)

    monkeypatch.setattr(site.core.streams, "append", fails_third)
    async with serve(site.app, site.services.settings) as url:
        answer = await send_import(url, pieces(LINE * 5000, 10_000))
    body = problem(answer, 503, "unavailable")
    assert (body["lines"], body["accepted"]) == (2000, 2000)
    assert await site.count_streamed() == 2000


async def test_only_the_first_thousand_rejected_lines_are_named(site: Site) -> None:
    async with serve(site.app, site.services.settings) as url:
        report = (await send_import(url, b"nope\n" * 3000)).json()
    assert (report["lines"], report["accepted"], report["rejected_count"]) == (3000, 0, 3000)
    assert len(report["rejected"]) == 1000


async def test_what_editors_of_other_systems_add_does_no_harm(site: Site) -> None:
    async with serve(site.app, site.services.settings) as url:
        report = (await send_import(url, b"\xef\xbb\xbf" + LINE.replace(b"\n", b"\r\n") + b"\r\n" + LINE)).json()
    assert report == {"lines": 3, "accepted": 2, "rejected_count": 0, "rejected": []}


async def test_imports_need_a_server_key_and_a_known_type(site: Site) -> None:
    async with serve(site.app, site.services.settings) as url:
        problem(await send_import(url, LINE, "client"), 403, "forbidden")
        problem(await send_import(url, LINE, **{"Content-Type": "text/csv"}), 415, "unsupported_media_type")
        problem(await send_import(url, gzip.compress(LINE)[:-4], **{"Content-Encoding": "gzip"}), 400, "malformed")
        assert (await send_import(url, b"")).json()["lines"] == 0


async def test_a_chunked_body_is_stopped_at_the_limit(site: Site) -> None:
    async with serve(site.app, site.services.settings) as url, httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {KEYS['server']}", "Content-Type": "application/json"}
        body = b"[" + LINE.strip() + b" " * 1_048_576 + b"]"
        problem(await client.post("/api/events", content=pieces(body, 65536), headers=headers), 413, "body_too_large")
        taken = await client.post("/api/events", content=pieces(body[:200] + b"]", 3), headers=headers)
        assert taken.status_code in (202, 400, 422)


async def raw(url: str, *pieces: bytes) -> bytes:
    """Send pieces as they are, one read of the server after the other; return what comes until the server closes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        for _ in range(5):
            # A turn of the loop that the server shares: it reads what is there.
            await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_length_over_the_limit_is_refused_before_the_body(site: Site) -> None:
    request = (
        f"POST /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['server']}\r\n"
        "Content-Length: 99999999999\r\nConnection: close\r\n\r\n"
    ).encode()
    async with serve(site.app, site.services.settings) as url:
        assert b"body_too_large" in await raw(url, request)


@pytest.mark.parametrize(
    "path",
    [b"/api/leaderboards/\xff\xfe", b"/%", b"/api/leaderboards/global?limit=\xff", b"/" + b"a" * 20000],
    ids=["bytes", "percent", "query", "long"],
)
async def test_raw_bytes_in_the_target_are_no_server_error(site: Site, path: bytes) -> None:
    async with serve(site.app, site.services.settings) as url:
        answer = await raw(url, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 4", b"")), answer[:200]
    assert b" 5" not in answer[:13]


async def test_the_stop_lets_requests_under_way_finish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append, began, may_end = site.core.streams.append, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> None:
        began.set()
        await may_end.wait()
        await append(*arguments)

    monkeypatch.setattr(site.core.streams, "append", slow)
    async with httpx.AsyncClient(timeout=30) as client:
        async with serve(site.app, site.services.settings) as url:
            headers = {"Authorization": f"Bearer {KEYS['server']}"}
            request = asyncio.create_task(
                client.post(f"{url}/api/events", json={"event_type": "t", "user_id": "u"}, headers=headers)
            )
            await began.wait()
            asyncio.get_running_loop().call_later(0.2, may_end.set)
        assert (await request).status_code == 202
