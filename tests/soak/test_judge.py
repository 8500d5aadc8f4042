"""The judge gets wrong replies, and must say so; and right ones, and must be silent."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from soak.client import Reply
from soak.cups import Claim
from soak.findings import Findings
from soak.happenings import Event
from soak.judge import Judge
from soak.model import Model
from soak.outlaws import Outlaws, Sentence
from soak.weather import Weather
from soak.workload import Read, Write

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PAGE = Read("page", "global", limit=10)


def reply(status: int | None, body: Any = None) -> Reply:
    now = time.monotonic()
    return Reply(status, body, now, now)


def game(number: int, user: str, score: int) -> Event:
    return Event(f"{number:032x}", "game_ended", user, {"score": score}, NOON + timedelta(seconds=number))


@pytest.fixture
def judge() -> Judge:
    """Three players are settled: ann 9, bob 7, cyd 5."""
    model = Model()
    for number, (user, score) in enumerate((("ann", 9), ("bob", 7), ("cyd", 5))):
        model.settle(game(number, user, score), NOON)
    return Judge(model, Weather(), Findings(), {})


def row(rank: int, user: str, score: int, number: int) -> dict[str, Any]:
    at = (NOON + timedelta(seconds=number)).isoformat()
    return {"rank": rank, "user_id": user, "score": score, "achieved_at": at}


RIGHT = [row(1, "ann", 9, 0), row(2, "bob", 7, 1), row(3, "cyd", 5, 2)]


def page(entries: list[dict[str, Any]], total: int = 3) -> Reply:
    return reply(200, {"entries": entries, "total": total})


def found(judge: Judge) -> set[str]:
    return set(judge.findings.counts)


def test_a_right_page_is_right(judge: Judge) -> None:
    judge.replied(PAGE, page(RIGHT))

    assert found(judge) == set()


@pytest.mark.parametrize(
    ("entries", "total"),
    [
        pytest.param([RIGHT[1] | {"rank": 1}, RIGHT[0] | {"rank": 2}, RIGHT[2]], 3, id="not in order"),
        pytest.param([RIGHT[0], RIGHT[1], RIGHT[2] | {"rank": 4}], 3, id="ranks with a gap"),
        pytest.param([RIGHT[0], RIGHT[1], RIGHT[1] | {"rank": 3}], 3, id="a player twice"),
        pytest.param([RIGHT[0] | {"score": 8}, *RIGHT[1:]], 3, id="a score that was never sent"),
        pytest.param(RIGHT[:2], 2, id="a player is gone"),
        pytest.param(RIGHT[:2], 3, id="fewer entries than there are"),
        pytest.param([*RIGHT, row(4, "dee", 1, 3)], 4, id="a stranger"),
    ],
)
def test_a_wrong_page_is_found(judge: Judge, entries: list[dict[str, Any]], total: int) -> None:
    judge.replied(PAGE, page(entries, total))

    assert found(judge) == {"wrong_rank"}


def test_an_event_may_be_seen_from_the_moment_it_is_sent(judge: Judge) -> None:
    with_dee = [row(1, "dee", 11, 8), *(entry | {"rank": entry["rank"] + 1} for entry in RIGHT)]
    sent = game(8, "dee", 11)
    judge.about_to_send(Write([sent], [sent.as_json()]))

    judge.replied(PAGE, page(with_dee, 4))
    judge.replied(PAGE, page(RIGHT))

    assert found(judge) == set()


def test_who_was_ranked_stays_ranked(judge: Judge) -> None:
    gone = reply(404, {"code": "not_ranked"})
    judge.replied(Read("user", "global", users=("nobody",)), gone)
    assert found(judge) == set()

    judge.replied(Read("user", "global", users=("ann",)), gone)
    assert found(judge) == {"wrong_rank"}


@pytest.mark.parametrize(
    ("status", "body", "is_right"),
    [
        (202, {"accepted": 2, "rejected": [{"index": 1, "code": "invalid_id", "message": ""}]}, True),
        (202, {"accepted": 3, "rejected": []}, False),
        (202, {"accepted": 1, "rejected": [{"index": 1, "code": "invalid_id", "message": ""}]}, False),
        (202, {"accepted": 2, "rejected": [{"index": 0, "code": "invalid_id", "message": ""}]}, False),
        (202, {"accepted": 2, "rejected": [{"index": 1, "code": "invalid_event", "message": ""}]}, False),
        (200, {"accepted": 2, "rejected": [{"index": 1, "code": "invalid_id", "message": ""}]}, False),
        (500, {"code": "internal_error"}, False),
        (422, {"code": "invalid", "accepted": 0, "rejected": []}, False),
    ],
)
def test_replies_to_writes(judge: Judge, status: int, body: dict[str, Any], is_right: bool) -> None:
    events = [game(number, "dee", 1) for number in (8, 9)]
    bodies = [each.as_json() for each in events]
    write = Write(events, [bodies[0], bodies[0] | {"id": "x"}, bodies[1]], [(1, "invalid_id")])
    judge.about_to_send(write)

    judge.replied(write, reply(status, body))

    assert found(judge) == (set() if is_right else {"wrong_reply"})
    assert all(event.is_acknowledged == (status == 202) for event in events)


@pytest.mark.parametrize("status", [None, 503])
def test_no_reply_is_only_right_in_rough_weather(judge: Judge, status: int | None) -> None:
    sent = game(8, "dee", 1)
    write = Write([sent], [sent.as_json()])
    judge.about_to_send(write)
    judge.weather.begin()
    judge.replied(write, reply(status))
    assert found(judge) == set()
    assert not sent.is_acknowledged

    calm = Judge(judge.model, Weather(), Findings(), {})
    calm.replied(write, reply(status))
    assert found(calm) == {"wrong_reply"}


def test_replies_to_claims(judge: Judge) -> None:
    claim = Claim("p", "k")
    judge.replied(claim, reply(200, {"id": "p", "status": "claimed"}))
    judge.replied(claim, reply(409, {"code": "already_claimed"}))
    assert (found(judge), claim.replies) == (set(), ["claimed", "refused"])

    judge.replied(claim, reply(404, {"code": "prize_not_found"}))
    assert found(judge) == {"wrong_reply"}


def test_a_banned_player_must_not_be_shown_any_more(judge: Judge) -> None:
    judge.model.outlaws = Outlaws.of(["ann"])
    ban = Sentence(judge.model.outlaws.each["ann"], "ban")
    judge.about_to_send(ban)
    answer = reply(200, {"is_banned": True, "prizes_voided": 0})
    judge.replied(ban, answer)

    soon, later = (page(RIGHT)._replace(sent_at=answer.ended_at + seconds) for seconds in (0.1, 9.0))
    judge.replied(PAGE, soon)
    assert found(judge) == set()

    judge.replied(PAGE, later)
    assert found(judge) == {"wrong_rank"}


def test_who_is_let_in_again_may_be_shown_or_not(judge: Judge) -> None:
    judge.model.outlaws = Outlaws.of(["ann"])
    outlaw = judge.model.outlaws.each["ann"]
    outlaw.is_banned, outlaw.gone_since = True, 0.0
    judge.about_to_send(Sentence(outlaw, "unban"))

    judge.replied(PAGE, page(RIGHT))
    judge.replied(PAGE, page([row(1, "bob", 7, 1), row(2, "cyd", 5, 2)], 2))

    assert found(judge) == set()


def test_only_a_sentence_that_was_asked_for_again_may_be_refused(judge: Judge) -> None:
    judge.model.outlaws = Outlaws.of(["ann"])
    unban = Sentence(judge.model.outlaws.each["ann"], "unban")
    refused = reply(404, {"code": "player_not_banned"})
    judge.replied(unban, refused)
    assert found(judge) == {"wrong_reply"}

    judge.findings = Findings()
    unban.fail()
    judge.replied(unban, refused)
    assert found(judge) == set()
