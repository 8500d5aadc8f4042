"""Weeks of a real game as tournaments: the winners are those that the file says."""

import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from grandstand.domain.events import Event
from tests.importing.board_model import Event as GameEvent
from tests.importing.board_model import ranking, read_events, time_of
from tests.support.core import event
from tests.tournaments.cups import Cups

LOG = Path(
    os.environ.get("FLAMINGO_EVENTS")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "flamingo-events.ndjson.gz"
)
WEEK = timedelta(days=7)
MONDAY = datetime(2016, 5, 23, tzinfo=UTC)
WEEKS = 4
PRIZES = [
    {"from": 1, "kind": "gold", "amount": 1000},
    {"from": 2, "to": 10, "kind": "gold", "amount": 100},
    {"top_percent": 2.5, "kind": "ticket", "amount": 1},
]

pytestmark = pytest.mark.skipif(not LOG.is_file(), reason=f"the flamingo log is not here: {LOG} (or FLAMINGO_EVENTS)")


async def test_each_week_has_the_winners_of_the_file(cups: Cups) -> None:
    games = [each for each in read_events(LOG) if each["event_type"] == "game_ended"]
    weeks = {f"week-{number}": MONDAY + number * WEEK for number in range(WEEKS)}
    cups.time.at(MONDAY - WEEK)
    for cup, start in weeks.items():
        await cups.create(cup, starts_at=start, ends_at=start + WEEK, prizes=PRIZES)
    of_week: dict[str, list[GameEvent]] = {cup: [] for cup in weeks}
    batch: list[Event] = []
    for game in games:
        at = time_of(game["occurred_at"])
        cup = f"week-{(at - MONDAY) // WEEK}"
        of_week[cup].append(game)
        payload = {**game["payload"], "tournament_id": cup}
        batch.append(event(game["user_id"], at=at, payload=payload, event_id=UUID(game["id"])))
        if at - batch[0].occurred_at > timedelta(hours=6) or game is games[-1]:
            # The next events come with the clock at their time; what arrives a little late still counts.
            await arrive(cups, batch)
            batch = []
    cups.time.at(MONDAY + WEEKS * WEEK + timedelta(hours=1))
    await cups.run()
    assert await cups.core.count_events() == len(games)
    for cup in weeks:
        wanted = ranking(of_week[cup], {"event_type": "game_ended", "field": "score", "operator": "best"})
        assert len(wanted) > 10
        assert [msgspec.structs.astuple(row) for row in await cups.standings(cup)] == [tuple(row) for row in wanted]
        paid = {(prize.user_id, prize.kind, prize.amount) for prize in await cups.awarded(cup)}
        share = math.ceil(len(wanted) / 40)
        assert paid == (
            {(row.user_id, "gold", 1000 if row.rank == 1 else 100) for row in wanted[:10]}
            | {(row.user_id, "ticket", 1) for row in wanted[:share]}
        )
        assert len(await cups.awarded(cup)) == 10 + share
    await cups.check_books()


async def arrive(cups: Cups, batch: list[Event]) -> None:
    """Let events arrive at their time, those of one minute together; the clock ticks once in between."""
    await cups.run()
    by_minute: dict[datetime, list[Event]] = {}
    for each in batch:
        by_minute.setdefault(each.occurred_at.replace(second=59, microsecond=0), []).append(each)
    for minute, events in by_minute.items():
        cups.time.at(minute)
        await cups.append(*events)
    await cups.process()
