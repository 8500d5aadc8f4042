"""Short tournaments: what their standings and prizes must be, and claims that race for each prize."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from soak.client import Reply
from soak.happenings import Event

GRACE_SECONDS = 2
SLACK_SECONDS = 5
CLAIMED_PRIZES_MAX = 6
PRIZES: tuple[dict[str, Any], ...] = (
    {"from": 1, "to": 3, "kind": "gold", "amount": 100},
    {"top_percent": 50, "kind": "silver", "amount": 10},
)


@dataclass
class Claim:
    """One claim of one prize. `replies` are those that came; a claim is repeated until one does."""

    prize_id: str
    key: str | None
    replies: list[str] = field(default_factory=list)
    persistent: bool = True

    def take(self, reply: Reply) -> bool:
        """Note a reply; False when a claim must never be answered so."""
        if reply.status == 200 and reply.body["status"] == "claimed" and reply.body["id"] == self.prize_id:
            self.replies.append("claimed")
        elif (reply.status, reply.code) == (409, "already_claimed"):
            self.replies.append("refused")
        else:
            return False
        return True


@dataclass
class Cup:
    """One tournament. Of one whose time was jumped about only the books are checked, not who was in time."""

    cup_id: str
    starts_at: datetime
    ends_at: datetime
    is_clear: bool = True
    state: Literal["running", "settled", "claimed"] = "running"
    scored: dict[str, tuple[Event, datetime]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)

    def definition(self) -> dict[str, Any]:
        """Return the body that creates it."""
        return {
            "id": self.cup_id,
            "title": "Soak",
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            "event_type": "game_ended",
            "field": "score",
            "operator": "best",
            "prizes": list(PRIZES),
        }

    def take(self, event: Event, received_at: datetime) -> None:
        """Hear of a stored event that names this tournament."""
        self.scored[event.event_id] = (event, received_at)

    def standings(self) -> list[tuple[int, str, int]]:
        """Return (rank, user, score) of everybody whose scores lie within the times and came within the grace."""
        best: dict[str, tuple[int, datetime]] = {}
        until = self.ends_at + timedelta(seconds=GRACE_SECONDS)
        for event, received_at in self.scored.values():
            at = event.occurred_at
            if at is None or not self.starts_at <= at < self.ends_at or received_at >= until:
                continue
            mine = (-int(event.payload["score"]), at)
            best[event.user_id] = min(best.get(event.user_id, mine), mine)
        order = sorted(best, key=lambda user: (*best[user], user.encode()))
        return [(rank, user, -best[user][0]) for rank, user in enumerate(order, 1)]


def prizes_of(standings: list[tuple[int, str, int]]) -> list[tuple[str, int, int, str, int]]:
    """Return (user, rule, rank, kind, amount) of every prize that follows from standings, in order."""
    due = []
    for rank, user, _ in standings:
        for number, rule in enumerate(PRIZES):
            if "top_percent" in rule:
                is_won = rank <= -(-rule["top_percent"] * len(standings) // 100)
            else:
                is_won = rule["from"] <= rank <= rule["to"]
            if is_won:
                due.append((user, number, rank, str(rule["kind"]), int(rule["amount"])))
    return sorted(due)


def race_for(cup: Cup, prize_ids: list[str]) -> list[Claim]:
    """Return claims that race: for each prize two with one key, one with another and one without."""
    cup.claims = [
        Claim(prize_id, key)
        for prize_id in prize_ids[:CLAIMED_PRIZES_MAX]
        for key in (f"a-{prize_id}", f"b-{prize_id}", f"a-{prize_id}", None)
    ]
    return cup.claims


def winners(claims: list[Claim]) -> set[str | None]:
    """Return the keys that won a prize by their replies.

    None may have won unheard: a claim without a key whose reply got lost is refused when it is repeated.
    """
    return {claim.key for claim in claims if "claimed" in claim.replies}
