"""Scripts of all callers share one connection: replies find whoever asked, and what breaks it harms nobody for long."""

import asyncio
import contextlib
import gc
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

from grandstand.storage.valkey import open_valkey, runner_of
from tests.faults.ways import Way, open_way
from tests.support.engines import RunningEngines

pytestmark = pytest.mark.anyio

ECHO = ("EVAL", "return ARGV[1]", 0)
Forward = Callable[[float], Awaitable[None]]
TIMEOUT_SECONDS = 60.0
"""Longer than any machine stands still: a test that is about it moves the time of its event loop."""


@pytest.fixture
def way(engines: RunningEngines) -> Iterator[Way]:
    with open_way(engines.socket_folder / "valkey.sock") as way:
        yield way


@pytest.fixture
async def client(way: Way) -> AsyncIterator[Valkey]:
    client = open_valkey(f"valkey://127.0.0.1:{way.port}/0", timeout_seconds=TIMEOUT_SECONDS)
    yield client
    await client.aclose()


@pytest.fixture
async def hasty(way: Way) -> AsyncIterator[Valkey]:
    client = open_valkey(f"valkey://127.0.0.1:{way.port}/0", timeout_seconds=0.5)
    yield client
    await client.aclose()


@pytest.fixture
async def forward(anyio_backend: object, monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Let so many seconds go by for the event loop, and whatever is due then happen."""
    loop, ahead_seconds = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead_seconds[0])

    async def forward(seconds: float) -> None:
        ahead_seconds[0] += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    return forward


async def test_each_reply_finds_whoever_asked(client: Valkey) -> None:
    run = runner_of(client)
    asking = [asyncio.ensure_future(run(*ECHO, b"%d" % number)) for number in range(300)]
    refused = asyncio.ensure_future(run("EVAL", "return redis.error_reply('OOM no room')", 0))
    failed = asyncio.ensure_future(run("EVAL", "return redis.call('INCR', KEYS[1], 2)", 1, "k"))
    after = asyncio.ensure_future(run(*ECHO, "last"))
    await asyncio.sleep(0)
    for gone in asking[100:200]:
        gone.cancel()
    assert await asyncio.gather(*asking[:100], *asking[200:]) == [b"%d" % n for n in (*range(100), *range(200, 300))]
    # As errors of the classes that the library has for them.
    with pytest.raises(OutOfMemoryError):
        await refused
    with pytest.raises(ResponseError, match="number of arg"):
        await failed
    assert await after == b"last"
    big = b"x" * 3_000_000
    assert await asyncio.gather(run(*ECHO, big), run(*ECHO, "small")) == [big, b"small"]


async def test_who_is_cancelled_while_it_connects_cancels_nobody_else(client: Valkey) -> None:
    run = runner_of(client)
    first, second = asyncio.ensure_future(run(*ECHO, "one")), asyncio.ensure_future(run(*ECHO, "two"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"two"
    assert first.cancelled()


async def test_an_idle_connection_that_was_closed_is_replaced_without_a_word(client: Valkey, way: Way) -> None:
    run = runner_of(client)
    assert await run(*ECHO, "one") == b"one"
    way.cut()
    way.mend()
    assert await asyncio.gather(run(*ECHO, "two"), run(*ECHO, "three")) == [b"two", b"three"]


async def test_what_waits_when_the_server_goes_away_hears_of_it(client: Valkey, way: Way) -> None:
    run = runner_of(client)
    assert await run(*ECHO, "one") == b"one"
    way.hold()
    waiting = [asyncio.ensure_future(run(*ECHO, "two")) for _ in range(3)]
    await asyncio.sleep(0)
    way.cut()
    replies = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(reply) for reply in replies] == [ValkeyConnectionError] * 3
    assert len({id(reply) for reply in replies}) == 3
    with pytest.raises(ValkeyConnectionError):
        await run(*ECHO, "three")
    way.mend()
    assert await run(*ECHO, "four") == b"four"


async def test_a_server_that_says_nothing_is_waited_for_so_long_and_no_longer(
    client: Valkey, way: Way, forward: Forward
) -> None:
    run = runner_of(client)
    assert await run(*ECHO, "one") == b"one"
    way.hold()
    waiting = [asyncio.ensure_future(run(*ECHO, "two")) for _ in range(3)]
    await forward(TIMEOUT_SECONDS / 2)
    assert not any(each.done() for each in waiting)
    await forward(TIMEOUT_SECONDS / 2)
    replies = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(reply) for reply in replies] == [ValkeyTimeoutError] * 3
    way.mend()
    # Late replies of before belong to nobody.
    assert await asyncio.gather(run(*ECHO, "three"), run(*ECHO, "four")) == [b"three", b"four"]


async def test_who_asked_later_waits_for_longer(client: Valkey, way: Way, forward: Forward) -> None:
    run = runner_of(client)
    number = await run("CLIENT", "ID")
    way.hold()
    first = asyncio.ensure_future(run(*ECHO, "one"))
    await forward(TIMEOUT_SECONDS / 2)
    second = asyncio.ensure_future(run(*ECHO, "two"))
    await forward(TIMEOUT_SECONDS / 2)
    with pytest.raises(ValkeyTimeoutError):
        await first
    way.mend()
    assert await second == b"two"
    assert await run("CLIENT", "ID") != number, "that connection may never say anything more"


async def test_what_waits_when_the_client_is_closed_connects_no_more(
    client: Valkey, way: Way, forward: Forward
) -> None:
    run = runner_of(client)
    assert await run(*ECHO, "one") == b"one"
    way.hold()
    left = asyncio.ensure_future(run(*ECHO, "two"))
    await forward(TIMEOUT_SECONDS / 2)
    later = asyncio.ensure_future(run(*ECHO, "three"))
    await forward(TIMEOUT_SECONDS / 2)
    with pytest.raises(ValkeyTimeoutError):
        await left
    await client.aclose()
    with pytest.raises(ValkeyConnectionError):
        await later
    gc.collect()


async def test_a_client_that_is_closed_while_it_connects_leaves_nothing_open(hasty: Valkey, way: Way) -> None:
    way.hold()
    asking = asyncio.ensure_future(runner_of(hasty)(*ECHO, "one"))
    await asyncio.sleep(0.05)
    await hasty.aclose()
    with pytest.raises((ValkeyConnectionError, ValkeyTimeoutError)):
        await asking
    # What is left open warns when it goes, which fails this test.
    gc.collect()


async def test_a_replica_that_was_the_primary_is_left(client: Valkey, way: Way) -> None:
    run = runner_of(client)
    readonly = "redis.call('INCR', KEYS[1]) return redis.error_reply('READONLY You can not write against a replica.')"
    first = await run("CLIENT", "ID")
    replies = await asyncio.gather(*(run("EVAL", readonly, 1, "tries") for _ in range(3)), return_exceptions=True)
    assert [type(reply) for reply in replies] == [ReadOnlyError] * 3
    assert await run("EVAL", "return {redis.call('GET', KEYS[1]), redis.call('DEL', KEYS[1])}", 1, "tries") == [b"6", 1]
    assert await run("CLIENT", "ID") not in (first, first + 1), "each was asked once more, over another connection"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    return cert, key


def test_over_tls_too(engines: RunningEngines, certificate: tuple[Path, Path]) -> None:
    """On uvloop as in the product: a transport of TLS is another one than that of a socket."""
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(engines.socket_folder / "valkey.sock")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def ask() -> None:
        server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        client = open_valkey(f"valkeys://127.0.0.1:{port}/0?ssl_ca_certs={cert}", timeout_seconds=5)
        run = runner_of(client)
        big = b"x" * 1_000_000
        try:
            assert await asyncio.gather(run(*ECHO, big), run(*ECHO, "small")) == [big, b"small"]
            await client.aclose()
            assert await run(*ECHO, "again") == b"again"
        finally:
            await client.aclose()
            server.close()
            # Until both ends of what it passed on are closed.
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others, timeout=5)

    uvloop.run(ask())


async def test_a_client_that_was_closed_has_no_connection_and_may_be_used_again(
    client: Valkey, engines: RunningEngines
) -> None:
    run = runner_of(client)
    number = await run("CLIENT", "ID")
    async with Valkey.from_url(f"unix://{engines.socket_folder / 'valkey.sock'}") as other:
        assert str(number) in {one["id"] for one in await other.client_list()}
        await client.aclose()
        async with asyncio.timeout(5):
            while str(number) in {one["id"] for one in await other.client_list()}:
                await asyncio.sleep(0.01)
    assert await run(*ECHO, "again") == b"again"
