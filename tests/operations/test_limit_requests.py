"""The limiter itself, over a Valkey that goes away, hangs and comes back."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from valkey.asyncio import Valkey

from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.operations import limit_requests
from grandstand.operations.limit_requests import PATIENCE_SECONDS, RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.settings import load_settings
from grandstand.storage.rate_limits import RateLimitStore
from grandstand.storage.valkey import open_valkey
from tests.support.engines import RunningEngines
from tests.support.proxy import Proxy
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
NONE = RateLimits.of(load_settings(rate_limit_player_requests=0))


def limit(quota: int, window_seconds: int = 60, block_seconds: int = 60) -> RateLimit:
    return RateLimit("default", "tests", quota, window_seconds, block_seconds)


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Valkey]:
    client = open_valkey(valkey_url, timeout_seconds=5)
    yield client
    await client.aclose()


@asynccontextmanager
async def limiters(valkey: Valkey, prefix: str, count: int) -> AsyncIterator[list[RateLimiter]]:
    """As many as there are processes."""
    made = [RateLimiter(RateLimitStore(valkey, prefix), NONE) for _ in range(count)]
    yield made
    for limiter in made:
        await limiter.close()


async def judge(limiter: RateLimiter, of: RateLimit, name: str = "ann", units: int = 1) -> Verdict:
    judgement = limiter.judge(of, name, units)
    return await judgement if inspect.isawaitable(judgement) else judgement


@pytest.mark.parametrize("quota", [3, 200, 1000])
@pytest.mark.parametrize("at_once", [1, 8, 64])
async def test_four_processes_admit_the_quota(
    valkey: Valkey, valkey_prefix: str, quota: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A disk that is busy with other tests is no Valkey that is away.
    monkeypatch.setattr(limit_requests, "PATIENCE_SECONDS", 30.0)
    of, admitted = limit(quota), 0

    async def ask(limiter: RateLimiter) -> None:
        nonlocal admitted
        for _ in range(quota // at_once + 2):
            verdicts = await asyncio.gather(*(judge(limiter, of) for _ in range(at_once)))
            admitted += sum(verdict.is_admitted for verdict in verdicts)

    async with limiters(valkey, valkey_prefix, 4) as processes:
        await asyncio.gather(*map(ask, processes))
        verdict = await judge(processes[0], of)
    assert abs(admitted - quota) <= quota * 0.02
    assert not verdict.is_admitted
    assert 55 <= verdict.reset_seconds <= 60


async def test_another_process_hears_of_what_was_admitted_at_once(valkey: Valkey, valkey_prefix: str) -> None:
    of = limit(10_000)
    async with limiters(valkey, valkey_prefix, 2) as (one, other):
        for _ in range(of.eager_units):
            assert isinstance(one.judge(of, "ann"), Verdict), "far from the limit nobody waits"
        assert not isinstance(one.judge(of, "ann"), Verdict)
        await eventually_async(lambda: judged_remaining(other, of, 10_000 - of.eager_units - 10))


async def judged_remaining(limiter: RateLimiter, of: RateLimit, at_most: int) -> bool:
    return (await judge(limiter, of)).remaining <= at_most


async def test_units_that_do_not_fit_are_not_spent_without_a_block(valkey: Valkey, valkey_prefix: str) -> None:
    of = limit(10, block_seconds=0)
    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert (await judge(limiter, of, units=8)).is_admitted
        assert not (await judge(limiter, of, units=5)).is_admitted
        assert (await judge(limiter, of, units=2)).is_admitted
        assert not (await judge(limiter, of)).is_admitted


@asynccontextmanager
async def over_a_proxy(engines: RunningEngines) -> AsyncIterator[tuple[Proxy, Valkey]]:
    proxy = Proxy(Path(urlsplit(engines.valkey_url).path))
    await proxy.start()
    client = open_valkey(f"valkey://127.0.0.1:{proxy.port}/0", timeout_seconds=1)
    try:
        yield proxy, client
    finally:
        proxy.release()
        await client.aclose()
        await proxy.stop()


@pytest.mark.parametrize("how", ["cut", "hang"])
async def test_without_valkey_a_process_counts_for_itself(
    engines: RunningEngines, valkey_prefix: str, how: str
) -> None:
    of = limit(20)
    async with over_a_proxy(engines) as (proxy, client), limiters(client, valkey_prefix, 1) as (limiter,):
        for _ in range(5):
            assert (await judge(limiter, of)).is_admitted
        proxy.cut() if how == "cut" else proxy.hold()
        began_at = time.monotonic()
        admitted = sum([(await judge(limiter, of)).is_admitted for _ in range(40)])
        waited_seconds = time.monotonic() - began_at
        assert limiter.is_local
        # What was known counts, so the door is not open; and others come in, so it is not shut.
        assert admitted == 15
        assert not (await judge(limiter, of)).is_admitted
        assert (await judge(limiter, of, "bob")).is_admitted
        # One request waited, not each of them.
        assert waited_seconds < 10 * PATIENCE_SECONDS
        proxy.mend() if how == "cut" else proxy.release()

        async def is_shared_again() -> bool:
            await judge(limiter, of, "cid")
            return not limiter.is_local

        await eventually_async(is_shared_again)
        assert not (await judge(limiter, of)).is_admitted, "who was blocked meanwhile stays so"


async def test_what_was_admitted_alone_is_told_afterwards(
    engines: RunningEngines, valkey: Valkey, valkey_prefix: str
) -> None:
    of = limit(1000)
    async with (
        over_a_proxy(engines) as (proxy, client),
        limiters(client, valkey_prefix, 1) as (limiter,),
        limiters(valkey, valkey_prefix, 1) as (other,),
    ):
        assert (await judge(limiter, of)).is_admitted
        proxy.cut()
        for _ in range(300):
            assert (await judge(limiter, of)).is_admitted
        proxy.mend()
        await eventually_async(lambda: judged_remaining(other, of, 700))
