"""Limits as a client behind proxies meets them on a connection: whose request it is, and how a block ends."""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from urllib.parse import urlsplit

import pytest

from grandstand.api.app import build_app
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import RateLimitStore
from tests.api.conftest import Site, serve
from tests.support.connections import close

pytestmark = pytest.mark.anyio
QUOTA, BLOCK_SECONDS = 400, 2
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
KEPT_PAGE, LISTED = "/api/leaderboards/global", "/api/leaderboards"
OVERDUE_SECONDS = 5.0
"""What is still blocked so long after its block should have ended stays so."""


@dataclass
class Answer:
    status: int
    head: str
    body: str

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}: (.*)\r$", self.head, re.IGNORECASE | re.MULTILINE)
        assert found is not None, self.head
        return found[1]

    @property
    def left(self) -> int:
        found = re.fullmatch(r'"default";r=(\d+);t=\d+', self.header("ratelimit"))
        assert found is not None, self.head
        return int(found[1])


@dataclass
class Client:
    """One connection, from an address of this machine."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *forwarded: bytes, path: str = KEPT_PAGE) -> Answer:
        lines = b"".join(b"X-Forwarded-For: %b\r\n" % value for value in forwarded)
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode() + lines + b"\r\n")
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", head)
        assert length is not None, head
        return Answer(int(head.split()[1]), head, (await self.reader.readexactly(int(length[1]))).decode())


@dataclass
class Clients:
    """Connections of a proxy that is trusted, and of somebody who is not."""

    proxy: Client
    stranger: Client


@pytest.fixture
async def clients(keeping_site: Site, valkey_prefix: str, request: pytest.FixtureRequest) -> AsyncIterator[Clients]:
    """Clients of a process that trusts the proxy, and counts for this test alone."""
    settings = keeping_site.services.settings.model_copy(
        update={
            "rate_limit_anonymous_requests": getattr(request, "param", QUOTA),
            "rate_limit_window_seconds": 50,
            "rate_limit_block_seconds": BLOCK_SECONDS,
            "trusted_proxies": (IPv4Network(PROXY),),
        }
    )
    limiter = RateLimiter(RateLimitStore(keeping_site.core.valkey, valkey_prefix), RateLimits.of(settings))
    async with serve(build_app(replace(keeping_site.services, settings=settings, limiter=limiter)), settings) as url:
        parts = urlsplit(url)
        opened = [
            Client(*await asyncio.open_connection(parts.hostname, parts.port, local_addr=(address, 0)))
            for address in (PROXY, STRANGER)
        ]
        yield Clients(*opened)
        for client in opened:
            await close(client.writer)
    await limiter.close()


async def count_down(client: Client, forms: Iterable[tuple[bytes, ...]], left: int) -> int:
    """Ask in each form, for a page that is kept and for what is not; return what is left of the one limit."""
    for form in forms:
        for path in (KEPT_PAGE, LISTED):
            answer = await client.ask(*form, path=path)
            assert answer.status == 200, answer
            left -= 1
            assert answer.left == left, f"{form!r} is of the same client"
    return left


@pytest.mark.parametrize(
    "forms",
    [
        [(b"198.51.100.7",), (b"::ffff:198.51.100.7",), (b"198.51.100.7:4711",), (b"[::ffff:c633:6407]:80",)],
        [(b"2001:db8:1:2::1",), (b"[2001:db8:1:2::1]:443",), (b"2001:DB8:1:2:0:0:0:9",), (b"2001:db8:1:2:f::%eth0",)],
        [(b"203.0.113.1",), (b" 203.0.113.1",), (b"6.6.6.6,\t203.0.113.1 , 127.0.0.1",), (b"6.6.6.6", b"203.0.113.1")],
        [(b"203.0.113.2",), (b"nonsense,203.0.113.2",), (b"\xff\xfe,203.0.113.2",), (b"6.6.6.6,,203.0.113.2",)],
    ],
    ids=["IPv4 in IPv6", "one network of IPv6", "lists and spaces", "what stands left"],
)  # fmt: skip
async def test_one_client_is_counted_once_however_it_is_written(
    clients: Clients, forms: list[tuple[bytes, ...]]
) -> None:
    await count_down(clients.proxy, forms, QUOTA)
    assert (await clients.proxy.ask(b"203.0.113.99")).left == QUOTA - 1, "another client has a limit of its own"


async def test_what_says_nothing_is_counted_for_the_proxy(clients: Clients) -> None:
    nonsense = [b"", b",", b"unknown", b"_hidden", b"999.1.1.1", b"\xff\xfe", b"for=203.0.113.1", b"203.0.113.1;"]
    nonsense += [b"203.0.113.1,nonsense", b"1.2.3", b"[::1", b"'; DROP TABLE players", b"9" * 3000]
    left = await count_down(clients.proxy, [(), *((value,) for value in nonsense)], QUOTA)
    assert await count_down(clients.proxy, [(PROXY.encode(),)], left) == left - 2


async def test_nobody_speaks_for_others_without_being_trusted(clients: Clients) -> None:
    spoofed = [(), (b"203.0.113.50",), (b"203.0.113.51",), (b"203.0.113.50, 127.0.0.1",), (b"2001:db8::1", b"10.0.0.1")]
    await count_down(clients.stranger, spoofed, QUOTA)
    for forwarded in (b"203.0.113.50", b"203.0.113.51", b"2001:db8::1"):
        assert (await clients.proxy.ask(forwarded)).left == QUOTA - 1
    assert (await clients.proxy.ask(STRANGER.encode())).left == QUOTA - 1 - 2 * len(spoofed), "seen through a proxy"


@pytest.mark.parametrize("clients", [3, 200], indirect=True, ids=["always asked", "some at once"])
async def test_a_block_ends_when_retry_after_says(clients: Clients, request: pytest.FixtureRequest) -> None:
    quota = request.node.callspec.params["clients"]
    proxy, who = clients.proxy, b"198.51.100.7"
    for left in range(quota - 1, -1, -1):
        assert (await proxy.ask(who)).left == left
    asked_at = began_at = time.monotonic()
    answer = await proxy.ask(who)
    blocked_at = answered_at = time.monotonic()
    said: list[int] = []
    longest_seconds = 0.0
    while answer.status == 429:
        # The block began between `began_at` and `blocked_at`, and is told in seconds, rounded up; this answer was made
        # between `asked_at` and `answered_at`, however long the machine took over it.
        retry_after = int(answer.header("retry-after"))
        assert f'"retry_after":{retry_after}' in answer.body
        assert answer.header("ratelimit") == f'"default";r=0;t={retry_after}'
        assert math.ceil(began_at + BLOCK_SECONDS - answered_at) <= retry_after <= BLOCK_SECONDS
        assert retry_after <= max(1, math.ceil(blocked_at + BLOCK_SECONDS - asked_at))
        said.append(retry_after)
        assert asked_at < blocked_at + BLOCK_SECONDS + OVERDUE_SECONDS, "it never ended"
        assert (await proxy.ask(b"198.51.100.8")).status == 200 or quota == 3
        await asyncio.sleep(0.02)
        before, asked_at = asked_at, time.monotonic()
        answer = await proxy.ask(who)
        answered_at = time.monotonic()
        longest_seconds = max(longest_seconds, answered_at - before)
    assert answered_at >= began_at + BLOCK_SECONDS - 0.01, "not before its end"
    assert said == sorted(said, reverse=True)
    assert said[0] == BLOCK_SECONDS or blocked_at - began_at >= 1
    assert set(said) == {2, 1} or longest_seconds >= 1, "a second without a look may hide its number"
    assert (answer.status, answer.left) == (200, quota - 1), "what was refused took nothing of the new window"
    assert (await proxy.ask(who)).left == quota - 2
