"""What a hostile or broken client does to a connection: heads without end, no HTTP, silence, and leaving early."""

import asyncio
import gzip
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvloop
from structlog.testing import capture_logs

from grandstand.api import http_protocol
from grandstand.settings import load_settings
from tests.api.conftest import KEYS, Site, serve
from tests.api.test_over_the_wire import LINE, PATH, raw, send_import

pytestmark = pytest.mark.anyio
PIECE = b"a" * 65_536
# Far more than the buffers between two sockets hold: whoever can send it all is being read.
PIECES = 500


async def is_cut_off(url: str, start: bytes) -> bool:
    """Send a start and then pieces without end; tell whether the server closed before their number was up."""
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(start)
        for _ in range(PIECES):
            writer.write(PIECE)
            await writer.drain()
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()
    return False


@pytest.mark.parametrize(
    "start",
    [
        b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nX: ",
        b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nX",
        b"GET /api/health/live?",
        b"POST /api/players/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0\r\nX: ",
    ],
    ids=["value", "name", "target", "trailer"],
)
async def test_a_head_or_trailer_without_end_is_cut_off(site: Site, start: bytes) -> None:
    async with serve(site.app, site.services.settings) as url:
        assert await is_cut_off(url, start)


async def test_a_large_head_is_told_so(site: Site) -> None:
    request = b"GET /api/health/live HTTP/1.1\r\nX: "
    # One byte too many, so that nothing is left unread when the connection is closed.
    request += b"a" * (http_protocol.HEAD_BYTES_MAX + 1 - len(request))
    async with serve(site.app, site.services.settings) as url:
        answer = await raw(url, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == "head_too_large"


async def test_large_bodies_and_many_requests_are_not_taken_for_heads(site: Site) -> None:
    headers = {"Authorization": f"Bearer {KEYS['server']}"}
    event = {"event_type": "t", "user_id": "u", "payload": {"text": "x" * 9_000}}
    async with (
        serve(site.app, site.services.settings) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as client,
    ):
        for _ in range(3):
            assert (await client.post("/api/events", json=[event] * 100)).json()["accepted"] == 100


async def test_a_head_that_does_not_come_ends_the_connection(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.2)
    async with serve(site.app, site.services.settings) as url:
        assert await raw(url, b"") == b""
        assert await raw(url, b"GET /api/health/live HTTP/1.1\r\nHost:") == b""


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01" * 20, b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"], ids=["tls", "length"]
)
async def test_what_is_no_http_gets_a_problem(site: Site, nonsense: bytes) -> None:
    async with serve(site.app, site.services.settings) as url:
        head, _, body = (await raw(url, nonsense)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "malformed"


async def test_head_is_answered_like_get_and_the_connection_goes_on(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [b"/api/leaderboards/global", b"/api/leaderboards/none", b"/api/health", b"/api/health/live", b"/nowhere"]
    heads = b"".join(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    last = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serve(site.app, site.services.settings) as url:
        answer = await raw(url, heads + last)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"401", b"200", b"404", b"200"]
    assert answer.count(b"\r\n\r\n{") == 1, "only the GET has a body"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("line", "times"), [(b"\n", 2_000_000), (b"x\n", 300_000)], ids=["blank", "garbage"])
async def test_an_import_leaves_other_requests_their_turn(site: Site, line: bytes, times: int) -> None:
    bomb = gzip.compress(line * times, 1)
    answered = 0
    async with serve(site.app, site.services.settings) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
        importing = asyncio.create_task(send_import(url, bomb, **{"Content-Encoding": "gzip"}))
        while not importing.done():
            assert (await client.get("/api/health/live")).status_code == 200
            answered += 1
        assert (await importing).status_code == 200
    # Held up from the first line to the last, there would be one or two.
    assert answered > 5


@pytest.mark.parametrize("path", [PATH, "/api/events", "/api/players/sessions"])
async def test_a_client_that_goes_away_is_no_fault_of_ours(site: Site, path: str) -> None:
    request = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['server']}\r\nContent-Length: 9999\r\n\r\n"
    ).encode()
    with capture_logs() as logs:
        async with serve(site.app, site.services.settings) as url:
            parts = urlsplit(url)
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(request + LINE)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    assert not [entry for entry in logs if entry["log_level"] == "error"]


def test_a_client_that_leaves_a_pipeline_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """On the event loop of the real server, where writing to a closed connection raises."""
    asked = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def leave() -> None:
        async with serve(app, load_settings(port=0)) as url:
            parts = urlsplit(url)
            for _ in range(10):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                await reader.readexactly(10)
                writer.transport.abort()
            await asyncio.sleep(0.05)

    uvloop.run(leave())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 10 <= asked < 500, "what is left of a pipeline is not even begun"
