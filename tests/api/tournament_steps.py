"""What the tests of tournaments, prizes and bans do over and over: make one, score in it, let time pass."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.run_tournaments import TournamentRunner
from grandstand.operations.settle_tournament import TournamentSettler
from tests.api.conftest import Site
from tests.support.core import NOON, event

HOUR = timedelta(hours=1)
PATH = "/api/tournaments"
GOLD = {"kind": "gold", "amount": 100}


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def definition(**values: Any) -> dict[str, Any]:
    """A tournament around noon with gold for the first two."""
    usual = {
        "title": "Cup",
        "starts_at": (NOON - HOUR).isoformat(),
        "ends_at": (NOON + HOUR).isoformat(),
        "event_type": "race",
        "field": "score",
        "operator": "best",
        "prizes": [{"from": 1, "to": 2, "metadata": {"box": "big"}} | GOLD],
    }
    return usual | values


async def create(site: Site, tournament_id: str, **values: Any) -> str:
    """Create it and return its path."""
    answer = await site.post(PATH, definition(id=tournament_id, **values), "server")
    assert answer.status_code == 201, answer.text
    return f"{PATH}/{tournament_id}"


async def score(site: Site, tournament_id: str, user: str, points: int, at: datetime = NOON) -> None:
    payload = {"score": points, "tournament_id": tournament_id}
    await site.core.apply(event(user, event_type="race", at=at, payload=payload), received_at=at)


async def run(site: Site) -> int:
    """Take every step that is due, as the scheduler does."""
    core = site.core
    settler = TournamentSettler(core.database, core.ledger, core.tournaments, core.rankings, core.prizes, core.outbox)
    runner = TournamentRunner(
        core.database, core.ledger, LeaderboardCatalog(core.store), core.tournaments, settler,
        core.new_cutter(), core.outbox, core.registry, core.changes, slack=timedelta(0),
    )  # fmt: skip
    return await runner.run()


async def settle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the end and the grace of what runs around noon pass."""
    set_clock(monkeypatch, NOON + HOUR + timedelta(minutes=3))
    await run(site)


def users(page: dict[str, Any]) -> list[str]:
    return [entry["user_id"] for entry in page["entries"]]


async def won(site: Site, monkeypatch: pytest.MonkeyPatch, tournament_id: str, *players: str) -> list[str]:
    """Settle a tournament that these players end in this order; return the ids of the prizes of the first two."""
    await create(site, tournament_id)
    await run(site)
    for number, user in enumerate(players):
        await score(site, tournament_id, user, 100 - number)
    await settle(site, monkeypatch)
    listed = (await site.get(f"/api/prizes?tournament_id={tournament_id}", "server")).json()["prizes"]
    return [prize["id"] for prize in listed]
