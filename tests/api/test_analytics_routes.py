"""Analytics of a season of a real game equal what a plain computation from its file comes to."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from grandstand.operations.count_events import EventCounter
from tests.api.conftest import Site
from tests.importing.board_model import read_events, time_of
from tests.importing.test_flamingo import LOG
from tests.support.core import NOON, block, event

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not LOG.is_file(), reason=f"the flamingo log is not here: {LOG}")]

FIRST, LAST = date(2016, 5, 26), date(2016, 6, 16)
SPAN = f"from={FIRST}&to={LAST}"
BATCH = 6_000
DAY = timedelta(days=1)
GAP = timedelta(minutes=30)
FUNNEL = ["game_started", "ad_click", "purchase", "game_ended"]


class Seen(NamedTuple):
    """An event of the file, in the order of time."""

    at: datetime
    event_id: UUID
    user_id: str
    event_type: str
    payload: dict[str, Any]


@pytest.fixture(scope="module")
def log() -> list[Seen]:
    found = [
        Seen(time_of(each["occurred_at"]), UUID(each["id"]), each["user_id"], each["event_type"], each["payload"])
        for each in read_events(LOG)
    ]
    return sorted(found, key=lambda each: each[:2])


@pytest.fixture(scope="module")
async def season(module_site: Site, log: list[Seen]) -> Site:
    """The season stored, some of it twice, and counted."""
    core = module_site.core
    events = [
        event(each.user_id, at=each.at, event_type=each.event_type, event_id=each.event_id, payload=each.payload)
        for each in log
    ]
    # The newest first: what comes later is the first event of its user again and again.
    events.reverse()
    counter = EventCounter(core.database, core.event_log)
    for start in range(0, len(events), BATCH):
        await core.applier.apply([block(events[max(0, start - 500) : start + BATCH], NOON)])
        await counter.count()
    return module_site


async def ask(site: Site, path: str) -> Any:
    answer = await site.get(path, "server")
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_day(log: Iterable[Seen], zone: str) -> dict[date, list[Seen]]:
    found: dict[date, list[Seen]] = defaultdict(list)
    for each in log:
        found[each.at.astimezone(ZoneInfo(zone)).date()].append(each)
    return found


def days() -> list[date]:
    return [FIRST + number * DAY for number in range((LAST - FIRST).days + 1)]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles"])
async def test_overview(season: Site, log: list[Seen], zone: str) -> None:
    found = by_day(log, zone)
    users = {day: {each.user_id for each in events} for day, events in found.items()}
    first = Counter({each.user_id: each.at for each in reversed(log)})
    began = Counter(at.astimezone(ZoneInfo(zone)).date() for at in first.values())

    def window(day: date, length: int) -> int:
        return len(set().union(*(users.get(day - number * DAY, ()) for number in range(length))))

    expected = [
        {
            "date": str(day),
            "dau": window(day, 1),
            "wau": window(day, 7),
            "mau": window(day, 30),
            "new_users": began[day],
            "events": len(found[day]),
            "games": sum(each.event_type == "game_ended" for each in found[day]),
        }
        for day in days()
    ]
    assert (await ask(season, f"/api/analytics/overview?{SPAN}&timezone={zone}"))["days"] == expected


@pytest.mark.parametrize(
    ("interval", "zone"), [("hour", "UTC"), ("day", "UTC"), ("day", "America/Los_Angeles")]
)  # fmt: skip
async def test_stats(season: Site, log: list[Seen], interval: str, zone: str) -> None:
    users: dict[tuple[datetime, str], list[str]] = defaultdict(list)
    for each in log:
        at = each.at.astimezone(ZoneInfo(zone)).replace(minute=0, second=0)
        start = at.replace(hour=0) if interval == "day" else at
        if FIRST <= start.date() <= LAST:
            users[start.astimezone(UTC), each.event_type].append(each.user_id)
    expected = [
        {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "event_type": kind, "events": len(seen), "users": len(set(seen))}
        for (start, kind), seen in sorted(users.items())
    ]
    path = f"/api/events/stats?{SPAN}&interval={interval}&timezone={zone}"
    assert (await ask(season, path))["buckets"] == expected
    clicks = [each for each in expected if each["event_type"] == "ad_click"]
    assert (await ask(season, f"{path}&event_type=ad_click"))["buckets"] == clicks


@pytest.mark.parametrize("by", [None, "platform"])
async def test_retention(season: Site, log: list[Seen], by: str | None) -> None:
    seen: dict[str, set[date]] = defaultdict(set)
    cohorts: dict[tuple[date, str | None], list[str]] = defaultdict(list)
    for each in log:
        if each.user_id not in seen:
            cohorts[each.at.date(), each.payload.get(by) if by else None].append(each.user_id)
        seen[each.user_id].add(each.at.date())
    expected = [
        {"cohort": str(day), "group": group, "size": len(users)}
        | {
            f"day_{after}": round(sum(day + after * DAY in seen[user] for user in users) / len(users), 4)
            for after in (1, 7, 30)
        }
        for (day, group), users in sorted(cohorts.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]
    query = f"&by={by}" if by else ""
    assert (await ask(season, f"/api/analytics/retention?{SPAN}{query}"))["cohorts"] == expected


async def test_sessions(season: Site, log: list[Seen]) -> None:
    users: dict[str, list[datetime]] = defaultdict(list)
    for each in log:
        users[each.user_id].append(each.at)
    lengths: dict[date, list[float]] = defaultdict(list)
    players: dict[date, set[str]] = defaultdict(set)
    for user, moments in users.items():
        began = last = moments[0]
        for moment in [*moments[1:], datetime.max.replace(tzinfo=UTC)]:
            if moment - last > GAP:
                lengths[began.date()].append((last - began).total_seconds())
                players[began.date()].add(user)
                began = moment
            last = moment
    found = await ask(season, f"/api/analytics/sessions?{SPAN}")
    assert found["is_complete"]
    assert [(each["date"], each["sessions"], each["users"]) for each in found["days"]] == [
        (str(day), len(lengths[day]), len(players[day])) for day in days()
    ]
    for each in found["days"]:
        of_day = lengths[date.fromisoformat(each["date"])]
        assert each["mean_seconds"] == pytest.approx(sum(of_day) / len(of_day), abs=0.06)


@pytest.mark.parametrize("within_seconds", [None, 86_400, 864_000])
async def test_funnel(season: Site, log: list[Seen], within_seconds: int | None) -> None:
    users: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for each in log:
        users[each.user_id].append((each.at, each.event_type))

    def steps_from(events: list[tuple[datetime, str]], began: datetime) -> int:
        """Steps taken from one first step, each as early as can be."""
        count, last = 1, began
        for at, kind in events:
            is_in_time = within_seconds is None or (at - began).total_seconds() <= within_seconds
            if count < len(FUNNEL) and kind == FUNNEL[count] and at > last and is_in_time:
                count, last = count + 1, at
        return count

    reached = Counter(
        max((steps_from(events, at) for at, kind in events if kind == FUNNEL[0]), default=0)
        for events in users.values()
    )
    counts = [sum(users for steps, users in reached.items() if steps > number) for number in range(len(FUNNEL))]
    body = {"steps": FUNNEL, "within_seconds": within_seconds, "from": str(FIRST), "to": str(LAST)}
    answer = await season.post("/api/analytics/funnel", body, "server")
    assert answer.status_code == 200, answer.text
    assert [each["users"] for each in answer.json()["steps"]] == counts
    assert [each["share"] for each in answer.json()["steps"]] == [round(users / counts[0], 4) for users in counts]
    # Nearly every answer would do if nobody or everybody came through.
    assert counts[0] > counts[-1] > 0


async def test_csv_has_the_rows_of_the_json(season: Site) -> None:
    path = f"/api/analytics/overview?{SPAN}"
    answer = await season.get(path, "server", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    expected = (await ask(season, path))["days"]
    assert rows == [{name: str(value) for name, value in day.items()} for day in expected]
