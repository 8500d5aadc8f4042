"""A small deployment that has lived: every kind of board, archives, tournaments in every state, bans, claims."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from grandstand.domain.leaderboards import TieBreak
from grandstand.operations.count_events import EventCounter
from grandstand.workers.partition_keeper import PartitionKeeper
from tests.support.core import Core, event
from tests.tournaments.cups import HOUR, START, Cups, score

USERS = [f"p{number:02}" for number in range(12)]
SECOND = timedelta(seconds=1)
PRIZES = [{"from": 1, "kind": "gold", "amount": 100}, {"from": 2, "to": 4, "kind": "gold", "amount": 10}]
BOARDS: dict[str, dict[str, Any]] = {
    "sum": {"operator": "sum", "min_score": 0},
    "count": {"operator": "count", "field": None, "order": "asc"},
    "latest": {"operator": "latest", "keep": ["level"], "tie_breaks": [TieBreak("assists", "desc")]},
    "hourly": {"period": "hourly", "segment_by": "country"},
    "buckets": {"bucket_size": 3, "where": {"mode": "ranked"}},
    "cut": {"operator": "sum", "period": "daily"},
}


@dataclass
class Busy:
    """The deployment; `cups` drives it."""

    cups: Cups

    @property
    def core(self) -> Core:
        return self.cups.core

    async def execute(self, query: str, *arguments: Any) -> None:
        """Damage what is stored."""
        status = await self.core.database.pool.execute(query, *arguments)
        assert not status.endswith(" 0"), f"nothing was damaged: {query}"

    async def play(self) -> None:
        """Everybody scores, some of them in the tournament that runs."""
        self.cups.time.forward(seconds=1)
        now = self.cups.time.now
        events = [
            event(user, at=now - number * SECOND, payload={
                "score": number % 5, "country": ["DE", "FR"][number % 2], "mode": ["ranked", "casual"][number % 3 == 0],
                "level": {"name": "b", "deep": [number, 1.5]}, "assists": number % 3,
            })
            for number, user in enumerate(USERS)
        ]  # fmt: skip
        others = [event(user, at=now, event_type="login") for user in USERS[:3]]
        await self.cups.send(*events, *others, event("lone", 7, at=now))

    async def reindex(self) -> None:
        """Give the rank indexes what the entries hold by now."""
        await self.core.database.pool.execute("UPDATE entries SET version = nextval('entry_versions')")
        keys = [key async for key in self.core.valkey.scan_iter(f"{self.core.prefix}:{{r*", count=1000)]
        await self.core.valkey.delete(*keys)
        for _ in range(2):
            await self.core.new_keeper().keep()


async def build(cups: Cups) -> Busy:
    """Make the deployment and let it live for some hours."""
    core, time, busy = cups.core, cups.time, Busy(cups)
    time.at(START - HOUR / 2)
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await cups.create("early", prizes=PRIZES, starts_at=START, ends_at=START + HOUR)
    await cups.create("strict", operator="sum", max_attempts=2, ends_at=START + HOUR, prizes=PRIZES)
    await busy.play()
    time.at(START)
    await cups.run()
    for number in range(3):
        time.forward(seconds=60)
        for cup in ("early", "strict"):
            await cups.send(
                *(score(user, place + number, at=time.now, cup=cup) for place, user in enumerate(USERS[:8]))
            )
    await core.definer.remove_user("sum", USERS[0])
    await busy.play()
    await cups.ban(USERS[7])
    await busy.play()
    await cups.settle("early")
    await cups.claim(str((await cups.awarded("early"))[0].id), "key")
    await cups.ban(USERS[3])
    time.forward(seconds=1)
    await cups.banner.lift(USERS[3])
    await core.definer.reset("cut")
    await busy.play()
    await core.new_replayer().replay("count", None, dry_run=False)
    await core.refresh()
    # Two hours later: the first hours are archived, another tournament runs.
    await cups.create("late", starts_at=time.now + HOUR, ends_at=time.now + 4 * HOUR, operator="count")
    time.forward(hours=2)
    await cups.run()
    for _ in range(2):
        await busy.play()
        await core.writer.write("sum", msgspec.json.encode({"user_id": "p05", "score": 4}))
        await cups.process()
        await cups.send(*(score(user, 1, at=time.now, cup="late") for user in USERS[4:7]))
    await core.new_closer().close()
    await core.sweeper.sweep()
    await PartitionKeeper(core.database, core.event_log, ahead=1).keep()
    await EventCounter(core.database, core.event_log).count()
    return busy
