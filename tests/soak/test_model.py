"""The auditor's own model, on cases small enough to check by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from soak.findings import Findings
from soak.happenings import DIRECT, Event
from soak.model import Model, Ranking
from soak.outlaws import Outlaws
from soak.periods import ALL_TIME

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
_numbers = iter(range(1, 1_000))


def event(user: str, kind: str = "game_ended", at: float = 0, **payload: Any) -> Event:
    return Event(f"{next(_numbers):032x}", kind, user, payload, NOON + timedelta(seconds=at))


def settled(*events: Event) -> Model:
    model = Model()
    for each in events:
        model.send(each)
        model.settle(each, NOON)
    return model


def lines(model: Model, key: str, segment: str = "", period: str = ALL_TIME) -> list[tuple[str, int]]:
    return [(line.user_id, line.score) for line in model.standings(Ranking(key, segment, period))]


def test_the_best_score_counts_and_who_had_it_first_is_ahead() -> None:
    model = settled(
        event("b", score=5, at=9), event("b", score=5, at=2), event("a", score=5, at=3), event("c", score=7)
    )

    assert lines(model, "global") == [("c", 7), ("b", 5), ("a", 5)]


def test_sums_counts_and_latest() -> None:
    model = settled(
        event("a", "coins_found", coins=3), event("a", "coins_found", coins=-1), event("b", "coins_found", coins=9),
        event("a", score=1, mode="ranked"), event("a", score=1, mode="casual"),
        event("a", "rating_changed", rating=9, at=5), event("a", "rating_changed", rating=4, at=1),
    )  # fmt: skip

    assert lines(model, "soak-coins") == [("b", 9), ("a", 2)]
    assert lines(model, "soak-ranked") == [("a", 1)]
    assert lines(model, "soak-rating") == [("a", 9)]


def test_segments_and_ties() -> None:
    model = settled(
        event("a", "lap_done", seconds=60, style=1, country="se", at=1),
        event("b", "lap_done", seconds=60, style=3, country="se", at=2),
        event("c", "lap_done", seconds=60, country="jp", at=0),
    )

    assert lines(model, "soak-laps") == [("b", 60), ("a", 60), ("c", 60)]
    assert lines(model, "soak-laps", "se") == [("b", 60), ("a", 60)]


def test_a_direct_write_counts_on_its_board_only() -> None:
    model = settled(event("a", DIRECT, leaderboard="soak-direct", score=4))

    assert lines(model, "soak-direct") == [("a", 4)]
    assert model.rankings() == [Ranking("soak-direct")]


@pytest.mark.parametrize(
    ("key", "first", "more", "allowed", "refused"),
    [
        ("global", {"score": 5}, [{"score": 9}, {"score": 3}], [5, 9], [3, 7, 14]),
        ("soak-coins", {"coins": 5}, [{"coins": 4}, {"coins": -2}], [5, 9, 3, 7], [2, 10]),
        ("soak-rating", {"rating": 5}, [{"rating": 9}], [5, 9], [7]),
    ],
)
def test_what_is_on_its_way_may_count_and_nothing_else(
    key: str, first: dict[str, int], more: list[dict[str, int]], allowed: list[int], refused: list[int]
) -> None:
    kind = {"global": "game_ended", "soak-coins": "coins_found", "soak-rating": "rating_changed"}[key]
    model = settled(event("a", kind, **first))
    for payload in more:
        model.send(event("a", kind, **payload))

    possible = model.possible(Ranking(key), "a")

    assert possible is not None
    assert not possible.may_be_absent
    assert [score for score in allowed if not possible.allows(score)] == []
    assert [score for score in refused if possible.allows(score)] == []


def test_bounds_of_ranks_follow_from_what_others_may_have() -> None:
    model = settled(event("a", score=5), event("b", score=8))
    model.send(event("c", score=6))

    assert model.rank_bounds(Ranking("global"), "a", 5) == (2, 3)
    assert model.rank_bounds(Ranking("global"), "b", 8) == (1, 1)
    assert model.totals(Ranking("global")) == (2, 3)
    assert model.possible(Ranking("global"), "nobody") is None


def test_a_period_takes_what_occurred_in_it_and_came_within_the_grace() -> None:
    model = Model()
    late, early, in_time = (event(user, score=5, at=at) for user, at in (("a", -1), ("b", -1), ("c", 1)))
    model.settle(late, NOON + timedelta(minutes=2))
    model.settle(early, NOON + timedelta(minutes=2) - timedelta(microseconds=1))
    model.settle(in_time, NOON + timedelta(minutes=2))

    assert lines(model, "soak-hourly", period="20261102T110000Z") == [("b", 5)]
    assert lines(model, "soak-hourly", period="20261102T120000Z") == [("c", 5)]
    assert {user for user, _ in lines(model, "global")} == {"a", "b", "c"}


def test_a_reset_by_hand_begins_anew() -> None:
    model = Model()
    model.resets["soak-season"] = [NOON + timedelta(seconds=5)]
    model.settle(event("a", "coins_found", coins=3), NOON)
    model.settle(event("a", "coins_found", coins=4, at=5), NOON)
    model.send(event("b", "coins_found", coins=7, at=9))

    assert lines(model, "soak-season") == [("a", 3)]
    assert lines(model, "soak-season", period="20261102T120005Z") == [("a", 4)]
    assert model.totals(Ranking("soak-season")) == (1, 1)
    assert model.totals(Ranking("soak-season", period="20261102T120005Z")) == (1, 2)
    # Of a reset that only a reply tells of so far: what occurred before it cannot count there.
    assert model.totals(Ranking("soak-season", period="20261102T120008Z")) == (0, 1)


def test_where_clocks_were_moved_the_end_of_a_period_is_nobodys_guess() -> None:
    model = Model()
    model.blur(NOON + timedelta(minutes=5))

    assert model.is_blurred(Ranking("soak-hourly", period="20261102T110000Z"))
    assert not model.is_blurred(Ranking("soak-hourly", period="20261102T120000Z"))
    assert not model.is_blurred(Ranking("global"))


def test_who_is_banned_is_on_no_board_and_begins_anew_afterwards() -> None:
    model = Model(outlaws=Outlaws.of(["a"]))
    model.settle(event("a", score=5), NOON)
    model.settle(event("b", score=4), NOON)
    model.settle_outlaws()
    assert lines(model, "global") == [("a", 5), ("b", 4)]

    model.outlaws.each["a"].is_doubtful = True
    assert model.totals(Ranking("global")) == (1, 2)
    assert model.rank_bounds(Ranking("global"), "b", 4) == (1, 2)

    model.outlaws.settle("a", NOON, None, 0.0, Findings())
    model.settle_outlaws()
    assert lines(model, "global") == [("b", 4)]

    model.outlaws.each["a"].is_banned = False
    model.outlaws.settle("a", None, NOON + timedelta(seconds=9), 0.0, Findings())
    model.settle(event("a", score=1), NOON + timedelta(seconds=9))
    model.settle(event("a", score=2), NOON + timedelta(seconds=10))
    model.settle_outlaws()
    assert lines(model, "global") == [("b", 4), ("a", 2)]
