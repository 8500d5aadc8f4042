"""The core on a primary that Sentinels watch: its clients find whoever takes its place."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from grandstand.storage.event_stream import HIGH
from grandstand.storage.valkey import open_valkey, runner_of
from tests.cluster.replicated import open_replicated_core
from tests.support.core import NOON, Core, core_database_url, event
from tests.support.proxy import open_proxy
from tests.support.valkey_sentinel import SERVICE, Watched, running_sentinels
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
__all__ = ["core_database_url"]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with running_sentinels() as running:
        yield running


@pytest.fixture
async def core(watched: Watched, core_database_url: str, valkey_prefix: str) -> AsyncIterator[Core]:
    async with open_replicated_core(core_database_url, watched.url, valkey_prefix) as opened:
        yield opened


async def test_a_sentinel_that_was_away_while_many_looked_for_the_primary_is_asked_again(watched: Watched) -> None:
    async with open_proxy(watched.ports[0]) as first, open_proxy(watched.ports[1]) as second:
        first.cut()
        url = f"valkey+sentinel://127.0.0.1:{first.port},127.0.0.1:{second.port}/{SERVICE}"
        client = open_valkey(url, timeout_seconds=5)
        try:
            assert all(await asyncio.gather(*(client.ping() for _ in range(20))))
            first.mend()
            second.cut()
            await client.connection_pool.disconnect()
            assert await client.ping()
        finally:
            await client.aclose()


async def test_scripts_are_run_before_anything_else_is_asked(watched: Watched) -> None:
    """The pool, which learns the primary's address meanwhile, closes what is idle then; the line is just being made."""
    client = open_valkey(watched.url, timeout_seconds=5)
    try:
        run = runner_of(client)
        assert await asyncio.gather(*(run("EVAL", "return ARGV[1]", 0, b"%d" % n) for n in range(3))) == [
            b"0",
            b"1",
            b"2",
        ]
    finally:
        await client.aclose()


async def test_a_fail_over_loses_nothing_and_is_over_without_anybodys_help(core: Core, watched: Watched) -> None:
    await core.define("board")
    ranked = [event(f"user-{number}", payload={"score": number}) for number in range(10)]
    await core.apply(*ranked)
    acknowledged = [event(f"user-{number}", payload={"score": 100 - number}) for number in range(20)]
    for one in acknowledged:
        await core.stream.append([one], [], NOON)
    struck = watched.primary
    struck.kill()

    async def takes() -> bool:
        await core.stream.append([event("later", payload={"score": 1})], [], NOON)
        return True

    await eventually_async(takes, 60, what="a replica has taken over, and the other one follows it")

    assert watched.primary is not struck
    blocks = await core.stream.read("worker", HIGH, 100)
    assert sum(block.events for block in blocks) >= len(acknowledged)
    await core.applier.apply(blocks)
    await core.stream.acknowledge(blocks)
    assert (await core.stream.depth()).depth == 0
    assert await core.walk("board") == await core.computed("board")
    assert len(await core.walk("board")) == len(acknowledged) + 1
