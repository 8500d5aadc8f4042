"""Reports over many events, which the scheduler counts: right, as old as is said at most, and never in a request."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandstand.domain.errors import InvalidError, UnavailableError
from grandstand.domain.events import Event
from grandstand.operations import count_reports, kept_reports
from grandstand.operations.count_events import EventCounter
from grandstand.operations.kept_reports import KeptReports, ReportKeeper, ReportNotReadyError
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.report_questions import Span
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.leases import LeaseLostError
from grandstand.storage.reports import REPORTS_MAX
from tests.support.core import NOON, Core, block, event, split
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

ZONE = ZoneInfo("America/New_York")
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
SPAN = Span(str(FIRST), str(LAST), ZONE.key)
DAY, GAP = timedelta(days=1), timedelta(minutes=30)
STEPS = ["game_ended", "level_up", "game_ended"]
FUNNEL = msgspec.json.encode({"steps": STEPS, "from": SPAN.from_, "to": SPAN.to, "timezone": SPAN.timezone})
EVENTS = st.lists(
    st.builds(
        lambda user_id, at, event_type, number: event(
            user_id, at=at, event_type=event_type, event_id=UUID(int=number), payload={"n": number % 3}
        ),
        st.sampled_from(["ann", "bob", "cid"]),
        # Days apart, and minutes, around a day whose clocks are set back in New York.
        st.integers(0, 27).map(lambda count: datetime(2026, 11, 1, 4, 50, tzinfo=UTC) + count * DAY)
        | st.integers(0, 120).map(lambda count: datetime(2026, 11, 1, 3, 30, tzinfo=UTC) + timedelta(minutes=count)),
        st.sampled_from(["game_ended", "level_up"]),
        st.integers(1, 2**128 - 1),
    ),
    max_size=20,
    unique_by=lambda item: item.id,
)


def expected(events: Iterable[Event]) -> list[Any]:
    """What the reports say, from the set of events alone."""
    users: dict[str, list[Event]] = defaultdict(list)
    for item in sorted({item.id: item for item in events}.values(), key=lambda item: (item.occurred_at, item.id)):
        users[item.user_id].append(item)
    days = {user: {_day(item.occurred_at) for item in seen} for user, seen in users.items()}
    began = {user: _day(seen[0].occurred_at) for user, seen in users.items()}
    everything = [item for seen in users.values() for item in seen]

    def window(day: date, length: int) -> int:
        return sum(any(day - number * DAY in seen for number in range(length)) for seen in days.values())

    overview = [
        [
            day, window(day, 1), window(day, 7), window(day, 30), sum(first == day for first in began.values()),
            sum(_day(item.occurred_at) == day for item in everything),
            sum(_day(item.occurred_at) == day and item.event_type == "game_ended" for item in everything),
        ]
        for day in _days()
    ]  # fmt: skip
    cohorts = Counter((began[user], str(msgspec.json.decode(seen[0].payload)["n"])) for user, seen in users.items())
    retention = [[day, group, size] for (day, group), size in sorted(cohorts.items()) if FIRST <= day <= LAST]
    sessions: dict[date, list[tuple[str, float]]] = defaultdict(list)
    for user, seen in users.items():
        start = last = seen[0].occurred_at
        for moment in [*(item.occurred_at for item in seen[1:]), datetime.max.replace(tzinfo=UTC)]:
            if moment - last > GAP:
                sessions[_day(start)].append((user, (last - start).total_seconds()))
                start = moment
            last = moment
    kinds = Counter((_day(item.occurred_at), item.event_type) for item in everything)
    by_kind = {key: {i.user_id for i in everything if (_day(i.occurred_at), i.event_type) == key} for key in kinds}
    return [
        overview,
        retention,
        [[day, len(sessions[day]), len({user for user, _ in sessions[day]}), _mean(sessions[day])] for day in _days()],
        [[day, kind, count, len(by_kind[day, kind])] for (day, kind), count in sorted(kinds.items()) if day >= FIRST],
        [sum(_steps(seen) > number for seen in users.values()) for number in range(len(STEPS))],
    ]


def _steps(events: Sequence[Event]) -> int:
    """How far a user came, each step as early as can be."""
    taken, last = 0, datetime.min.replace(tzinfo=UTC)
    for item in events:
        is_in_range = FIRST <= _day(item.occurred_at) <= LAST
        if is_in_range and taken < len(STEPS) and item.event_type == STEPS[taken] and item.occurred_at > last:
            taken, last = taken + 1, item.occurred_at
    return taken


def _mean(found: Sequence[tuple[str, float]]) -> float | None:
    return round(sum(length for _, length in found) / len(found), 1) if found else None


def _day(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


def _days() -> list[date]:
    return [FIRST + number * DAY for number in range((LAST - FIRST).days + 1)]


async def answers(reader: AnalyticsReader) -> list[Any]:
    """What the reports say, in the form of `expected`."""
    overview, retention, sessions, stats, funnel = await asyncio.gather(
        reader.overview(SPAN), reader.retention(SPAN, "n"), reader.sessions(SPAN), reader.stats(SPAN, "day", None),
        reader.funnel(FUNNEL),
    )  # fmt: skip
    return [
        [[row.date, row.dau, row.wau, row.mau, row.new_users, row.events, row.games] for row in overview.days],
        [[row.cohort, row.group, row.size] for row in retention.cohorts],
        [[row.date, row.sessions, row.users, row.mean_seconds] for row in sessions.days],
        [[_day(row.start), row.event_type, row.events, row.users] for row in stats.buckets],
        [row.users for row in funnel.steps],
    ]


def reader_of(core: Core, *, at_once_events_max: int = -1, patience_seconds: float = 0.0) -> AnalyticsReader:
    reports = KeptReports(core.database, core.database, age_max_seconds=600, patience_seconds=patience_seconds)
    return AnalyticsReader(core.database, AnalyticsStore(), reports, at_once_events_max=at_once_events_max)


def keeper_of(core: Core) -> ReportKeeper:
    return ReportKeeper(core.database, asyncio.Event(), age_max_seconds=600)


async def pass_minutes(core: Core, minutes: int) -> None:
    """Let what was counted and asked for be so much older."""
    passed = timedelta(minutes=minutes)
    await core.database.pool.execute("UPDATE reports SET as_of = as_of - $1::interval", passed)


async def ask(core: Core) -> list[Any]:
    """Ask, let the scheduler count, and ask again."""
    reader = reader_of(core)
    for reading in (
        reader.overview(SPAN), reader.retention(SPAN, "n"), reader.sessions(SPAN), reader.stats(SPAN, "day", None),
        reader.funnel(FUNNEL),
    ):  # fmt: skip
        with suppress(ReportNotReadyError):
            await reading
    await keeper_of(core).keep()
    return await answers(reader_of(core))


@given(events=EVENTS, seed=st.integers(0, 2**32))
@settings(max_examples=12)
async def test_reports_equal_a_count_over_the_events(core: Core, events: list[Event], seed: int) -> None:
    await core.reset()
    chance = random.Random(seed)
    repeated = events + [item for item in events if chance.random() < 0.5]
    chance.shuffle(repeated)
    counter = EventCounter(core.database, core.event_log)
    sent: list[Event] = []
    for batch in split(repeated, chance, 12):
        await core.applier.apply([block(batch, NOON)])
        sent += batch
        await counter.count()
        if chance.random() < 0.3:
            await pass_minutes(core, 6)
            assert await ask(core) == expected(sent)
    await pass_minutes(core, 6)
    assert await ask(core) == expected(events)
    assert await answers(reader_of(core, at_once_events_max=1_000)) == expected(events), "as it is at once"


async def test_a_report_is_as_old_as_is_said_at_most(core: Core) -> None:
    counter, keeper, reader = EventCounter(core.database, core.event_log), keeper_of(core), reader_of(core)
    await core.apply(event("ann"))
    await counter.count()
    with pytest.raises(ReportNotReadyError) as caught:
        await reader.sessions(SPAN)
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("report_being_counted", 503, 5)
    assert await keeper.keep() == 1
    before = await reader.sessions(SPAN)
    await core.apply(event("bob"))
    await counter.count()
    await pass_minutes(core, 4)
    assert await keeper.keep() == 0, "half of the age is not over"
    shown = await reader.sessions(SPAN)
    assert (shown.days, shown.as_of) == (before.days, before.as_of), "as it was counted; it says when"
    await pass_minutes(core, 2)
    assert await reader.sessions(SPAN) == before
    assert await keeper.keep() == 1
    assert max(day.users for day in (await reader.sessions(SPAN)).days) == 2
    await pass_minutes(core, 11)
    with pytest.raises(ReportNotReadyError):
        await reader.sessions(SPAN)
    await core.database.pool.execute("UPDATE reports SET asked_at = asked_at - interval '11 minutes'")
    assert await keeper.keep() == 0, "nobody asks for it any more"
    assert await core.database.pool.fetchval("SELECT count(*) FROM reports") == 0


async def test_who_waits_is_answered_when_it_is_counted(core: Core) -> None:
    await core.apply(event("ann"))
    await EventCounter(core.database, core.event_log).count()
    waiting = asyncio.create_task(reader_of(core, patience_seconds=20).sessions(SPAN))
    await eventually_async(keeper_of(core).keep)
    assert max(day.users for day in (await waiting).days) == 1


async def test_what_cannot_be_counted_does_not_stand_in_the_way(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.apply(event("ann"))
    await EventCounter(core.database, core.event_log).count()
    reader, keeper = reader_of(core), keeper_of(core)

    async def ask_for(*questions: Any) -> list[BaseException]:
        found = await asyncio.gather(*questions, return_exceptions=True)
        assert all(isinstance(each, BaseException) for each in found)
        return [each for each in found if isinstance(each, BaseException)]

    await ask_for(reader.retention(SPAN, "n"))
    with monkeypatch.context() as patch:
        patch.setattr(count_reports, "ROWS_MAX", 0)
        assert await keeper.keep() == 1
    (refused,) = await ask_for(reader.retention(SPAN, "n"))
    assert isinstance(refused, InvalidError)
    assert refused.errors[0].path == "by"

    async def count(*_: Any) -> Any:
        async with core.database.connection() as connection:
            await connection.execute("SELECT pg_sleep(9)", timeout=0.01)

    await ask_for(reader.sessions(SPAN))
    with monkeypatch.context() as patch:
        patch.setattr(AnalyticsStore, "sessions", count)
        assert await keeper.keep() == 1
    (too_long,) = await ask_for(reader.sessions(SPAN))
    assert isinstance(too_long, UnavailableError)
    assert "ask for less time" in too_long.detail

    async def sort(*arguments: Any) -> Any:
        for statement in (
            "SET LOCAL work_mem = '64kB'",
            "SET LOCAL temp_file_limit = '100kB'",
            "SELECT count(*) FROM generate_series(1, 100000)",
        ):
            await arguments[1].execute(statement)

    await ask_for(reader.stats(SPAN, "day", None))
    with monkeypatch.context() as patch:
        patch.setattr(AnalyticsStore, "days", sort)
        assert await keeper.keep() == 1
    (too_large,) = await ask_for(reader.stats(SPAN, "day", None))
    assert "failed" in str(too_large)

    await ask_for(reader.overview(SPAN))
    await ask_for(reader.funnel(FUNNEL))
    with monkeypatch.context() as patch:
        patch.setattr(AnalyticsStore, "totals", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await keeper.keep()
    assert await keeper.keep() == 1
    (failed,) = await ask_for(reader.overview(SPAN))
    assert "failed" in str(failed)
    assert (await reader.funnel(FUNNEL)).steps[0].users == 1


async def test_while_much_is_counted_what_nobody_asks_for_is_forgotten_and_another_may_lead(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, kept, keep = reader_of(core), list[Any](), kept_reports.ReportStore.keep

    async def keep_and_pass_minutes(*arguments: Any) -> None:
        await keep(*arguments)
        kept.append(arguments)
        await core.database.pool.execute("UPDATE reports SET asked_at = asked_at - interval '11 minutes'")

    async def fence(_: Any) -> None:
        if kept:
            raise LeaseLostError

    monkeypatch.setattr(kept_reports.ReportStore, "keep", keep_and_pass_minutes)
    for field in ("a", "b", "c"):
        with pytest.raises(ReportNotReadyError):
            await reader.retention(SPAN, field)
    with pytest.raises(LeaseLostError):
        await ReportKeeper(core.database, asyncio.Event(), age_max_seconds=600, fence=fence).keep()
    assert len(kept) == 1
    with pytest.raises(ReportNotReadyError):
        await reader.retention(SPAN, "d")
    assert await keeper_of(core).keep() == 1, "the others were forgotten"
    assert await core.database.pool.fetchval("SELECT count(*) FROM reports") == 0


async def test_a_stop_ends_what_is_being_counted(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, began = asyncio.Event(), asyncio.Event()

    async def count(*_: Any) -> Any:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(AnalyticsStore, "sessions", count)
    with pytest.raises(ReportNotReadyError):
        await reader_of(core).sessions(SPAN)
    keeping = asyncio.create_task(ReportKeeper(core.database, stop, age_max_seconds=600).keep())
    await began.wait()
    stop.set()
    assert await asyncio.wait_for(keeping, 5) == 0


async def test_there_is_a_limit_to_what_is_asked(core: Core) -> None:
    reader = reader_of(core)
    for number in range(REPORTS_MAX):
        with pytest.raises(ReportNotReadyError):
            await reader.retention(SPAN, f"field_{number}")
    with pytest.raises(UnavailableError, match="Too many"):
        await reader.retention(SPAN, "another")
    with pytest.raises(ReportNotReadyError):
        await reader.retention(SPAN, "field_0")


async def test_whoever_asks_something_new_each_time_takes_the_place_of_what_was_asked_longest_ago(core: Core) -> None:
    reader = reader_of(core)
    for number in range(REPORTS_MAX):
        with pytest.raises(ReportNotReadyError):
            await reader.retention(SPAN, f"field_{number}")
    assert await keeper_of(core).keep() == REPORTS_MAX
    assert (await reader.retention(SPAN, "field_0")) is not None, "asked anew, so not the one that leaves"
    with pytest.raises(ReportNotReadyError):
        await reader.retention(SPAN, "another")
    kept = await core.database.pool.fetch("SELECT question FROM reports")
    by = {json.loads(row["question"])["by"] for row in kept}
    assert by == {f"field_{number}" for number in range(REPORTS_MAX) if number != 1} | {"another"}


async def test_a_report_that_takes_long_is_followed_by_room_for_others(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_reports, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(kept_reports, "_ROOM_SECONDS", 0.5)
    moments: list[float] = []
    count = AnalyticsStore.cohorts

    async def timed(*arguments: Any, **more: Any) -> Any:
        moments.append(time.monotonic())
        try:
            return await count(*arguments, **more)
        finally:
            moments.append(time.monotonic())

    monkeypatch.setattr(AnalyticsStore, "cohorts", timed)
    for by in ("a", "b"):
        with pytest.raises(ReportNotReadyError):
            await reader_of(core).retention(SPAN, by)
    assert await keeper_of(core).keep() == 2
    assert max(begun - ended for ended, begun in zip(moments[1::2], moments[2::2], strict=False)) >= 0.5


async def test_an_erasure_forgets_what_payloads_have_named(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.apply(event("ann", payload={"n": "ann of Lake Street"}))
    await EventCounter(core.database, core.event_log).count()
    reader, keeper = reader_of(core), keeper_of(core)
    assert [each[:2] for each in (await ask(core))[1]] == [[_day(NOON), "ann of Lake Street"]]
    keep = kept_reports.ReportStore.keep

    async def erase_and_keep(*arguments: Any) -> None:
        await core.new_eraser().erase("ann")
        assert await core.new_erasure_finisher().finish() == 1
        await keep(*arguments)

    await pass_minutes(core, 6)
    with monkeypatch.context() as patch:
        # It was counted from what there was before the erasure, and is done when that is over.
        patch.setattr(kept_reports.ReportStore, "keep", erase_and_keep)
        await keeper._count(*(await keeper._next_due() or (0, b"")))
    outcomes = await core.database.pool.fetch("SELECT outcome FROM reports WHERE outcome IS NOT NULL")
    assert not [row for row in outcomes if b"Lake Street" in row["outcome"]]
    with pytest.raises(ReportNotReadyError):
        await reader.retention(SPAN, "n")
    await keeper.keep()
    assert [row.group for row in (await reader.retention(SPAN, "n")).cohorts] == [None]
