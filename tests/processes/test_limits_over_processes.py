"""Four API processes of one tree, hammered at once, admit together what one limit allows, however they answer."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.support.server import Server, end, start_up

pytestmark = pytest.mark.anyio
PROCESSES, QUOTA, BLOCK_SECONDS = 4, 1000, 300
CONNECTIONS_EACH, CONNECTIONS_MAX = 4, 600
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
        self.port: int = writer.get_extra_info("sockname")[1]

    async def ask(self, request: bytes) -> Answer:
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = httpx.Headers([tuple(line.split(b": ", 1)) for line in head[1:] if line])  # type: ignore[misc]
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, body)


async def connections_to_each(server: Server, stack: AsyncExitStack) -> list[Connection]:
    """As many connections to each of the processes; which of them accepts is the kernel's choice, so try on."""
    parts = urlsplit(server.url)
    children = [process.pid for process in server.named("serve --role ingest --role api")]
    assert len(children) == PROCESSES
    opened: dict[int, Connection] = {}
    owned: dict[int, list[Connection]] = {pid: [] for pid in children}
    while min(map(len, owned.values())) < CONNECTIONS_EACH:
        assert len(opened) < CONNECTIONS_MAX, {pid: len(theirs) for pid, theirs in owned.items()}
        for _ in range(32):
            connection = Connection(*await asyncio.open_connection(parts.hostname, parts.port))
            stack.callback(connection.writer.close)
            opened[connection.port] = connection
        # An answer says that a process has accepted it.
        await asyncio.gather(*(each.ask(read(path="/api/health/live")) for each in list(opened.values())[-32:]))
        for pid in children:
            ports = {each.raddr.port for each in psutil.Process(pid).net_connections("tcp") if each.raddr}
            owned[pid] = [opened[port] for port in sorted(ports & opened.keys())]
    return [each for theirs in owned.values() for each in theirs[:CONNECTIONS_EACH]]


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
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {server.keys.server}"}) as it:
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
            # On a disk that stalls, processes count alone: that is for other tests.
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
