"""The limiter itself, over a Valkey that goes away, hangs and comes back."""

import asyncio
import gc
import inspect
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from valkey.asyncio import Valkey

from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.operations import limit_requests, limited_subjects
from grandstand.operations.limit_requests import PATIENCE_SECONDS, RateLimiter
from grandstand.operations.limited_subjects import SUBJECTS_MAX, Subject
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


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is busy with other tests is no Valkey that is away."""
    monkeypatch.setattr(limit_requests, "PATIENCE_SECONDS", 30.0)


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
async def test_four_processes_admit_the_quota(valkey: Valkey, valkey_prefix: str, quota: int, at_once: int) -> None:
    of, admitted = limit(quota), 0
    began_at = time.monotonic()

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
    assert 59 - (time.monotonic() - began_at) <= verdict.reset_seconds <= 60


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


async def test_units_that_did_not_suffice_are_there_for_other_processes(valkey: Valkey, valkey_prefix: str) -> None:
    of = limit(10, block_seconds=0)
    async with limiters(valkey, valkey_prefix, 2) as (one, other):
        assert (await judge(one, of, units=8)).is_admitted
        assert not (await judge(other, of, units=5)).is_admitted

        async def is_given_back() -> bool:
            return int(await valkey.get(RateLimitStore(valkey, valkey_prefix).key(of, "ann")) or 0) == 8

        await eventually_async(is_given_back)
        assert (await judge(one, of, units=2)).is_admitted


async def test_who_is_blocked_is_told_that_nothing_is_left(valkey: Valkey, valkey_prefix: str) -> None:
    of = limit(10)
    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert (await judge(limiter, of, units=8)).remaining == 2
        for _ in range(2):
            verdict = await judge(limiter, of, units=5)
            assert (verdict.is_admitted, verdict.remaining) == (False, 0)


@asynccontextmanager
async def over_a_proxy(engines: RunningEngines) -> AsyncIterator[tuple[Proxy, Valkey]]:
    proxy = Proxy(Path(urlsplit(engines.valkey_url).path))
    await proxy.start()
    client = open_valkey(f"valkey://127.0.0.1:{proxy.port}/0", timeout_seconds=1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Here it goes away.
            patch.setattr(limit_requests, "PATIENCE_SECONDS", PATIENCE_SECONDS)
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
        admitted = waits = 0
        for _ in range(40):
            judgement = limiter.judge(of, "ann")
            waits += not isinstance(judgement, Verdict)
            admitted += (judgement if isinstance(judgement, Verdict) else await judgement).is_admitted
        assert limiter.is_local
        # What was known counts, so the door is not open; and others come in, so it is not shut.
        assert admitted == 15
        assert not (await judge(limiter, of)).is_admitted
        assert (await judge(limiter, of, "bob")).is_admitted
        assert waits < 10, "one request waited, not each of them"
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


async def test_a_call_that_fails_puts_nothing_into_a_window_that_began_meanwhile(
    engines: RunningEngines, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=time.monotonic)
    monkeypatch.setattr(limit_requests, "time", clock)
    monkeypatch.setattr(limit_requests, "RETRY_SECONDS", 0.01)
    of = limit(20)
    async with over_a_proxy(engines) as (proxy, client), limiters(client, valkey_prefix, 1) as (limiter,):
        proxy.cut()
        for _ in range(18):
            assert (await judge(limiter, of)).is_admitted
        # The next call tells of these 18, and hangs until their window is over.
        proxy.hold()
        proxy.mend()
        await eventually_async(lambda: proxy.connections)
        clock.monotonic = lambda: time.monotonic() + 61
        assert (await judge(limiter, of)).remaining == 19
        proxy.cut()
        before = proxy.refused
        await eventually_async(lambda: proxy.refused > before, what="another call was tried")
        assert (await judge(limiter, of)).remaining == 18


async def test_few_units_of_a_known_window_are_told_together(
    valkey: Valkey, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_requests, "TELL_SECONDS", 0.01)
    monkeypatch.setattr(limit_requests, "TELL_FEW_SECONDS", 3600.0)
    of = limit(10_000)
    key = RateLimitStore(valkey, valkey_prefix).key(of, "ann")

    async def is_told(units: int) -> bool:
        return int(await valkey.get(key) or 0) == units

    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert limiter.admit_at_once(of, "ann")
        await eventually_async(lambda: is_told(1))
        assert limiter.admit_at_once(of, "ann"), "few units of a window that is known can wait"
        assert limiter.admit_at_once(of, "bob")
        await eventually_async(lambda: judged_units(valkey, valkey_prefix, of, "bob"))
        assert await is_told(1)
        assert limiter.admit_at_once(of, "ann", of.told_soon_units)
        await eventually_async(lambda: is_told(2 + of.told_soon_units))


async def judged_units(valkey: Valkey, prefix: str, of: RateLimit, name: str) -> bool:
    return bool(await valkey.exists(RateLimitStore(valkey, prefix).key(of, name)))


async def test_what_is_left_over_of_a_window_is_not_counted_in_the_next(valkey: Valkey, valkey_prefix: str) -> None:
    of = limit(1000, window_seconds=1, block_seconds=0)
    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert (await judge(limiter, of, units=990)).is_admitted
        ends_in = (await judge(limiter, of)).reset_seconds
        assert ends_in == 1

        async def is_new() -> bool:
            return (await judge(limiter, of)).remaining > 900

        await eventually_async(is_new)
        # The units in which the new window was looked for, and none of the 990 and more of the one that ended.
        assert (await judge(limiter, of, units=900)).is_admitted


async def test_nobody_is_kept_out_for_longer_than_the_limit_says(valkey: Valkey, valkey_prefix: str) -> None:
    """A clock that goes back leaves counts whose end is far away."""
    of = limit(5, block_seconds=30)
    async with limiters(valkey, valkey_prefix, 2) as (one, other):
        for _ in range(6):
            await judge(one, of)
        await valkey.pexpire(RateLimitStore(valkey, valkey_prefix).key(of, "ann"), 3_600_000)
        verdict = await judge(other, of)
    assert not verdict.is_admitted
    assert verdict.reset_seconds <= 60


async def test_many_addresses_make_no_process_grow_while_valkey_is_away(
    engines: RunningEngines, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_subjects, "SUBJECTS_MAX", 200)
    monkeypatch.setattr(limit_requests, "NOTED_MAX", 300)
    of = limit(1000)
    async with over_a_proxy(engines) as (proxy, client), limiters(client, valkey_prefix, 1) as (limiter,):
        proxy.cut()
        await judge(limiter, of, units=100)
        assert limiter.is_local
        for number in range(5_000):
            assert (await judge(limiter, of, f"address-{number}")).is_admitted
        gc.collect()
        known = sum(type(each) is Subject and each.limit is of for each in gc.get_objects())
    assert 0 < known <= 200 + 300 + limit_requests.CALL_SUBJECTS_MAX


async def judge_all(limiter: RateLimiter, of: RateLimit, names: Sequence[str]) -> int:
    """Ask for a unit of each, as they come to a process that has much to do; return how many were admitted."""
    verdicts: list[Verdict] = []
    for start in range(0, len(names), 1000):
        verdicts += await asyncio.gather(*(judge(limiter, of, name) for name in names[start : start + 1000]))
    return sum(verdict.is_admitted for verdict in verdicts)


async def test_whoever_has_more_addresses_than_are_remembered_gets_no_more_of_each(
    valkey: Valkey, valkey_prefix: str
) -> None:
    of = limit(200, window_seconds=600, block_seconds=600)
    many = [f"address-{number}" for number in range(SUBJECTS_MAX + 6_000)]
    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert (await judge(limiter, of, "spent", units=200)).is_admitted
        assert (await judge(limiter, of, "half", units=100)).is_admitted
        assert (await judge(limiter, of, "blocked", units=200)).is_admitted
        assert not (await judge(limiter, of, "blocked")).is_admitted
        for turn, asking in enumerate((many, many[:4_000])):
            assert await judge_all(limiter, of, asking) == len(asking)
            assert not (await judge(limiter, of, "blocked")).is_admitted
            assert (await judge(limiter, of, "half")).remaining == 99 - turn
        # Forgotten before anything of them was told: asked again, it is all there.
        for turn in range(2):
            assert {(await judge(limiter, of, name)).remaining for name in many[:20]} == {197 - turn}
        assert not (await judge(limiter, of, "spent")).is_admitted
        gc.collect()
        known = sum(type(each) is Subject and each.limit is of for each in gc.get_objects())
    assert known <= SUBJECTS_MAX


async def test_who_is_blocked_is_forgotten_last(
    valkey: Valkey, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_subjects, "SUBJECTS_MAX", 40)
    of = limit(200)
    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        assert not (await judge(limiter, of, "blocked", units=201)).is_admitted
        await judge_all(limiter, of, [f"address-{number}" for number in range(200)])
        verdict = limiter.judge(of, "blocked")
    assert isinstance(verdict, Verdict), "refused from memory, so it costs Valkey nothing"
    assert not verdict.is_admitted


async def test_strangers_are_asked_about_only_while_one_may_have_been_here(
    valkey: Valkey, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_subjects, "SUBJECTS_MAX", 40)
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(limit_requests, "time", clock)
    of, names = limit(200, window_seconds=1, block_seconds=1), (f"stranger-{number}" for number in count())

    async def are_over() -> bool:
        return not [key async for key in valkey.scan_iter(f"{valkey_prefix}:*")]

    async with limiters(valkey, valkey_prefix, 1) as (limiter,):
        for _ in range(40):
            assert limiter.admit_at_once(of, next(names)), "nobody was forgotten yet"
        judgement = limiter.judge(of, next(names))
        assert not isinstance(judgement, Verdict)
        assert (await judgement).is_admitted
        await eventually_async(are_over)
        clock.now += 1.1
        assert isinstance(limiter.judge(of, next(names)), Verdict)
