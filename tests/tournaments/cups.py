"""Tournaments of one deployment without HTTP and loops; a test says what time it is and when steps are taken."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from grandstand import clock
from grandstand.domain.events import Event
from grandstand.operations.apply_events import Applied, EventApplier
from grandstand.operations.ban_player import PlayerBanner
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.claim_prizes import PrizeKeeper, wanted_prizes
from grandstand.operations.join_tournament import TournamentJoiner
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.list_tournaments import TournamentLister
from grandstand.operations.manage_tournaments import TournamentKeeper
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.run_tournaments import TournamentRunner
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.operations.tournament_views import PrizeView, TournamentView
from grandstand.storage.event_stream import HIGH
from grandstand.storage.postgres import WAITING_PER_CONNECTION_MAX, Database
from tests.support.core import Core, event

START = datetime(2026, 11, 2, 18, tzinfo=UTC)
"""When the tournaments of tests begin, unless a test says otherwise."""

HOUR = timedelta(hours=1)
DAILY = "cron: 0 18 * * *"
GRACE = timedelta(seconds=120)
SLACK = timedelta(seconds=10)
SETTLED_AFTER = GRACE + SLACK
"""How long after its end a tournament is settled when nothing holds it up."""


@dataclass
class WallClock:
    """What time it is, as the process believes."""

    now: datetime = START - HOUR

    def at(self, moment: datetime) -> None:
        self.now = moment

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


class Standing(msgspec.Struct, frozen=True):
    """A line of frozen standings."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime


@dataclass
class Cups:
    """The operations of one process on tournaments. `other` gives those of another process, on the same engines."""

    core: Core
    time: WallClock
    database: Database | None = None

    def __post_init__(self) -> None:
        core, database = self.core, self.database or self.core.database
        self.keeper = TournamentKeeper(
            database, core.ledger, core.store, core.rankings, core.tournaments, core.outbox, core.changes,
            grace_seconds=int(GRACE.total_seconds()),
        )  # fmt: skip
        known = KnownTournaments(database, core.tournaments, core.feed, age_max_seconds=0)
        self.lister = TournamentLister(database, core.tournaments, known)
        self.joiner = TournamentJoiner(database, core.ledger, core.tournaments, core.bans, core.changes)
        self.prize_keeper = PrizeKeeper(database, core.prizes, core.outbox, core.changes)
        self.banner = PlayerBanner(
            database, core.ledger, core.bans, core.entries, core.tournaments, core.prizes, core.index, core.changes
        )
        self.reader = TournamentReader(core.database, core.tournaments, known, core.prizes, core.reader)
        self.settler = TournamentSettler(
            database, core.ledger, core.tournaments, core.rankings, core.prizes, core.outbox
        )
        self.runner = TournamentRunner(
            database, core.ledger, LeaderboardCatalog(core.store), core.tournaments, self.settler,
            core.new_cutter(database), core.outbox,
            core.registry, core.changes, slack=SLACK,
        )  # fmt: skip
        self.applier: EventApplier = core.new_applier()

    def other(self, database: Database | None = None) -> "Cups":
        return Cups(self.core, self.time, database)

    async def create(self, tournament_id: str = "cup", **values: Any) -> TournamentView:
        """A tournament of an hour from `START`: best score of `game_ended`, open to all, without prizes."""
        defaults = {
            "id": tournament_id, "starts_at": START, "ends_at": START + HOUR, "event_type": "game_ended",
            "field": "score", "operator": "best",
        }  # fmt: skip
        return await self.keeper.create(msgspec.json.encode(defaults | values))

    async def change(self, tournament_id: str, **values: Any) -> TournamentView:
        return await self.keeper.change(tournament_id, msgspec.json.encode(values))

    async def ban(self, user_id: str) -> int:
        return (await self.banner.ban(user_id, b'{"reason":"cheat"}', actor="server")).prizes_voided

    async def send(self, *events: Event) -> Applied:
        """Append events to the stream as they arrive now, and process all that is in it."""
        await self.append(*events)
        return await self.process()

    async def append(self, *events: Event) -> None:
        await self.core.stream.create_group()
        await self.core.stream.append(list(events), [], self.time.now)

    async def process(self) -> Applied:
        total = Applied()
        while blocks := await self.core.stream.read("worker", HIGH, 100):
            applied = await self.applier.apply(blocks)
            await self.core.stream.acknowledge(blocks)
            total.stored += applied.stored
            total.duplicates += applied.duplicates
            total.unranked += applied.unranked
        return total

    async def run(self) -> int:
        """One round of the clock: every due step, then what expires."""
        steps = await self.runner.run()
        await self.prize_keeper.expire()
        return steps

    async def settle(self, tournament_id: str = "cup") -> None:
        """Let time pass until the end and the grace are over, and take the steps."""
        view = await self.lister.get(tournament_id)
        self.time.at(max(self.time.now, view.ends_at + SETTLED_AFTER))
        await self.run()

    async def claim(
        self, prize_id: str, key: str | None = None, user_id: str | None = None, actor: str = "player"
    ) -> PrizeView:
        return await self.prize_keeper.claim(prize_id, key=key, only_user_id=user_id, actor=actor)

    async def awarded(self, tournament_id: str | None = None) -> list[PrizeView]:
        found: list[PrizeView] = []
        cursor = None
        while True:
            wanted = wanted_prizes(status=None, tournament_id=tournament_id, limit=1000, cursor=cursor)
            page = await self.prize_keeper.list(None, wanted)
            found += page.prizes
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def standings(self, tournament_id: str = "cup", occurrence: int = 1) -> list[Standing]:
        rows = await self.fetch(
            "SELECT rank, user_id, score, achieved_at FROM standings "
            "WHERE tournament_id = $1 AND occurrence = $2 ORDER BY rank",
            tournament_id,
            occurrence,
        )
        return [Standing(*row) for row in rows]

    async def told(self, event_type: str) -> list[dict[str, Any]]:
        """What the outbox holds of one type, oldest first."""
        rows = await self.fetch(
            "SELECT payload::text FROM webhook_events WHERE type = $1 ORDER BY event_id", event_type
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    async def steps(self, prize_id: str) -> list[str]:
        rows = await self.fetch("SELECT status FROM prize_steps WHERE prize_id = $1 ORDER BY step_id", UUID(prize_id))
        return [row[0] for row in rows]

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await self.core.database.pool.fetch(query, *arguments)
        return rows

    async def check_books(self) -> None:
        """What holds at any time: prizes follow from standings, each step has a trace, and each award was told once."""
        prizes = await self.fetch("SELECT * FROM prizes")
        standings = {
            (row["tournament_id"], row["occurrence"], row["user_id"]): row["rank"]
            for row in await self.fetch("SELECT * FROM standings")
        }
        for prize in prizes:
            assert standings[prize["tournament_id"], prize["occurrence"], prize["user_id"]] == prize["rank"]
        traces: dict[UUID, list[str]] = {prize["prize_id"]: [] for prize in prizes}
        for row in await self.fetch("SELECT prize_id, status FROM prize_steps ORDER BY step_id"):
            traces[row["prize_id"]].append(row["status"])
        for prize in prizes:
            status = prize["status"]
            assert traces[prize["prize_id"]] == (["pending"] if status == "pending" else ["pending", status])
        told = Counter(payload["prize_id"] for payload in await self.told("prize.awarded"))
        assert told == Counter(str(prize["prize_id"]) for prize in prizes)
        claimed = Counter(payload["prize_id"] for payload in await self.told("prize.claimed"))
        assert claimed == Counter(str(prize["prize_id"]) for prize in prizes if prize["status"] == "claimed")
        settled = Counter((told["tournament_id"], told["occurrence"]) for told in await self.told("tournament.settled"))
        rows = await self.fetch("SELECT tournament_id, occurrence FROM occurrences WHERE status = 'settled'")
        assert settled == Counter((row[0], row[1]) for row in rows)


def score(
    user_id: str, value: Any = 1, *, at: datetime = START, cup: str = "cup", event_id: UUID | None = None
) -> Event:
    """A scoring event of a tournament."""
    return event(user_id, at=at, payload={"score": value, "tournament_id": cup}, event_id=event_id)


TOGETHER_MAX = 5 * WAITING_PER_CONNECTION_MAX
"""Calls at once: beyond what may wait for the connections of the tests' pools they are refused."""


async def together(*calls: Any) -> list[Any]:
    """Run calls at once, as many as every pool lets wait; return what each returned or raised."""
    turns = asyncio.Semaphore(TOGETHER_MAX)

    async def take_turn(call: Any) -> Any:
        async with turns:
            return await call

    return await asyncio.gather(*map(take_turn, calls), return_exceptions=True)


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    time = WallClock()
    monkeypatch.setattr(clock, "now", lambda: time.now)
    return time


@pytest.fixture
async def cups(core: Core, wall_clock: WallClock) -> Cups:
    return Cups(core, wall_clock)
