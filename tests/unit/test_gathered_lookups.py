"""Look-ups share calls: all of a turn, then those that come while a call is under way, which delays nobody for long.

As many as are worth a call do not wait for it.
"""

import asyncio
from collections.abc import Sequence

import pytest

from grandstand.storage.gathered_lookups import (
    CALL_WEIGHT_MAX,
    CALLS_AT_ONCE,
    LINGER_SECONDS,
    LOOK_UP_WEIGHT,
    GatheredLookups,
)
from tests.support.loop_clock import LoopClock

pytestmark = pytest.mark.anyio
USUAL_MAX = CALL_WEIGHT_MAX // LOOK_UP_WEIGHT


class Engine:
    """Answers with what it was asked, once the test lets it; remembers its calls."""

    def __init__(self, apart_seconds: float = 0.0) -> None:
        self.calls: list[Sequence[str]] = []
        self.gates: list[asyncio.Event] = []
        self.is_slow = False
        self.lookups: GatheredLookups[str, str, str] = GatheredLookups(self.ask, apart_seconds=apart_seconds)

    async def ask(self, place: str, asked: Sequence[str]) -> dict[str, str]:
        self.calls.append(asked)
        self.gates.append(asyncio.Event())
        if self.is_slow:
            await self.gates[-1].wait()
        if "bad" in asked:
            raise ZeroDivisionError
        return {each: f"{place} {each}" for each in asked}

    async def begun(self, calls: int) -> None:
        async with asyncio.timeout(10):
            while len(self.calls) < calls:
                await asyncio.sleep(0)


@pytest.fixture
async def loop_clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(monkeypatch)


async def test_all_of_a_turn_share_a_call_and_one_question_is_asked_once() -> None:
    engine = Engine()
    asked = [engine.lookups.find("a", name) for name in ("x", "y", "x")]
    assert await asyncio.gather(*asked, engine.lookups.find("b", "x")) == ["a x", "a y", "a x", "b x"]
    assert engine.calls == [["x", "y"], ["x"]]


async def test_who_comes_while_a_call_is_under_way_leaves_when_it_is_back() -> None:
    engine = Engine()
    engine.is_slow = True
    first = engine.lookups.find("a", "first")
    await engine.begun(1)
    late = [engine.lookups.find("a", name) for name in ("x", "y")]
    engine.is_slow = False
    engine.gates[0].set()
    assert await asyncio.gather(first, *late) == ["a first", "a x", "a y"]
    assert engine.calls == [["first"], ["x", "y"]]


async def test_a_call_that_does_not_come_back_delays_nobody_for_long(loop_clock: LoopClock) -> None:
    engine = Engine()
    engine.is_slow = True
    stuck = engine.lookups.find("a", "stuck")
    await engine.begun(1)
    engine.is_slow = False
    late = engine.lookups.find("a", "late")
    await loop_clock.let_pass(LINGER_SECONDS / 2)
    assert engine.calls == [["stuck"]]
    await loop_clock.let_pass(LINGER_SECONDS)
    assert await late == "a late"
    assert not stuck.done()
    engine.gates[0].set()
    assert await stuck == "a stuck"


async def test_calls_that_may_wait_lie_apart_and_take_who_came_meanwhile(loop_clock: LoopClock) -> None:
    apart_seconds = 10 * LINGER_SECONDS
    engine = Engine(apart_seconds)
    # The first of a place, and of another one, wait for nobody: no time passes.
    assert await engine.lookups.find("a", "first") == "a first"
    late = [engine.lookups.find("a", "x")]
    assert await engine.lookups.find("b", "elsewhere") == "b elsewhere"
    await loop_clock.let_pass(0.9 * apart_seconds)
    late.append(engine.lookups.find("a", "y"))
    await loop_clock.let_pass(0.0)
    assert engine.calls == [["first"], ["elsewhere"]]
    await loop_clock.let_pass(0.2 * apart_seconds)
    assert await asyncio.gather(*late) == ["a x", "a y"]
    assert engine.calls == [["first"], ["elsewhere"], ["x", "y"]]


async def test_a_call_takes_so_much_and_the_rest_takes_another() -> None:
    engine = Engine()
    names = [str(number) for number in range(USUAL_MAX + 3)]
    assert await asyncio.gather(*(engine.lookups.find("a", name) for name in names)) == [f"a {name}" for name in names]
    assert [len(call) for call in engine.calls] == [USUAL_MAX, 3]


async def test_a_failure_reaches_all_who_share_it_and_nobody_else() -> None:
    engine = Engine()
    asked = [engine.lookups.find("a", name) for name in ("bad", "good")]
    for each in asked:
        with pytest.raises(ZeroDivisionError):
            await each
    assert await engine.lookups.find("a", "good") == "a good"


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    engine = Engine()
    gone, here = engine.lookups.find("a", "gone"), engine.lookups.find("a", "here")
    gone.cancel()
    assert await here == "a here"


async def test_each_is_told_once_and_never_at_once_whatever_the_others_do() -> None:
    engine = Engine()
    told: list[object] = []

    def fail(found: str | None, error: BaseException | None) -> None:
        told.append(("failing", found, error))
        raise ZeroDivisionError

    def note(found: str | None, error: BaseException | None) -> None:
        told.append((found, type(error)))

    engine.lookups.tell("a", "x", fail)
    engine.lookups.tell("a", "y", note)
    assert told == []
    assert await engine.lookups.find("a", "z") == "a z"
    assert told == [("failing", "a x", None), ("a y", type(None))]
    engine.lookups.tell("a", "bad", note)
    engine.lookups.tell("a", "w", note)
    with pytest.raises(ZeroDivisionError):
        await engine.lookups.find("a", "v")
    assert told[2:] == [(None, ZeroDivisionError)] * 2
    assert engine.calls == [["x", "y", "z"], ["bad", "w", "v"]]


class Line:
    """Takes what it is asked at once, as a connection does, and answers a call when the test says so."""

    def __init__(self, worth: int) -> None:
        self.calls: list[Sequence[str]] = []
        self.answers: list[asyncio.Future[dict[str, str]]] = []
        self.is_broken = False
        self.lookups: GatheredLookups[str, str, str] = GatheredLookups(self.ask, early_weight=worth * LOOK_UP_WEIGHT)

    def ask(self, _: str, asked: Sequence[str]) -> "asyncio.Future[dict[str, str]]":
        if self.is_broken:
            raise ZeroDivisionError
        self.calls.append(asked)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def find(self, *names: str) -> "list[asyncio.Future[str]]":
        return [self.lookups.find("a", name) for name in names]

    def answer(self, number: int) -> None:
        self.answers[number].set_result({each: f"found {each}" for each in self.calls[number]})


async def test_as_many_as_are_worth_a_call_leave_at_once_but_not_in_ever_more_calls() -> None:
    line = Line(worth=2)
    first = line.find(*"abcde")
    assert line.calls == [["a", "b"], ["c", "d"]]
    assert len(line.calls) == CALLS_AT_ONCE
    late = line.find("f", "g")
    assert len(line.calls) == CALLS_AT_ONCE
    line.answer(0)
    assert await asyncio.gather(*first[:2]) == ["found a", "found b"]
    # One call is under way yet, and those who gathered are worth another one.
    assert line.calls[CALLS_AT_ONCE:] == [["e", "f", "g"]]
    line.answer(2)
    line.answer(1)
    assert await asyncio.gather(*first[2:], *late) == [f"found {each}" for each in "cdefg"]


async def test_a_call_that_cannot_begin_fails_for_all_and_the_next_one_begins() -> None:
    line = Line(worth=2)
    line.is_broken = True
    for each in line.find("a", "b"):
        with pytest.raises(ZeroDivisionError):
            await each
    line.is_broken = False
    found = line.find("c", "d")
    line.answer(0)
    assert await asyncio.gather(*found) == ["found c", "found d"]
