"""The shipped nginx configuration in front of several servers: what goes where, and what is never sent twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from tests.support.nginx import open_nginx

pytestmark = pytest.mark.anyio
GONE = "127.0.0.1:9"
"""Where nobody listens."""


class Origin:
    """A server that notes what it is asked, and answers, or breaks off in place of its answer."""

    def __init__(self, name: str, *, breaks_off: bool = False) -> None:
        self.name = name
        self.breaks_off = breaks_off
        self.asked: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                if fields.get("transfer-encoding") == "chunked":
                    while await reader.readuntil(b"\r\n") != b"0\r\n":
                        pass
                    await reader.readuntil(b"\r\n")
                await reader.readexactly(int(fields.get("content-length", 0)))
                self.asked.append(lines[0].rpartition(" ")[0])
                if self.breaks_off:
                    break
                body = self.name.encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def edge(
    ingest: Sequence[Origin | str], api: Sequence[Origin | str], **options: str
) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:

        async def address(origin: Origin | str) -> str:
            if isinstance(origin, str):
                return origin
            server = await stack.enter_async_context(await asyncio.start_server(origin.serve, "127.0.0.1", 0))
            stack.callback(server.close)
            return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

        upstreams = {
            "ingest": [await address(each) for each in ingest], "api": [await address(each) for each in api],
        }  # fmt: skip
        url = await stack.enter_async_context(open_nginx(upstreams, **options))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))


@pytest.mark.parametrize("file", ["grandstand-upstreams.conf", "compose-upstreams.conf"])
async def test_what_is_sent_goes_to_ingest_and_what_is_read_to_api(file: str) -> None:
    ingest, api = Origin("ingest"), Origin("api")
    async with edge([ingest], [api], file=file) as client:
        for method, path, name in (
            ("POST", "/api/events", "ingest"),
            ("POST", "/api/events?x=1", "ingest"),
            ("POST", "/api/events/import", "ingest"),
            ("GET", "/api/events", "api"),
            ("GET", "/api/events/stats", "api"),
            ("GET", "/api/leaderboards/global", "api"),
            ("POST", "/api/leaderboards/global/scores", "api"),
            ("PUT", "/api/leaderboards/%E2%98%85", "api"),
            ("POST", "/api/eventsfoo", "api"),
            ("GET", "/console", "api"),
        ):
            assert (await client.request(method, path)).text == name, (method, path)
        assert "PUT /api/leaderboards/%E2%98%85" in api.asked, "paths pass as they came"
        for _ in range(40):
            await client.post("/api/events", content=b"{}")
        assert ingest.connections <= 2, "connections are kept"


async def test_nothing_that_changes_something_is_sent_twice_and_a_read_is_asked_of_another() -> None:
    origins = [Origin("one", breaks_off=True), Origin("two", breaks_off=True)]
    async with edge(origins, origins) as client:
        for method, path in (
            ("POST", "/api/events"),
            ("POST", "/api/tournaments"),
            ("PUT", "/api/leaderboards/b"),
            ("DELETE", "/api/leaderboards/b"),
            ("PATCH", "/api/webhooks/1"),
        ):
            refused = await client.request(method, path, content=b"{}")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert refused.headers["retry-after"] == "1"
            assert [each for origin in origins for each in origin.asked].count(f"{method} {path}") == 1
        origins[0].breaks_off = False
        origins[0].asked.clear()
        answers = [await client.get(path) for path in ("/api/leaderboards/b", "/api/prizes", "/api/events")]
        assert [answer.text for answer in answers] == ["one"] * 3


async def test_what_could_not_be_sent_is_sent_to_another() -> None:
    ingest = Origin("ingest")
    async with edge([GONE, ingest], [GONE]) as client:
        answers = [await client.post("/api/events", content=b"{}") for _ in range(8)]
        assert [answer.text for answer in answers] == ["ingest"] * 8
        assert len(ingest.asked) == 8
        assert (await client.get("/api/prizes")).json()["status"] == 503


async def test_bodies_are_limited_as_grandstand_limits_them_and_history_is_not() -> None:
    ingest = Origin("ingest")
    async with edge([ingest], [ingest]) as client:
        assert (await client.post("/api/events", content=b"x" * 1_048_576)).status_code == 200
        refused = await client.post("/api/events", content=b"x" * 1_048_577)
        assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
        assert refused.headers["content-type"] == "application/problem+json"
        assert (await client.post("/api/events/import", content=b"x" * 3_000_000)).status_code == 200
