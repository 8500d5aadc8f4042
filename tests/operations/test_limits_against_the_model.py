"""One process's limiter beside a count that anybody could keep: who is let in, what is said to be left, what is told.

Time is the test's own here, also that of Valkey: it stands still but for the steps that move it.
"""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from valkey.asyncio import Valkey

from grandstand.api.limits import Readers
from grandstand.api.services import Services
from grandstand.domain.credentials import ANONYMOUS, Principal
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.operations import limit_requests, limited_subjects
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.settings import load_settings
from grandstand.storage.rate_limits import Charge, Count, RateLimitStore
from grandstand.storage.valkey import open_valkey
from tests.support import waiting
from tests.support.engines import RunningEngines
from tests.support.proxy import Proxy
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

NONE = RateLimits.of(load_settings(rate_limit_player_requests=0))
WINDOW, BLOCK = 60, 90
CLIENT = Principal("client", key_id="key_1")
NAMES = ("198.51.100.1", "198.51.100.2")
WAYS = ("asked", "at once", "reader", "key")
STEPS = st.lists(
    st.one_of(
        # Units as a share of the quota, so that all sizes are of use for all limits; 0 is one unit.
        st.tuples(
            st.just("take"),
            st.sampled_from(NAMES),
            st.sampled_from(WAYS),
            st.sampled_from([0, 0, 0, 0.003, 0.1, 0.45, 0.9]),
            st.integers(1, 8),
        ),
        st.tuples(st.just("burst"), st.sampled_from(NAMES), st.lists(st.sampled_from([0, 0, 0.003, 0.4]), min_size=2)),
        st.tuples(st.just("others"), st.sampled_from(NAMES), st.sampled_from([0, 0.2])),
        # Never in sum what a window or a block lasts.
        st.tuples(st.just("advance"), st.sampled_from([0.7, 22.3, 61.1, 92.9])),
        st.tuples(st.just("crowd"), st.integers(1, 20)),
        st.tuples(st.just("away")),
        st.tuples(st.just("back")),
    ),
    min_size=4,
    max_size=14,
)


@dataclass
class Counted:
    """What there is to know of a subject."""

    units: int = 0
    ends_at: float = 0.0
    is_blocked: bool = False


class StandingStore(RateLimitStore):
    """Counts in Valkey, whose windows and blocks end by the test's time instead of its own."""

    def __init__(
        self, client: Valkey, prefix: str, clock: SimpleNamespace, windows: dict[bytes, tuple[float, bool]]
    ) -> None:
        """`windows`: when each key ends, and whether that is a block."""
        super().__init__(client, prefix)
        self._clock = clock
        self.windows = windows

    async def charge(self, charges: Sequence[Charge]) -> list[Count]:
        return [self._at_the_tests_time(*each) for each in zip(charges, await super().charge(charges), strict=True)]

    def _at_the_tests_time(self, charge: Charge, count: Count) -> Count:
        now, limit = self._clock.now, charge.limit
        ends_at, was_blocked = self.windows.get(charge.key, (now + limit.window_seconds, False))
        is_blocked = count.units > limit.quota
        if is_blocked and not was_blocked:
            ends_at = now + limit.block_seconds
        self.windows[charge.key] = ends_at, is_blocked
        return count._replace(left_seconds=ends_at - now)

    def end_windows(self) -> list[bytes]:
        """Forget and return the keys that have ended."""
        ended = [key for key, (ends_at, _) in self.windows.items() if ends_at <= self._clock.now]
        for key in ended:
            del self.windows[key]
        return ended


@dataclass
class World:
    """A limiter over a Valkey that can go away, and the count beside it."""

    of: RateLimit
    limiter: RateLimiter
    readers: Readers
    store: "StandingStore"
    valkey: Valkey
    proxy: Proxy
    clock: SimpleNamespace
    counted: dict[str, Counted] = field(default_factory=lambda: {name: Counted() for name in NAMES})
    strangers: Any = field(default_factory=count)
    is_away: bool = False

    def now_of(self, name: str) -> Counted:
        """What is counted of a subject, in the window that runs."""
        known = self.counted[name]
        if self.clock.now >= known.ends_at:
            known.units, known.ends_at, known.is_blocked = 0, 0.0, False
        return known

    async def step(self, kind: str, *arguments: Any) -> None:
        await getattr(self, kind)(*arguments)

    async def take(self, name: str, way: str, share: float, times: int) -> None:
        units = max(1, int(self.of.quota * share))
        if way in ("reader", "key"):
            units = 1
        for _ in range(times):
            await self.take_one(name, way, units)

    async def take_one(self, name: str, way: str, units: int) -> None:
        known, of = self.now_of(name), self.of
        fits = not known.is_blocked and known.units + units <= of.quota
        if self.is_away and not fits:
            # Who is blocked by one process alone is not blocked for the others.
            return
        is_admitted, left, seconds = await self.ask(name, way, units)
        assert is_admitted == fits, (known, units)
        if fits:
            known.units += units
            known.ends_at = known.ends_at or self.clock.now + WINDOW
        elif of.block_seconds and not known.is_blocked:
            known.is_blocked, known.ends_at = True, self.clock.now + BLOCK
        assert left == (0 if known.is_blocked else of.quota - known.units)
        assert abs(seconds - (known.ends_at - self.clock.now)) <= 1.5

    async def ask(self, name: str, way: str, units: int) -> tuple[bool, int, int]:
        """Ask for units in a way that need not answer, and then as whoever has to wait; what is left, and how long."""
        if way in ("reader", "key"):
            principal = ANONYMOUS if way == "reader" else CLIENT
            lines = self.readers.admit_at_once(principal, name, b"", self.clock.monotonic())
            if lines is not None:
                found = re.search(rb"r=(-?\d+);t=(\d+)", lines)
                assert found is not None
                return True, int(found[1]), int(found[2])
        verdict = self.limiter.admit_at_once(self.of, name, units) if way == "at once" else None
        if verdict is None:
            verdict = await self.judge(name, units)
        return verdict.is_admitted, verdict.remaining, verdict.reset_seconds

    async def judge(self, name: str, units: int, turns: int = 0) -> Verdict:
        for _ in range(turns):
            # So that some ask while a call is under way.
            await asyncio.sleep(0)
        judgement = self.limiter.judge(self.of, name, units)
        return await judgement if inspect.isawaitable(judgement) else judgement

    async def burst(self, name: str, shares: Sequence[float]) -> None:
        """Ask for much at once: who was first may be decided on last, but never is more let in than the quota."""
        known, of = self.now_of(name), self.of
        wanted = [max(1, int(of.quota * share)) for share in shares]
        fits = not known.is_blocked and known.units + sum(wanted) <= of.quota
        if self.is_away and not fits:
            return
        verdicts = await asyncio.gather(*(self.judge(name, units, 2 * turn) for turn, units in enumerate(wanted)))
        admitted = sum(units for units, verdict in zip(wanted, verdicts, strict=True) if verdict.is_admitted)
        if known.is_blocked:
            assert admitted == 0
            return
        assert known.units + admitted <= of.quota
        assert (admitted == sum(wanted)) == fits
        known.units += admitted
        known.ends_at = known.ends_at or self.clock.now + WINDOW
        if not fits and of.block_seconds:
            known.is_blocked, known.ends_at = True, self.clock.now + BLOCK

    async def others(self, name: str, share: float) -> None:
        """Other processes admit units, of which this one hears while it admits some itself."""
        known, units = self.now_of(name), max(1, int(self.of.quota * share))
        if self.is_away or known.is_blocked or known.units + units + len(NAMES) > self.of.quota * 0.7:
            return
        await self.hear()
        beside = StandingStore(self.valkey, "", self.clock, self.store.windows)
        [told] = await beside.charge([Charge(self.of, self.store.key(self.of, name), 0, units)])
        assert told.granted == units
        verdicts = await asyncio.gather(*(self.judge(name, 1, 3 * turn) for turn in range(len(NAMES))))
        assert all(verdict.is_admitted for verdict in verdicts)
        known.units += units + len(NAMES)
        known.ends_at = known.ends_at or self.clock.now + WINDOW
        await self.hear()

    def take_at_sight(self, name: str) -> bool:
        """Take a unit if nobody has to be asked, without a turn of the event loop."""
        return self.limiter.admit_at_once(self.of, name) is not None

    async def settle(self) -> None:
        """All that was admitted is told, and nothing else."""
        for name in NAMES:
            told = partial(self.is_told, name)
            await eventually_async(told, timeout_seconds=5, what=f"{self.counted[name]} is told")

    async def hear(self) -> None:
        """The process has heard of what it told: one call is under way at a time, and this one is over."""
        await self.settle()
        assert (await self.judge(f"stranger-{next(self.strangers)}", self.of.quota)).is_admitted

    async def is_told(self, name: str) -> bool:
        known = self.now_of(name)
        told = int(await self.valkey.get(self.store.key(self.of, name)) or 0)
        return told > self.of.quota if known.is_blocked else told == known.units

    async def advance(self, seconds: float) -> None:
        if self.is_away:
            return
        await self.hear()
        if seconds > WINDOW:
            # What is admitted in the last moment of a window is told in none.
            for name in NAMES:
                self.take_at_sight(name)
        self.clock.now += seconds
        for key in self.store.end_windows():
            await self.valkey.delete(key)

    async def crowd(self, size: int) -> None:
        """So many others come that somebody has to be forgotten."""
        if not self.is_away:
            names = [f"stranger-{next(self.strangers)}" for _ in range(size)]
            verdicts = [await self.judge(name, 1) for name in names]
            assert all(verdict.is_admitted and verdict.remaining == self.of.quota - 1 for verdict in verdicts)

    async def away(self) -> None:
        if self.is_away:
            return
        for name in NAMES:
            # Who was forgotten begins anew in a process that can ask nobody.
            await self.take_one(name, "asked", 1)
        await self.hear()
        for name in NAMES:
            known = self.now_of(name)
            if self.take_at_sight(name):
                known.units += 1
                known.ends_at = known.ends_at or self.clock.now + WINDOW
        self.is_away = True
        self.proxy.cut()
        assert (await self.judge(f"stranger-{next(self.strangers)}", self.of.quota)).is_admitted
        assert self.limiter.is_local

    async def back(self) -> None:
        self.is_away = False
        self.proxy.mend()
        if self.limiter.is_local:
            await eventually_async(lambda: not self.limiter.is_local, what="counts are shared again")
        await self.settle()


@pytest.fixture
async def make_world(
    engines: RunningEngines, valkey_url: str, valkey_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[RateLimit], World]]:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(limit_requests, "time", clock)
    monkeypatch.setattr(limit_requests, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(limit_requests, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(limit_requests, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(limit_requests, "TELL_SECONDS", 0.003)
    monkeypatch.setattr(limit_requests, "TELL_FEW_SECONDS", 0.0)
    monkeypatch.setattr(limited_subjects, "SUBJECTS_MAX", 12)
    monkeypatch.setattr(waiting, "INTERVAL_SECONDS", 0.002)
    proxy = Proxy(Path(urlsplit(engines.valkey_url).path))
    await proxy.start()
    through, beside = (
        open_valkey(f"valkey://127.0.0.1:{proxy.port}/0", timeout_seconds=5),
        open_valkey(valkey_url, timeout_seconds=5),
    )

    def make(of: RateLimit) -> World:
        store = StandingStore(through, f"{valkey_prefix}-{uuid4().hex[:8]}", clock, {})
        limiter = RateLimiter(store, replace(NONE, anonymous=of, client=of))
        services = SimpleNamespace(limiter=limiter, settings=SimpleNamespace(trusted_proxies=()))
        return World(of, limiter, Readers(cast("Services", services)), store, beside, proxy, clock)

    yield make
    await through.aclose()
    await beside.aclose()
    await proxy.stop()


@settings(max_examples=100, phases=[Phase.generate])
@given(quota=st.sampled_from([3, 200, 400, 2400]), block=st.sampled_from([0, BLOCK]), steps=STEPS)
async def test_a_process_counts_as_anybody_would(
    make_world: Callable[[RateLimit], World], quota: int, block: int, steps: Sequence[tuple[Any, ...]]
) -> None:
    world = make_world(RateLimit("default", "tests", quota, WINDOW, block))
    try:
        for step in steps:
            await world.step(*step)
        await world.back()
    except AssertionError as error:
        error.add_note(f"{quota} {block} {steps}")
        raise
    finally:
        world.proxy.mend()
        await world.limiter.close()
