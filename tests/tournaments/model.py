"""What tournaments come to, computed from the contract alone; nothing of Grandstand's code is used here.

A model is told what happens in the order in which it happens, and says what must be in the books.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

GRACE = timedelta(seconds=120)
SLACK = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
OPEN = ("scheduled", "active", "ended")
DEFINITION = {
    "order": "desc", "join": "open", "max_players": None, "max_attempts": None, "prizes": [], "claim_days": 30,
    "repeat": None,
}  # fmt: skip


class Scored(NamedTuple):
    at: datetime
    event_id: str
    score: int


class Sent(NamedTuple):
    """An event as it was sent; `value` None for one that holds no score."""

    event_id: str
    cup: str
    user: str
    value: int | None
    at: datetime
    received_at: datetime


@dataclass
class Prize:
    rank: int
    kind: str
    amount: int
    awarded_at: datetime
    expires_at: datetime
    status: str = "pending"


@dataclass
class Occurrence:
    number: int
    starts_at: datetime
    ends_at: datetime
    status: str = "scheduled"
    rules: dict[str, Any] | None = None
    """Its own from its start on."""
    attempts: dict[str, int] = field(default_factory=dict)
    scores: dict[str, list[Scored]] = field(default_factory=lambda: defaultdict(list))
    standings: list[tuple[int, str, int, datetime]] = field(default_factory=list)
    amounts: Counter[str] = field(default_factory=Counter)
    """What the rank table gives for so many players, by kind."""


@dataclass
class Cup:
    rules: dict[str, Any]
    occurrences: list[Occurrence]

    def current(self) -> Occurrence:
        """The running one, else the next, else the last that began."""
        running = [each for each in self.occurrences if each.status in ("active", "ended")]
        ahead = [each for each in self.occurrences if each.status == "scheduled"]
        if running or ahead:
            return running[-1] if running else ahead[0]
        cancelled = [each for each in self.occurrences if each.status == "cancelled"]
        begun = [each for each in cancelled if each.rules is not None]
        return (begun or cancelled[:1] or self.occurrences)[-1]

    def open(self, now: datetime) -> Occurrence | None:
        """The one that may be entered and changed."""
        going = [each for each in self.occurrences if each.ends_at > now and each.status in ("scheduled", "active")]
        return min(going, key=lambda each: (each.status != "active", each.number), default=None)

    def rules_of(self, occurrence: Occurrence) -> dict[str, Any]:
        return self.rules if occurrence.rules is None else occurrence.rules

    def begin(self, occurrence: Occurrence) -> None:
        occurrence.status, occurrence.rules = "active", self.rules
        following = self.following(occurrence)
        if following is not None:
            self.occurrences.append(following)

    def following(self, of: Occurrence) -> Occurrence | None:
        if self.rules["repeat"] is None:
            return None
        minute, hour = self.rules["repeat"].removeprefix("cron: ").split()[:2]
        at = of.ends_at.replace(second=0, microsecond=0)
        if at < of.ends_at:
            at += MINUTE
        while not (at.minute == int(minute) and hour in ("*", str(at.hour))):
            at += MINUTE
        return Occurrence(of.number + 1, at, at + (self.rules["ends_at"] - self.rules["starts_at"]))


class Model:
    def __init__(self) -> None:
        self.cups: dict[str, Cup] = {}
        self.banned: set[str] = set()
        self.lifted: dict[str, datetime] = {}
        self.prizes: dict[tuple[str, int, str, int], Prize] = {}
        self.seen: set[str] = set()

    def create(self, cup: str, rules: dict[str, Any]) -> None:
        rules = DEFINITION | rules
        self.cups[cup] = Cup(rules, [Occurrence(1, rules["starts_at"], rules["ends_at"])])

    def join(self, cup: str, user: str, now: datetime) -> str:
        """Return the code of the refusal, or nothing."""
        current = self.cups[cup].open(now)
        if current is None:
            return "tournament_over"
        rules = self.cups[cup].rules_of(current)
        if user in self.banned:
            return "player_banned"
        if user not in current.attempts and len(current.attempts) >= (rules["max_players"] or math.inf):
            return "tournament_full"
        current.attempts.setdefault(user, 0)
        return ""

    def change(self, cup: str, patch: dict[str, Any], now: datetime) -> str:
        held, current = self.cups[cup], self.cups[cup].open(now)
        if current is None:
            return "tournament_over"
        rules = {**held.rules_of(current), "starts_at": current.starts_at, "ends_at": current.ends_at, **patch}
        has_begun = current.status == "active" or current.starts_at <= now
        if rules["ends_at"] <= max(now, rules["starts_at"]) or (has_begun and rules["starts_at"] != current.starts_at):
            return "invalid"
        if rules["starts_at"] != current.starts_at:
            if any(rules["starts_at"] < each.ends_at for each in held.occurrences if each.number < current.number):
                return "invalid"
            if any(current.attempts.values()):
                return "tournament_has_scores"
        held.rules = rules
        current.starts_at, current.ends_at = rules["starts_at"], rules["ends_at"]
        if current.status == "active":
            current.rules = rules
        self._reschedule(held, current)
        return ""

    def _reschedule(self, held: Cup, current: Occurrence) -> None:
        """What comes next follows from the new rules; who has entered it stays."""
        ahead = [each for each in held.occurrences if each.number > current.number]
        following = held.following(current)
        if not ahead and current.status == "scheduled":
            return
        if ahead and following is not None:
            if (ahead[0].starts_at, ahead[0].ends_at) == (following.starts_at, following.ends_at):
                return
            ahead[0].starts_at, ahead[0].ends_at = following.starts_at, following.ends_at
            following = ahead[0]
        held.occurrences = [each for each in held.occurrences if each.number <= current.number]
        if following is not None:
            held.occurrences.append(following)

    def end(self, cup: str, now: datetime) -> str:
        current = self.cups[cup].current()
        if current.status not in ("scheduled", "active") or now <= current.starts_at:
            return "tournament_not_active"
        if current.status == "scheduled":
            self.cups[cup].begin(current)
        current.ends_at, current.status = min(now, current.ends_at), "ended"
        return ""

    def cancel(self, cup: str) -> str:
        if self.cups[cup].current().status not in OPEN:
            return "tournament_settled"
        for each in self.cups[cup].occurrences:
            each.status = "cancelled" if each.status in OPEN else each.status
        return ""

    def ban(self, user: str) -> int:
        self.banned.add(user)
        for cup in self.cups.values():
            for each in cup.occurrences:
                if each.status in OPEN:
                    each.scores.pop(user, None)
                    each.attempts.pop(user, None)
        mine = [prize for key, prize in self.prizes.items() if key[2] == user and prize.status == "pending"]
        for prize in mine:
            prize.status = "voided"
        return len(mine)

    def lift(self, user: str, now: datetime) -> None:
        """What arrives from now on counts."""
        self.banned.discard(user)
        self.lifted[user] = now

    def process(self, batch: Iterable[Sent]) -> None:
        """What one transaction brings in."""
        new = {}
        for event in batch:
            if event.event_id not in self.seen:
                new.setdefault(event.event_id, event)
        self.seen.update(new)
        asking: dict[tuple[str, int], dict[str, list[Scored]]] = defaultdict(lambda: defaultdict(list))
        for event in new.values():
            occurrence = self._target(event)
            if occurrence is not None and event.value is not None:
                mine = asking[event.cup, occurrence.number][event.user]
                mine.append(Scored(event.at, event.event_id, event.value))
        for (name, number), users in asking.items():
            occurrence = self.cups[name].occurrences[number - 1]
            rules = self.cups[name].rules_of(occurrence)
            for user in sorted(users):
                if user not in occurrence.attempts:
                    room = (rules["max_players"] or math.inf) - len(occurrence.attempts)
                    if rules["join"] == "required" or room <= 0:
                        continue
                    occurrence.attempts[user] = 0
                for scored in sorted(users[user]):
                    if occurrence.attempts[user] < (rules["max_attempts"] or math.inf):
                        occurrence.attempts[user] += 1
                        occurrence.scores[user].append(scored)

    def _target(self, event: Sent) -> Occurrence | None:
        if event.cup not in self.cups or event.user in self.banned:
            return None
        if event.user in self.lifted and event.received_at <= self.lifted[event.user]:
            return None
        for each in self.cups[event.cup].occurrences:
            is_in = each.starts_at <= event.at < each.ends_at and event.received_at < each.ends_at + GRACE
            if is_in and each.status in OPEN:
                return each
        return None

    def run(self, now: datetime, oldest_unprocessed: datetime | None) -> None:
        """Every step that is due, and what expires."""
        processed_until = now if oldest_unprocessed is None else oldest_unprocessed
        for name, cup in self.cups.items():
            # Occurrences are made while they are walked through.
            for each in cup.occurrences:
                if each.status == "scheduled" and each.starts_at <= now:
                    cup.begin(each)
                if each.status == "active" and each.ends_at <= now:
                    each.status = "ended"
                if each.status == "ended" and each.ends_at + GRACE + SLACK <= processed_until:
                    self._settle(name, cup, each, now)
        for prize in self.prizes.values():
            if prize.status == "pending" and prize.expires_at <= now:
                prize.status = "expired"

    def _settle(self, name: str, cup: Cup, occurrence: Occurrence, now: datetime) -> None:
        occurrence.status = "settled"
        rules = cup.rules_of(occurrence)
        lines = []
        for user, scored in occurrence.scores.items():
            score, at = result(rules["operator"], rules["order"], scored)
            lines.append((-score if rules["order"] == "desc" else score, at, user.encode(), user, score))
        lines.sort()
        occurrence.standings = [(rank, line[3], line[4], line[1]) for rank, line in enumerate(lines, start=1)]
        for rule in rules["prizes"]:
            ranks = sum(is_given(rule, rank, len(lines)) for rank in range(1, len(lines) + 1))
            occurrence.amounts[rule["kind"]] += rule["amount"] * ranks
        expires_at = now + timedelta(days=rules["claim_days"])
        for rank, user, _, _ in occurrence.standings:
            for number, rule in enumerate(rules["prizes"]):
                if is_given(rule, rank, len(lines)):
                    prize = Prize(rank, rule["kind"], rule["amount"], now, expires_at)
                    self.prizes[name, occurrence.number, user, number] = prize

    def claim(self, key: tuple[str, int, str, int], now: datetime) -> str:
        prize = self.prizes[key]
        if prize.status in ("claimed", "voided"):
            return {"claimed": "already_claimed", "voided": "prize_voided"}[prize.status]
        if prize.status == "expired" or prize.expires_at <= now:
            return "prize_expired"
        prize.status = "claimed"
        return ""


def is_given(rule: dict[str, Any], rank: int, players: int) -> bool:
    if "top_percent" in rule:
        return rank <= math.ceil(Fraction(repr(rule["top_percent"])) * players / 100)
    return bool(rule["from"] <= rank <= rule.get("to", rule["from"]))


def result(operator: str, order: str, scored: list[Scored]) -> tuple[int, datetime]:
    """Return the score of a player and when it was reached."""
    last = max(scored)
    if operator == "latest":
        return last.score, last.at
    if operator == "best":
        best = (max if order == "desc" else min)(each.score for each in scored)
        return best, min(each.at for each in scored if each.score == best)
    return (len(scored) if operator == "count" else sum(each.score for each in scored)), last.at
