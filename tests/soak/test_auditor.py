"""The auditor sees end states with something wrong in them. What it reads of the store is given by hand."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from soak.auditor import Auditor
from soak.client import Reply
from soak.cup_audit import CupKeeper
from soak.cups import Cup, prizes_of
from soak.findings import Findings
from soak.happenings import Event
from soak.inspection import Stored
from soak.outlaws import Outlaws
from soak.periods import BEGINNING
from soak.workload import Reset

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@dataclass
class State:
    """What is stored and served; a test spoils a part of it."""

    rows: list[Stored] = field(default_factory=list)
    entries: list[tuple[str, str, datetime, str, int, datetime]] = field(default_factory=list)
    served: list[dict[str, Any]] = field(default_factory=list)
    standings: list[dict[str, Any]] = field(default_factory=list)
    prizes: list[dict[str, Any]] = field(default_factory=list)
    resets: list[tuple[str, list[datetime]]] = field(default_factory=list)
    bans: list[tuple[str, datetime | None, datetime | None]] = field(default_factory=list)
    archived: list[tuple[str, str, datetime]] = field(default_factory=list)
    waiting: bytes = b""

    async def waiting_texts(self) -> bytes:
        return self.waiting

    async def events(self, event_ids: Sequence[str]) -> list[Stored]:
        return [row for row in self.rows if row.event_id in event_ids]

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        if name == "count_events":
            return [(len(self.rows),)]
        found: Sequence[Any] = getattr(self, name)
        return found

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Reply:
        if path.startswith("/api/tournaments"):
            entries = self.standings
            return Reply(200, {"status": "settled", "entries": entries}, 0, 0)
        return Reply(200, {"entries": self.served, "total": len(self.served), "next_cursor": None}, 0, 0)


EVENTS = [
    Event(f"{number:032x}", "coins_found", f"user-{number}", {"coins": 10 - number}, NOON, is_acknowledged=True)
    for number in range(3)
]


@pytest.fixture
def state() -> State:
    """Everything as it must be after three events."""
    state = State()
    for rank, event in enumerate(EVENTS, 1):
        coins = event.payload["coins"]
        state.rows.append(
            Stored(event.event_id, event.user_id, event.event_type, NOON, NOON, json.dumps(event.payload))
        )
        for key in ("soak-coins", "soak-season"):
            state.entries.append((key, "", BEGINNING, event.user_id, coins, NOON))
        state.served.append({"rank": rank, "user_id": event.user_id, "score": coins, "achieved_at": NOON.isoformat()})
    return state


async def audited(
    state: State,
    *unacknowledged: Event,
    gone: bytes = b"",
    outlaws: Outlaws | None = None,
    reset: Reset | None = None,
) -> set[str]:
    findings = Findings()
    auditor = Auditor(state, state)
    auditor.model.outlaws = outlaws or Outlaws()
    auditor.resets = [[reset]] if reset else []
    for event in [*EVENTS, *unacknowledged]:
        event.is_stored = False
        auditor.open[event.event_id] = event
        auditor.model.send(event)
    auditor.excuse(gone)
    await auditor.audit(findings, random.Random(1))
    return set(findings.counts)


async def test_what_is_right_is_right(state: State) -> None:
    assert await audited(state) == set()


async def test_what_nobody_acknowledged_may_be_missing(state: State) -> None:
    maybe = Event(f"{9:032x}", "coins_found", "user-9", {"coins": 1}, NOON)

    assert await audited(state, maybe) == set()


async def test_what_waits_in_the_stream_is_late_and_not_lost(state: State) -> None:
    _lose_a_row(state)
    state.waiting = EVENTS[-1].as_json()["id"].encode()

    assert await audited(state) == {"not_healed"}


def _lose_a_row(state: State) -> None:
    for part in (state.rows, state.served):
        part.pop()
    del state.entries[-2:]


def _double_a_row(state: State) -> None:
    state.rows.append(state.rows[0])


def _store_a_stranger(state: State) -> None:
    state.rows.append(state.rows[0]._replace(event_id=f"{99:032x}"))


def _count_twice(state: State) -> None:
    state.entries[0] = (*state.entries[0][:4], 20, NOON)


def _forget_an_entry(state: State) -> None:
    state.entries.pop()


def _change_content(state: State) -> None:
    state.rows[0] = state.rows[0]._replace(payload='{"coins": 11}')


def _serve_a_stale_score(state: State) -> None:
    state.served[2]["score"] = 1


def _serve_another_order(state: State) -> None:
    state.served[0], state.served[1] = state.served[1] | {"rank": 1}, state.served[0] | {"rank": 2}


def _serve_too_few(state: State) -> None:
    state.served.pop()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_lose_a_row, "lost"),
        (_double_a_row, "doubled"),
        (_store_a_stranger, "doubled"),
        (_count_twice, "doubled"),
        (_forget_an_entry, "lost"),
        (_change_content, "lost"),
        (_serve_a_stale_score, "wrong_rank"),
        (_serve_another_order, "wrong_rank"),
        (_serve_too_few, "wrong_rank"),
    ],
)
async def test_what_is_wrong_is_found(state: State, spoil: Callable[[State], None], kind: str) -> None:
    spoil(state)

    assert await audited(state) == {kind}


def _ban(state: State, user_id: str) -> None:
    state.bans.append((user_id, NOON, None))
    state.entries = [entry for entry in state.entries if entry[3] != user_id]
    state.served = [row for row in state.served if row["user_id"] != user_id]


async def test_a_ban_that_nobody_heard_of_may_be_done_or_not(state: State) -> None:
    outlaws = Outlaws.of(["user-2"])
    outlaws.each["user-2"].was_unheard = True
    assert await audited(state, outlaws=outlaws) == set()

    outlaws.each["user-2"].was_unheard = True
    _ban(state, "user-2")
    assert await audited(state, outlaws=outlaws) == set()


async def test_a_ban_that_was_answered_must_be_done(state: State) -> None:
    outlaws = Outlaws.of(["user-2"])
    outlaws.each["user-2"].is_banned = True

    assert await audited(state, outlaws=outlaws) == {"lost"}


async def test_a_banned_player_who_is_left_on_a_board_is_found(state: State) -> None:
    outlaws = Outlaws.of(["user-2"])
    outlaws.each["user-2"].is_banned = True
    served = state.served.copy()
    _ban(state, "user-2")
    state.served = served

    assert await audited(state, outlaws=outlaws) == {"wrong_rank"}


@pytest.mark.parametrize(
    ("times", "answered", "unheard", "kinds"),
    [(1, 1, 0, set()), (1, 0, 1, set()), (0, 1, 0, {"lost"}), (2, 1, 0, {"doubled"}), (2, 1, 1, set())],
)
async def test_resets_are_counted(state: State, times: int, answered: int, unheard: int, kinds: set[str]) -> None:
    state.resets = [("soak-season", [NOON + timedelta(seconds=number + 1) for number in range(times)])]

    assert await audited(state, reset=Reset("soak-season", answered, unheard)) == kinds


def _settled_cup(state: State) -> Cup:
    cup = Cup("cup", NOON, NOON + timedelta(seconds=10))
    for number in range(4):
        event = Event(f"{number:032x}", "game_ended", f"user-{number}", {"score": 10 - number}, NOON)
        cup.take(event, NOON)
    late = Event(f"{9:032x}", "game_ended", "late", {"score": 99}, NOON)
    cup.take(late, NOON + timedelta(minutes=1))
    standings = cup.standings()
    state.standings = [{"rank": rank, "user_id": user, "score": score} for rank, user, score in standings]
    for number, (user, rule, rank, kind, amount) in enumerate(prizes_of(standings)):
        prize = {"prize_id": f"p{number}", "user_id": user, "rule": rule, "rank": rank, "kind": kind, "amount": amount}
        state.prizes.append(prize | {"status": "pending", "claim_key": None, "steps": ["pending"], "claims_told": 0})
    return cup


async def _followed(state: State, cup: Cup) -> set[str]:
    findings = Findings()
    await CupKeeper(state, state, {"cup": cup}).follow(findings)
    return set(findings.counts)


async def test_prizes_follow_from_standings(state: State) -> None:
    cup = _settled_cup(state)

    assert await _followed(state, cup) == set()
    assert [line["user_id"] for line in state.standings] == ["user-0", "user-1", "user-2", "user-3"]
    assert [(prize["user_id"], prize["kind"]) for prize in state.prizes] == [
        ("user-0", "gold"), ("user-0", "silver"), ("user-1", "gold"), ("user-1", "silver"), ("user-2", "gold"),
    ]  # fmt: skip


def _pay_twice(state: State) -> None:
    state.prizes.append(state.prizes[0] | {"prize_id": "again"})


def _pay_nothing(state: State) -> None:
    state.prizes.clear()


def _freeze_nothing(state: State) -> None:
    state.prizes.clear()
    state.standings.clear()


def _claim_unasked(state: State) -> None:
    state.prizes[0] |= {"status": "claimed", "steps": ["pending", "claimed"], "claims_told": 1}


@pytest.mark.parametrize("spoil", [_pay_twice, _pay_nothing, _freeze_nothing, _claim_unasked])
async def test_wrong_books_are_found(state: State, spoil: Callable[[State], None]) -> None:
    cup = _settled_cup(state)
    spoil(state)

    assert await _followed(state, cup) == {"wrong_prize"}


async def test_of_a_stream_that_vanished_only_what_was_in_it_may_be_missing(state: State) -> None:
    _lose_a_row(state)
    last, first = EVENTS[-1].event_id.encode(), EVENTS[0].event_id.encode()

    assert await audited(state, gone=b"[" + last + b"]") == set()
    assert await audited(state, gone=b"[" + first + b"]") == {"lost"}


@pytest.mark.parametrize(
    ("won", "holder", "told", "kinds"),
    [
        ({"a-p0"}, "a-p0", 1, set()),
        ({"a-p0", "b-p0"}, "a-p0", 1, {"wrong_prize"}),
        ({"a-p0"}, "b-p0", 1, {"wrong_prize"}),
        ({"a-p0"}, "a-p0", 2, {"wrong_prize"}),
        (set(), "a-p0", 1, {"wrong_prize"}),
        (set(), None, 1, set()),
    ],
)
async def test_a_prize_is_claimed_by_one(
    state: State, won: set[str], holder: str | None, told: int, kinds: set[str]
) -> None:
    cup = _settled_cup(state)
    await _followed(state, cup)
    cup.claims = [claim for claim in cup.claims if claim.prize_id == "p0"]
    for claim in cup.claims:
        claim.replies.append("claimed" if claim.key in won else "refused")
    steps = ["pending"] + ["claimed"] * told
    state.prizes[0] |= {"status": "claimed", "claim_key": holder, "steps": steps, "claims_told": told}

    assert await _followed(state, cup) == kinds
    assert cup.state == "claimed"
