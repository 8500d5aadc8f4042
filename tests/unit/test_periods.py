"""Periods: without gaps or overlaps in every zone, from local midnight, across changes of the clocks, and by name."""

import random
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grandstand.domain.periods import BEGINNING, GRACE, Period, Schedule, ScheduleError, parse_period_id, period_id
from tests.support import model

TICK = timedelta(microseconds=1)
ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana",
    "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "Asia/Tehran", "Africa/Casablanca", "America/Nuuk",
    "Antarctica/Troll", "Asia/Beirut", "Pacific/Chatham", "America/Scoresbysund",
]  # fmt: skip
CRONS = [
    "cron: 0 6 * * 1", "cron: 30 1 * * *", "cron: 30 2 * * *", "cron: 0 0 * * *", "cron: 0 0 1 * *",
    "cron: */20 * * * *", "cron: 15 * * * *", "cron: 0 */6 * * *", "cron: 10,40 0,1,2,3 * * *", "cron: 59 23 * * 0",
    "cron: */15 0 * * 0", "cron: 0 */2 * * 0,5", "cron: 5 4 L * *", "cron: 0 12 29 2 *", "cron: 45 2 * * 6,0",
]  # fmt: skip
CALENDAR = ["daily", "weekly", "monthly"]
CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 21, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 8, 5, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 4, 4, 14, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 9, 26, 14, tzinfo=UTC)),
]


def moments(
    year: int, month: int, day: int, last_year: int, last_month: int, last_day: int
) -> st.SearchStrategy[datetime]:
    first, last = datetime(year, month, day, tzinfo=UTC), datetime(last_year, last_month, last_day, tzinfo=UTC)
    return st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC))


def walk(schedule: Schedule, start: datetime, end: datetime) -> list[Period]:
    """Every period from `start` to `end`, each found from the end of the one before."""
    periods = [schedule.at(start)]
    while (last := periods[-1].end) is not None and last < end:
        periods.append(schedule.at(last))
    return periods


def check_chain(period: str, zone: str, start: datetime, end: datetime) -> list[Period]:
    """No gap, no overlap, and every moment of a period finds the same one, asked in any order."""
    periods = walk(Schedule(period, zone), start, end)
    for one, other in pairwise(periods):
        assert one.end == other.start, (period, zone, one, other)
        assert one.start < one.end
    randomly = random.Random(f"{period} {zone}")
    for found in randomly.sample(periods, min(len(periods), 12)):
        assert found.end is not None
        length = (found.end - found.start) // TICK
        for moment in (found.start, found.end - TICK, found.start + randomly.randrange(length) * TICK):
            # A schedule of its own: nothing remembered helps.
            assert Schedule(period, zone).at(moment) == found, (period, zone, moment)
    return periods


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", CALENDAR)
def test_calendar_periods_of_forty_years(period: str, zone: str) -> None:
    check_chain(period, zone, datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("zone", ZONES)
def test_hours_of_a_summer(zone: str) -> None:
    periods = check_chain("hourly", zone, datetime(2026, 2, 20, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))
    for found in periods:
        assert found.start.astimezone(ZoneInfo(zone)).minute == 0 or zone in ("Australia/Lord_Howe", "Pacific/Chatham")
        assert timedelta(minutes=15) <= found.end - found.start <= timedelta(minutes=90)  # type: ignore[operator]


@pytest.mark.parametrize("period", CRONS)
def test_cron_periods_around_every_change_of_the_clocks(period: str) -> None:
    for zone, change in CHANGES:
        check_chain(period, zone, change - timedelta(days=2), change + timedelta(days=2))


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_cron_periods_of_years(zone: str) -> None:
    for period in ("cron: 0 6 * * 1", "cron: 0 0 1 * *", "cron: 30 2 * * *"):
        check_chain(period, zone, datetime(2024, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("period", ["hourly", *CALENDAR, *CRONS])
def test_every_quarter_of_an_hour_around_a_change_lies_in_its_period(period: str, zone: str, change: datetime) -> None:
    schedule = Schedule(period, zone)
    periods = set()
    for number in range(-104, 108):
        each = change + timedelta(minutes=15 * number)
        for moment in (each, each - TICK):
            found = schedule.at(moment)
            assert found.end is not None
            assert found.start <= moment < found.end
            periods.add(found)
    for found in periods:
        assert found.end is not None
        assert Schedule(period, zone).at(found.start) == found
        assert Schedule(period, zone).at(found.end).start == found.end
    for one, other in pairwise(sorted(periods)):
        assert one.end == other.start


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", CALENDAR)
def test_days_begin_at_local_midnight_or_at_the_first_moment_after_it(period: str, zone: str) -> None:
    place = ZoneInfo(zone)
    for found in walk(Schedule(period, zone), datetime(2009, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)):
        local, before = found.start.astimezone(place), (found.start - TICK).astimezone(place)
        assert local.date() > before.date()
        if local.time().isoformat() != "00:00:00":
            assert local.utcoffset() != before.utcoffset(), "midnight is there and was not taken"
        assert period != "weekly" or local.weekday() == 0
        assert period != "monthly" or local.day == 1


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("period", ["hourly", "daily"])
def test_they_are_those_of_a_walk_minute_by_minute(period: str, zone: str, change: datetime) -> None:
    board = SimpleNamespace(period=period, timezone=zone)
    for minutes in range(-1600, 1600, 37):
        moment = change + timedelta(minutes=minutes, seconds=30)
        assert Schedule(period, zone).at(moment)[:2] == model.period_of(board, moment), moment


@pytest.mark.parametrize(
    ("period", "zone", "day", "starts"),
    [
        # Clocks go forward: the day has 23 hours, and back: 25.
        ("daily", "America/New_York", date(2026, 3, 8), ["2026-03-08T05:00Z", "2026-03-09T04:00Z"]),
        ("daily", "America/New_York", date(2026, 11, 1), ["2026-11-01T04:00Z", "2026-11-02T05:00Z"]),
        ("weekly", "America/New_York", date(2026, 3, 8), ["2026-03-02T05:00Z", "2026-03-09T04:00Z"]),
        ("weekly", "America/New_York", date(2026, 11, 1), ["2026-10-26T04:00Z", "2026-11-02T05:00Z"]),
        # Half an hour, the other way round in the year.
        ("daily", "Australia/Lord_Howe", date(2026, 10, 4), ["2026-10-03T13:30Z", "2026-10-04T13:00Z"]),
        ("daily", "Australia/Lord_Howe", date(2026, 4, 5), ["2026-04-04T13:00Z", "2026-04-05T13:30Z"]),
        ("weekly", "Australia/Lord_Howe", date(2026, 4, 5), ["2026-03-29T13:00Z", "2026-04-05T13:30Z"]),
        # Midnight itself is skipped: the day begins at one o'clock.
        ("daily", "America/Havana", date(2026, 3, 8), ["2026-03-08T05:00Z", "2026-03-09T04:00Z"]),
        ("daily", "Africa/Cairo", date(2026, 4, 24), ["2026-04-23T22:00Z", "2026-04-24T21:00Z"]),
        # Midnight comes twice: the first counts.
        ("daily", "America/Havana", date(2026, 11, 1), ["2026-11-01T04:00Z", "2026-11-02T05:00Z"]),
        # A whole day is left out.
        ("daily", "Pacific/Apia", date(2011, 12, 31), ["2011-12-30T10:00Z", "2011-12-31T10:00Z"]),
        ("monthly", "Asia/Kathmandu", date(2026, 2, 14), ["2026-01-31T18:15Z", "2026-02-28T18:15Z"]),
        # Cron: what is skipped comes at the first moment after it, what comes twice counts once.
        ("cron: 30 2 * * *", "America/New_York", date(2026, 3, 8), ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]),
        ("cron: 30 1 * * *", "America/New_York", date(2026, 11, 1), ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]),
        ("cron: 0 6 * * 1", "America/New_York", date(2026, 3, 10), ["2026-03-09T10:00Z", "2026-03-16T10:00Z"]),
        ("cron: 0 6 * * 1", "Europe/Berlin", date(2026, 10, 20), ["2026-10-19T04:00Z", "2026-10-26T05:00Z"]),
    ],
)
def test_known_days(period: str, zone: str, day: date, starts: list[str]) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    start, end = (datetime.fromisoformat(text) for text in starts)
    assert Schedule(period, zone).at(noon.astimezone(UTC))[:2] == (start, end)


@given(
    st.sampled_from(["hourly", *CALENDAR, *CRONS]),
    st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    moments(2007, 1, 1, 2045, 1, 1),
)
@example("cron: 30 1 * * *", "America/New_York", datetime(2026, 11, 1, 6, 15, tzinfo=UTC))
@example("cron: */15 0 * * 0", "America/Havana", datetime(2026, 3, 8, 5, 5, tzinfo=UTC))
def test_any_zone_and_moment(period: str, zone: str, moment: datetime) -> None:
    found = Schedule(period, zone).at(moment)
    assert found.end is not None
    assert found.start <= moment < found.end
    assert found.start.tzinfo is UTC
    assert found.end.tzinfo is UTC
    assert Schedule(period, zone).at(found.end - TICK) == found
    assert Schedule(period, zone).at(found.start) == found
    assert Schedule(period, zone).at(found.end).start == found.end
    assert Schedule(period, zone).at(found.start - TICK).end == found.start


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=30))
def test_what_a_schedule_remembers_does_not_matter(asked: list[datetime]) -> None:
    for period in ("all_time", "daily"):
        remembering = Schedule(period, "America/New_York")
        for moment in asked:
            assert remembering.at(moment) == Schedule(period, "America/New_York").at(moment)


@given(
    st.sampled_from(["all_time", "daily", "weekly", "cron: 0 */6 * * *"]),
    st.lists(moments(2026, 1, 1, 2026, 2, 1), max_size=5),
    moments(2025, 12, 20, 2026, 2, 10),
)
def test_resets_cut_periods(period: str, resets: list[datetime], moment: datetime) -> None:
    found, whole = Schedule(period, "UTC", resets).at(moment), Schedule(period, "UTC").at(moment)
    assert found.start == max([whole.start, *(at for at in resets if at <= moment)])
    ends = [at for at in resets if at > moment] + ([] if whole.end is None else [whole.end])
    assert found.end == min(ends, default=None)
    for reset in resets:
        assert Schedule(period, "UTC", resets).at(reset).start == reset
        assert Schedule(period, "UTC", resets).at(reset - TICK).end == reset


def test_an_all_time_board_has_one_period_until_it_is_reset() -> None:
    assert Schedule("all_time", "UTC").at(datetime(2026, 1, 1, tzinfo=UTC))[:2] == (BEGINNING, None)


@pytest.mark.parametrize(
    ("period", "zone", "field"),
    [
        ("fortnightly", "UTC", "period"), ("", "UTC", "period"), ("Daily", "UTC", "period"), ("cron", "UTC", "period"),
        ("cron:", "UTC", "period"), ("cron: ", "UTC", "period"), ("cron: 0 6 * *", "UTC", "period"),
        ("cron: 0 6 * * 1 *", "UTC", "period"), ("cron: 60 * * * *", "UTC", "period"),
        ("cron: * 24 * * *", "UTC", "period"), ("cron: * * 0 * *", "UTC", "period"),
        ("cron: * * * 13 *", "UTC", "period"), ("cron: * * * * 9", "UTC", "period"),
        ("cron: 0 0 30 2 *", "UTC", "period"), ("cron: 0 0 31 4,6 *", "UTC", "period"),
        ("cron: a b c d e", "UTC", "period"), ("cron: @daily", "UTC", "period"), ("cron: */0 * * * *", "UTC", "period"),
        ("cron: \u0665 6 * * 1", "UTC", "period"), ("daily", "", "timezone"), ("daily", "Mars/Olympus", "timezone"),
        ("daily", "../etc/passwd", "timezone"), ("daily", "/etc/passwd", "timezone"), ("daily", "a\x00b", "timezone"),
        ("daily", "europe", "timezone"), ("all_time", "Nowhere", "timezone"), ("daily", "UTC+1", "timezone"),
        ("daily", "é" * 200, "timezone"), ("daily", "\ud800", "timezone"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_the_name_of_its_field(period: str, zone: str, field: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Schedule(period, zone)
    assert caught.value.field == field
    assert str(caught.value)


@given(moments(1801, 1, 1, 9000, 1, 1))
def test_the_name_of_a_period_comes_back_as_its_start(start: datetime) -> None:
    name = period_id(start)
    assert parse_period_id(name) == start
    assert name.isascii()
    assert not set(name) & set("/?#&%+ ")


def test_the_name_of_the_run_without_a_start() -> None:
    assert period_id(BEGINNING) == "all_time"
    assert parse_period_id("all_time") == BEGINNING


@given(st.text(max_size=30) | st.from_regex(r"[0-9T.Z]{0,24}", fullmatch=True))
def test_no_text_breaks_the_reader_of_names(text: str) -> None:
    start = parse_period_id(text)
    assert start is None or period_id(start) == text


def test_the_grace_ends_two_minutes_after_the_end() -> None:
    end = datetime(2026, 1, 1, tzinfo=UTC)
    assert timedelta(minutes=2) == GRACE
    assert Period(BEGINNING, end).takes(end + GRACE - TICK)
    assert not Period(BEGINNING, end).takes(end + GRACE)
    assert Period(BEGINNING, None).takes(datetime(9000, 1, 1, tzinfo=UTC))


def test_the_ends_of_time() -> None:
    for period in ("hourly", "daily", "weekly", "monthly", "cron: 0 6 * * 1"):
        for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
            Schedule(period, "Pacific/Apia").at(moment)


def test_what_clients_write_in_place_of_a_name_is_not_remembered() -> None:
    tracemalloc.start()
    for number in range(200):
        assert parse_period_id(f"{number:08}" + 50_000 * "0") is None
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 1_000_000
