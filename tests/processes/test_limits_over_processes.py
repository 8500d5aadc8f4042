"""Four API processes of one tree, hammered at once, admit together what one limit allows, however they answer."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from valkey import Valkey

from grandstand.supervisor.state import read_state
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
PROCESSES, QUOTA, BLOCK_SECONDS = 4, 1000, 300
CONNECTIONS_EACH = 4
ATTEMPTS = 3


@pytest.fixture(scope="module")
def tree() -> Iterator[Server]:
    with TemporaryDirectory(prefix="grandstand-limits-", ignore_cleanup_errors=True) as folder:
        server = start_up(
            Path(folder) / "data",
            environment={
                "GRANDSTAND_HTTP_PROCESSES": str(PROCESSES),
                "GRANDSTAND_WORKERS": "1",
                "GRANDSTAND_RATE_LIMIT_PLAYER_REQUESTS": str(QUOTA),
                "GRANDSTAND_RATE_LIMIT_ADDRESS_PLAYER_REQUESTS": "0",
                "GRANDSTAND_RATE_LIMIT_PLAYER_EVENTS": "0",
                "GRANDSTAND_RATE_LIMIT_ANONYMOUS_REQUESTS": str(QUOTA),
                "GRANDSTAND_TRUSTED_PROXIES": "127.0.0.1/32",
                "GRANDSTAND_RATE_LIMIT_WINDOW_SECONDS": "600",
                "GRANDSTAND_RATE_LIMIT_BLOCK_SECONDS": str(BLOCK_SECONDS),
            },
        )
        try:
            state = read_state(server.data_dir)
            assert state is not None
            # Where a disk stalls processes count alone, which is for other tests: these keep away from it.
            with Valkey.from_url(state.valkey_url) as valkey:
                valkey.config_set("appendonly", "no")
            yield server
        finally:
            end(server)


@dataclass
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class Connection:
    """One kept-alive connection, which stays with the process that accepted it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes) -> Answer:
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = httpx.Headers([tuple(line.split(b": ", 1)) for line in head[1:] if line])  # type: ignore[misc]
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, body)


async def connections_to_each(server: Server, stack: AsyncExitStack) -> list[Connection]:
    """As many connections to each of the processes: the kernel chooses who accepts, so the others stand still."""
    parts = urlsplit(server.url)
    children = server.named("serve --role ingest --role api")
    assert len(children) == PROCESSES
    opened: list[Connection] = []
    for child in children:
        with ExitStack() as standing_still:
            for other in children:
                if other != child:
                    other.suspend()
                    standing_still.callback(other.resume)
                    await eventually_async(lambda one=other: one.status() == psutil.STATUS_STOPPED)
            for _ in range(CONNECTIONS_EACH):
                connection = Connection(*await asyncio.open_connection(parts.hostname, parts.port))
                stack.callback(connection.writer.close)
                # An answer says that it has accepted it.
                assert (await connection.ask(read(path="/api/health/live"))).status == 200
                opened.append(connection)
    return opened


def read(*headers: str, path: str = "/api/leaderboards/global") -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "\r\n")).encode()


async def read_with_token(server: Server, number: int) -> bytes:
    return read(f"Authorization: Bearer {await token_of(server, f'reader-{number}')}")


async def read_kept_page(server: Server, number: int) -> bytes:
    """What a process answers where the head ends, from memory."""
    return read(f"X-Forwarded-For: 203.0.113.{number}")


async def post_whole(server: Server, number: int) -> bytes:
    """What a process takes where the body ends, without a task."""
    user_id = f"poster-{number}"
    body = json.dumps({"event_type": "tested", "user_id": user_id})
    token = await token_of(server, user_id)
    head = f"POST /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


async def hammer(connection: Connection, request: bytes) -> list[Answer]:
    """Ask until refused, and five times more."""
    answers = [await connection.ask(request)]
    while answers[-1].status in (200, 202):
        answers.append(await connection.ask(request))
    return [*answers, *[await connection.ask(request) for _ in range(5)]]


async def token_of(server: Server, user_id: str) -> str:
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as it:
        return str((await it.post("/api/players/sessions", json={"user_id": user_id})).json()["token"])


@pytest.mark.parametrize("asking", [read_with_token, read_kept_page, post_whole])
async def test_four_processes_together_admit_the_quota(
    tree: Server, asking: Callable[[Server, int], Awaitable[bytes]]
) -> None:
    async with AsyncExitStack() as stack:
        connections = await connections_to_each(tree, stack)
        for attempt in range(ATTEMPTS):
            said = len(tree.log)
            request = await asking(tree, attempt)
            found = await asyncio.gather(*(hammer(each, request) for each in connections))
            # Processes that had to wait for too long have counted alone: that is for other tests.
            if "rate_limits_local" not in tree.log[said:]:
                break
        else:
            pytest.fail("Valkey was never quick enough to count together")
        other = await connections[0].ask(await asking(tree, ATTEMPTS))
    answers = [answer for theirs in found for answer in theirs]
    statuses = Counter(answer.status for answer in answers)
    admitted = statuses.total() - statuses[429]
    assert set(statuses) in ({200, 429}, {202, 429})
    assert abs(admitted - QUOTA) <= QUOTA * 0.02, statuses
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == f'"default";q={QUOTA};w=600'
        told = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert told is not None
        remaining, seconds = map(int, told.groups())
        assert 0 <= remaining < QUOTA
        if answer.status == 429:
            assert remaining == 0
            assert answer.headers["retry-after"] == str(seconds)
            assert f'"retry_after":{seconds}'.encode() in answer.body
            assert 0 < seconds <= BLOCK_SECONDS
    assert all(answer.status == 429 for theirs in found for answer in theirs[-6:]), "who is blocked stays blocked"
    assert other.status in (200, 202), "a limit is one client's own"
