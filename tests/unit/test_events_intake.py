"""Group commit: what shares a write, what fails with it, and what does not."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

import pytest

from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.domain.events import Event
from grandstand.operations import accept_events, write_pace
from grandstand.operations.accept_events import EventIntake
from grandstand.settings import Settings

pytestmark = pytest.mark.anyio
DEADLINE_SECONDS = 30.0


class Stream:
    """A stream whose writes wait until the test lets them go."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.began = asyncio.Semaphore(0)
        self.may_end = asyncio.Semaphore(0)
        self.problem: Exception | None = None

    async def append(
        self, high: Sequence[Event], low: Sequence[Event], received_at: datetime, traces: tuple[bytes, bytes]
    ) -> None:
        self.writes.append([event.user_id for event in [*high, *low]])
        self.began.release()
        await self.may_end.acquire()
        if self.problem is not None:
            raise self.problem


def body(*users: str) -> bytes:
    return json.dumps([{"event_type": "t", "user_id": user} for user in users]).encode()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def intake(stream: Stream) -> EventIntake:
    return EventIntake(stream, Settings(), dict)


async def hand_in(intake: EventIntake, *users: str) -> "asyncio.Task[accept_events.Receipt]":
    task = asyncio.create_task(intake.accept(body(*users)))
    await asyncio.sleep(0)
    return task


async def test_requests_that_arrive_during_a_write_share_the_next(intake: EventIntake, stream: Stream) -> None:
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    others = [await hand_in(intake, user) for user in "bcd"]
    assert not first.done()
    stream.may_end.release()
    await first
    assert not any(task.done() for task in others)
    stream.may_end.release()
    assert [receipt.accepted for receipt in await asyncio.gather(*others)] == [1, 1, 1]
    assert stream.writes == [["a"], ["b", "c", "d"]]


async def test_a_request_right_after_the_last_write_is_written_too(intake: EventIntake, stream: Stream) -> None:
    for _ in range(50):
        stream.may_end.release()
        await asyncio.wait_for(intake.accept(body("a")), DEADLINE_SECONDS)
    assert len(stream.writes) == 50


async def test_a_failed_write_refuses_what_waits_behind_it_and_the_next_finds_out(
    intake: EventIntake, stream: Stream
) -> None:
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    second = await hand_in(intake, "b")
    stream.problem = UnavailableError("away", retry_after=3)
    stream.may_end.release()
    for refused in (first, second):
        with pytest.raises(UnavailableError) as caught:
            await refused
        assert caught.value.retry_after == 3
    assert stream.writes == [["a"]], "nothing of what was refused is sent"
    stream.problem = None
    stream.may_end.release()
    assert (await intake.accept(body("c"))).accepted == 1


async def test_a_full_stream_refuses_only_what_was_sent(intake: EventIntake, stream: Stream) -> None:
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    second = await hand_in(intake, "b")
    stream.problem = StreamFullError("full")
    stream.may_end.release()
    with pytest.raises(StreamFullError):
        await first
    await stream.began.acquire()
    stream.problem = None
    stream.may_end.release()
    assert (await second).accepted == 1


async def test_an_unexpected_failure_reaches_the_requests(intake: EventIntake, stream: Stream) -> None:
    stream.problem = ZeroDivisionError()
    stream.may_end.release()
    with pytest.raises(ZeroDivisionError):
        await intake.accept(body("a"))


async def test_a_cancelled_request_harms_no_other(intake: EventIntake, stream: Stream) -> None:
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    gone, stays = await hand_in(intake, "gone"), await hand_in(intake, "stays")
    gone.cancel()
    first.cancel()
    stream.may_end.release()
    stream.may_end.release()
    assert (await stays).accepted == 1
    assert stream.writes == [["a"], ["stays"]]
    for task in (first, gone):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_who_cannot_be_told_harms_no_other(intake: EventIntake, stream: Stream) -> None:
    told: list[object] = []

    def fail(problem: Exception | None) -> None:
        told.append("failed")
        raise ZeroDivisionError

    first = await hand_in(intake, "a")
    await stream.began.acquire()
    for user, tell in (("b", fail), ("c", told.append)):
        intake.hand_in(intake.judge(body(user)), tell)
    last = await hand_in(intake, "d")
    stream.may_end.release()
    await first
    await stream.began.acquire()
    assert told == [], "nobody is told before the write has ended"
    stream.may_end.release()
    assert (await last).accepted == 1
    assert told == ["failed", None]
    assert stream.writes == [["a"], ["b", "c", "d"]]


async def test_the_next_write_begins_before_the_last_is_told_of(intake: EventIntake, stream: Stream) -> None:
    """The answers are written while the stream syncs what came meanwhile."""
    writes_when_told: list[int] = []
    for user in "ab":
        intake.hand_in(intake.judge(body(user)), lambda _: writes_when_told.append(len(stream.writes)))
        await asyncio.sleep(0)
    stream.may_end.release()
    stream.may_end.release()
    await intake.close()
    await asyncio.sleep(0)
    assert stream.writes == [["a"], ["b"]]
    assert writes_when_told == [2, 2]


async def test_a_group_is_bounded(intake: EventIntake, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept_events, "GROUP_EVENTS_MAX", 3)
    tasks = [await hand_in(intake, user, user) for user in "abc"]
    for _ in tasks:
        stream.may_end.release()
    await asyncio.gather(*tasks)
    assert sorted(stream.writes) == [["a", "a"], ["b", "b"], ["c", "c"]]


async def test_too_much_waiting_is_refused_at_once(
    intake: EventIntake, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept_events, "WAITING_EVENTS_MAX", 2)
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    second = await hand_in(intake, "b")
    with pytest.raises(UnavailableError) as caught:
        await intake.accept(body("c", "d"))
    assert caught.value.retry_after == accept_events.RETRY_AFTER_SECONDS
    stream.may_end.release()
    stream.may_end.release()
    await asyncio.gather(first, second)


@pytest.fixture
async def loaded(intake: EventIntake, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> EventIntake:
    """An intake to which much came at one time, and that lets others gather for minutes now.

    How long depends on how long it was between the two writes, which another process may draw out.
    """
    monkeypatch.setattr(write_pace, "PAUSE_SECONDS_MAX", 3_600.0)
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    others = [await hand_in(intake, "b") for _ in range(10)]
    for _ in range(2):
        stream.may_end.release()
    await asyncio.gather(first, *others)
    await stream.began.acquire()
    stream.writes.clear()
    return intake


async def test_where_much_comes_small_writes_wait_for_more(loaded: EventIntake, stream: Stream) -> None:
    waiting = [await hand_in(loaded, "c") for _ in range(accept_events.SHARING_REQUESTS - 1)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert stream.writes == []
    waiting.append(await hand_in(loaded, "d"))
    stream.may_end.release()
    await asyncio.gather(*waiting)
    assert stream.writes == [["c"] * 15 + ["d"]]


async def test_what_gathers_is_written_when_the_time_is_over(
    loaded: EventIntake, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded._pace, "next_at", asyncio.get_running_loop().time() + 0.05)
    # In one turn of the loop, for the time may be over in the next one.
    waiting = [asyncio.create_task(loaded.accept(body(user))) for user in "cd"]
    stream.may_end.release()
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_SECONDS)
    assert stream.writes == [["c", "d"]]


async def test_what_a_write_leaves_does_not_wait_for_another_that_hangs(
    intake: EventIntake, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_pace, "PAUSE_SECONDS_MAX", 0.05)
    first = await hand_in(intake, "a")
    await stream.began.acquire()
    hanging = [await hand_in(intake, "b") for _ in range(accept_events.SHARING_REQUESTS)]
    await stream.began.acquire()
    left = await hand_in(intake, "c")
    stream.may_end.release()
    await first
    await asyncio.wait_for(stream.began.acquire(), DEADLINE_SECONDS)
    assert stream.writes == [["a"], ["b"] * len(hanging), ["c"]]
    for _ in range(2):
        stream.may_end.release()
    await asyncio.gather(*hanging, left)


async def test_close_waits_for_nobody_else_to_come(loaded: EventIntake, stream: Stream) -> None:
    task = await hand_in(loaded, "c")
    stream.may_end.release()
    await asyncio.wait_for(loaded.close(), DEADLINE_SECONDS)
    await task
    assert stream.writes == [["c"]]


async def test_close_waits_for_what_came_during_a_write_that_others_follow_after_a_moment(
    loaded: EventIntake, stream: Stream
) -> None:
    first = [await hand_in(loaded, "c") for _ in range(accept_events.SHARING_REQUESTS)]
    await stream.began.acquire()
    later = await hand_in(loaded, "d")
    closing = asyncio.create_task(loaded.close())
    stream.may_end.release()
    stream.may_end.release()
    await asyncio.wait_for(closing, DEADLINE_SECONDS)
    assert stream.writes == [["c"] * len(first), ["d"]]
    await asyncio.gather(*first, later)


async def test_close_waits_for_what_is_handed_in(intake: EventIntake, stream: Stream) -> None:
    task = await hand_in(intake, "a")
    closing = asyncio.create_task(intake.close())
    await stream.began.acquire()
    assert not closing.done()
    stream.may_end.release()
    await closing
    assert task.done()


async def test_lines_know_no_age_and_are_counted_from_zero(intake: EventIntake, stream: Stream) -> None:
    stream.may_end.release()
    lines = [
        b'{"event_type":"t","user_id":"a","occurred_at":"2001-01-01T00:00:00Z"}',
        b"nope",
        b'{"event_type":"t","user_id":"b","occurred_at":"2101-01-01T00:00:00Z"}',
        b'{"event_type":"t","user_id":"c"},{"event_type":"t","user_id":"d"}',
    ]
    receipt = await intake.accept_lines(lines)
    assert receipt.accepted == 2
    assert [(each.index, each.code) for each in receipt.rejected] == [(1, "invalid_event"), (3, "invalid_event")]
