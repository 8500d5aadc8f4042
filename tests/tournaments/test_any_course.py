"""Whatever happens in whatever order: the books are those of a model that was told the same."""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from grandstand.domain.errors import GrandstandError
from tests.support.invariants import check_invariants
from tests.tournaments.cups import HOUR, START, Cups, score, together
from tests.tournaments.model import Model, Sent

USERS = [f"u{number}" for number in range(9)]
STEPS = 180
MINUTE = timedelta(minutes=1)


class Course:
    """One random course of events, done and told to the model."""

    def __init__(self, cups: Cups, seed: int) -> None:
        self.cups = cups
        self.randomly = random.Random(seed)
        self.model = Model()
        self.others = [cups, cups.other()]
        self.unprocessed: list[Sent] = []
        self.sent: list[Any] = []
        self.claims: dict[tuple[str, int, str, int], str] = {}

    @property
    def now(self) -> datetime:
        return self.cups.time.now

    async def go(self) -> None:
        steps = {
            self.create: 3, self.join: 8, self.play: 60, self.wait: 12, self.run: 16, self.ban: 3, self.lift: 3,
            self.cancel: 1, self.end: 3, self.change: 6, self.claim: 8, self.restart: 2, self.close_periods: 2,
        }  # fmt: skip
        await self.create()
        for _ in range(STEPS):
            (step,) = self.randomly.choices(list(steps), list(steps.values()))
            await step()
        for cup in self.model.cups:
            patch = {"repeat": None}
            assert await refusal(self.cups.change(cup, **patch)) == self.model.change(cup, patch, self.now)
        self.cups.time.forward(days=2)
        await self.process()
        await self.run()
        await self.check()
        looked = await check_invariants(self.cups.core)
        assert looked["prizes_match_standings"].looked_at == len(self.model.prizes)

    def cup(self) -> str:
        return self.randomly.choice(list(self.model.cups))

    async def create(self) -> None:
        if len(self.model.cups) == 6:
            return
        name = f"cup{len(self.model.cups)}"
        begin = self.now.replace(second=0) + self.randomly.randint(-40, 60) * MINUTE
        rules: dict[str, Any] = {
            "starts_at": begin,
            "ends_at": max(begin, self.now) + self.randomly.choice([1, 10, 30, 60, 240]) * MINUTE,
            "operator": self.randomly.choice(["best", "latest", "sum", "count"]),
            "order": self.randomly.choice(["desc", "asc"]),
            "join": self.randomly.choice(["open", "open", "required"]),
            "max_players": self.randomly.choice([None, None, 1, 3, 6]),
            "max_attempts": self.randomly.choice([None, None, 1, 2, 5]),
            "prizes": self.prizes(),
            "claim_days": self.randomly.choice([1, 30]),
            "repeat": self.randomly.choice([None, "cron: 15 * * * *", "cron: 0 18 * * *"]),
        }
        await self.cups.create(name, **rules)
        self.model.create(name, rules)

    def prizes(self) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = []
        rank = 1
        for _ in range(self.randomly.randint(0, 3)):
            last = rank + self.randomly.randint(0, 2)
            rules.append({"from": rank, "to": last, "kind": "gold", "amount": self.randomly.randint(1, 1000)})
            rank = last + self.randomly.randint(1, 2)
        for kind in self.randomly.sample(["ticket", "badge"], self.randomly.randint(0, 2)):
            percent = self.randomly.choice([0.1, 10, 33.3, 50, 100])
            rules.append({"top_percent": percent, "kind": kind, "amount": self.randomly.randint(1, 10)})
        self.randomly.shuffle(rules)
        return rules

    async def join(self) -> None:
        cup, user = self.cup(), self.randomly.choice(USERS)
        wanted = self.model.join(cup, user, self.now)
        assert await refusal(self.randomly.choice(self.others).joiner.join(cup, user)) == wanted

    async def play(self) -> None:
        """Some events of any time up to now arrive; mostly they are processed at once."""
        events = []
        for _ in range(self.randomly.randint(1, 8)):
            if self.sent and self.randomly.random() < 0.1:
                made, value, cup = self.randomly.choice(self.sent)
            else:
                cup = self.cup()
                value = self.randomly.choice([0, 1, 2, 3, 5, 8, -4, None])
                made = score(
                    self.randomly.choice(USERS), value, at=self.moment(cup), cup=cup,
                    event_id=UUID(int=self.randomly.getrandbits(128)),
                )  # fmt: skip
                self.sent.append((made, value, cup))
            events.append(made)
            # An event without a score counts where no score is asked for.
            counted = 1 if self.model.cups[cup].rules["operator"] == "count" and value is not None else value
            self.unprocessed.append(Sent(str(made.id), cup, made.user_id, counted, made.occurred_at, self.now))
        await self.cups.append(*events)
        if self.randomly.random() < 0.9:
            await self.process()

    def moment(self, cup: str) -> datetime:
        """A time near the beginning, the end or anywhere within an occurrence, but not in the future."""
        occurrence = self.randomly.choice(self.model.cups[cup].occurrences[-3:])
        seconds = timedelta(seconds=self.randomly.choice([-1, 0, 0, 1]))
        within = self.randomly.random() * (occurrence.ends_at - occurrence.starts_at)
        near = [occurrence.starts_at + seconds, occurrence.ends_at + seconds, occurrence.starts_at + within, self.now]
        (at,) = self.randomly.choices(near, [1, 1, 5, 3])
        return min(at, self.now).replace(microsecond=0)

    async def process(self) -> None:
        await self.randomly.choice(self.others).process()
        self.model.process(self.unprocessed)
        self.unprocessed = []

    async def wait(self) -> None:
        edges = [
            edge
            for cup in self.model.cups.values()
            for each in cup.occurrences[-2:]
            for edge in (each.starts_at, each.ends_at, each.ends_at + 2 * MINUTE, each.ends_at + 2.2 * MINUTE)
            if edge > self.now
        ]
        jump = self.randomly.random()
        if edges and jump < 0.5:
            self.cups.time.at(min(edges))
        elif jump < 0.97:
            self.cups.time.forward(seconds=self.randomly.choice([1, 30, 600, 1800]))
        else:
            self.cups.time.forward(hours=self.randomly.choice([5, 30]))

    async def run(self) -> None:
        """One runner takes the steps, or two at once do."""
        runners = self.others if self.randomly.random() < 0.2 else [self.randomly.choice(self.others)]
        for problem in await together(*(each.run() for each in runners)):
            assert not isinstance(problem, BaseException), problem
        self.model.run(self.now, min((event.received_at for event in self.unprocessed), default=None))
        await self.check()

    async def restart(self) -> None:
        """What a process knew is gone."""
        self.others[self.randomly.randrange(2)] = self.cups.other()

    async def close_periods(self) -> None:
        await self.cups.core.new_closer().close()
        await self.cups.core.sweeper.sweep()

    async def ban(self) -> None:
        user = self.randomly.choice(USERS)
        assert await self.cups.ban(user) == self.model.ban(user)

    async def lift(self) -> None:
        if self.model.banned:
            user = self.randomly.choice(sorted(self.model.banned))
            await self.cups.banner.lift(user)
            self.model.lift(user, self.now)

    async def cancel(self) -> None:
        cup = self.cup()
        assert await refusal(self.cups.keeper.cancel(cup)) == self.model.cancel(cup)

    async def end(self) -> None:
        cup = self.cup()
        assert await refusal(self.cups.keeper.end(cup)) == self.model.end(cup, self.now)

    async def change(self) -> None:
        cup = self.cup()
        current = self.model.cups[cup].current()
        shift = self.randomly.choice([-30, -5, 5, 30, 120]) * MINUTE
        patch = self.randomly.choice([
            {"ends_at": current.ends_at + shift}, {"starts_at": current.starts_at + shift},
            {"max_attempts": self.randomly.choice([None, 1, 4])}, {"prizes": self.prizes()},
            {"max_players": self.randomly.choice([None, 2, 5])}, {"repeat": None}, {"repeat": "cron: 45 * * * *"},
            {"join": self.randomly.choice(["open", "required"])},
        ])  # fmt: skip
        assert await refusal(self.cups.change(cup, **patch)) == self.model.change(cup, patch, self.now)

    async def claim(self) -> None:
        if not self.model.prizes:
            return
        key = self.randomly.choice(list(self.model.prizes))
        rows = await self.cups.fetch(
            "SELECT prize_id FROM prizes WHERE (tournament_id, occurrence, user_id, rule) = ($1, $2, $3, $4)", *key
        )
        idempotency_key = self.randomly.choice([None, "a", "b"])
        wanted = self.model.claim(key, self.now)
        if wanted == "":
            self.claims[key] = idempotency_key or ""
        elif wanted == "already_claimed" and idempotency_key and self.claims[key] == idempotency_key:
            wanted = ""
        assert await refusal(self.cups.claim(str(rows[0][0]), idempotency_key)) == wanted

    async def check(self) -> None:
        model, fetch = self.model, self.cups.fetch
        everything = [(name, each) for name, cup in model.cups.items() for each in cup.occurrences]
        rows = await fetch("SELECT tournament_id, occurrence, starts_at, ends_at, status, players FROM occurrences")
        assert {tuple(row) for row in rows} == {
            (name, each.number, each.starts_at, each.ends_at, each.status, len(each.attempts))
            for name, each in everything
        }
        rows = await fetch("SELECT tournament_id, occurrence, user_id, attempts FROM participants")
        assert {tuple(row) for row in rows} == {
            (name, each.number, user, count) for name, each in everything for user, count in each.attempts.items()
        }
        rows = await fetch("SELECT tournament_id, occurrence, rank, user_id, score, achieved_at FROM standings")
        assert {tuple(row) for row in rows} == {
            (name, each.number, *line) for name, each in everything for line in each.standings
        }
        rows = await fetch(
            "SELECT tournament_id, occurrence, user_id, rule, rank, kind, amount, awarded_at, expires_at, status "
            "FROM prizes"
        )
        assert Counter(tuple(row) for row in rows) == Counter(
            (*key, prize.rank, prize.kind, prize.amount, prize.awarded_at, prize.expires_at, prize.status)
            for key, prize in model.prizes.items()
        )
        await self.cups.check_books()
        self.check_sums(rows)

    def check_sums(self, rows: Any) -> None:
        """What was awarded is what the rank table gives for so many players."""
        awarded: Counter[tuple[str, int, str]] = Counter()
        for row in rows:
            awarded[row["tournament_id"], row["occurrence"], row["kind"]] += row["amount"]
        assert awarded == {
            (name, each.number, kind): amount
            for name, cup in self.model.cups.items()
            for each in cup.occurrences
            for kind, amount in each.amounts.items()
            if amount
        }


async def refusal(call: Any) -> str:
    """The code with which a call is refused; nothing when it is not."""
    try:
        await call
    except GrandstandError as error:
        return error.code
    return ""


@pytest.mark.parametrize("seed", range(6))
async def test_any_course(cups: Cups, seed: int) -> None:
    cups.time.at(START - HOUR)
    await Course(cups, seed).go()
