"""Definitions: what is refused with which field, what counts as a change of rules, which events belong."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from grandstand.domain.definitions import check_definition, check_key, parse_definition
from grandstand.domain.errors import InvalidError, MalformedError
from grandstand.domain.leaderboards import GLOBAL_DEFINITION, LeaderboardDefinition
from grandstand.domain.scores import SCORE_MAX, UnrankedError
from grandstand.domain.scoring import ScoringRule

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD = {"event_type": "game_ended", "operator": "best", "field": "score"}


def parse(**values: Any) -> LeaderboardDefinition:
    return parse_definition(msgspec.json.encode(GOOD | values))


def rule(**values: Any) -> ScoringRule:
    return ScoringRule(parse(**values))


def score(scoring: ScoringRule, payload: Any) -> int:
    return scoring.value(payload, NOON, UUID(int=1)).score


def test_defaults_are_those_of_the_contract() -> None:
    board = parse()
    assert (board.order, board.period, board.timezone, board.visibility) == ("desc", "all_time", "UTC", "public")
    assert (board.title, board.where, board.min_score, board.max_score) == (None, None, None, None)


def test_the_global_board_is_valid() -> None:
    check_definition(GLOBAL_DEFINITION)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"event_type": ""}, "event_type"),
        ({"event_type": "x" * 51}, "event_type"),
        ({"event_type": "has space"}, "event_type"),
        ({"event_type": "a\n"}, "event_type"),
        ({"event_type": 5}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"operator": "median"}, "operator"),
        ({"operator": "BEST"}, "operator"),
        ({"operator": None}, "operator"),
        ({"field": None}, "field"),
        ({"field": ""}, "field"),
        ({"field": "a..b"}, "field"),
        ({"field": ".a"}, "field"),
        ({"field": "a."}, "field"),
        ({"field": "a\x00b"}, "field"),
        ({"field": "x" * 201}, "field"),
        ({"field": 7}, "field"),
        ({"field": None, "operator": "sum"}, "field"),
        ({"field": None, "operator": "latest"}, "field"),
        ({"order": "up"}, "order"),
        ({"period": "fortnightly"}, "period"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"visibility": "secret"}, "visibility"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00"}, "title"),
        ({"title": 1}, "title"),
        ({"min_score": SCORE_MAX + 1}, "min_score"),
        ({"max_score": -SCORE_MAX - 1}, "max_score"),
        ({"min_score": 10**30}, "min_score"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": "1"}, "min_score"),
        ({"min_score": True}, "min_score"),
        ({"min_score": 2, "max_score": 1}, "max_score"),
        ({"where": []}, "where"),
        ({"where": {"": 1}}, "where"),
        ({"where": {"a..b": 1}}, "where"),
        ({"where": {"a\x00": 1}}, "where"),
        ({"where": {str(number): 1 for number in range(11)}}, "where"),
        ({"where": {"mode": "x" * 1001}}, "where.mode"),
        ({"where": {"mode": "a\x00b"}}, "where.mode"),
        ({"where": {"mode": SCORE_MAX + 1}}, "where.mode"),
        ({"where": {"mode": 1e300}}, "where.mode"),
        ({"where": {"mode": ["a"]}}, "where"),
        ({"where": {"mode": {"a": 1}}}, "where"),
        ({"colour": "red"}, "colour"),
        ({"period": "cron: 0 6 * *"}, "period"),
        ({"period": "cron: 61 6 * * 1"}, "period"),
        ({"period": "cron: 0 0 31 2 *"}, "period"),
        ({"period": None}, "period"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "../UTC"}, "timezone"),
        ({"segment_by": "a..b"}, "segment_by"),
        ({"segment_by": 1}, "segment_by"),
        ({"segment_by": "country", "bucket_size": 10}, "bucket_size"),
        ({"bucket_size": 1}, "bucket_size"),
        ({"bucket_size": 100_001}, "bucket_size"),
        ({"bucket_size": 2.5}, "bucket_size"),
        ({"keep": ["a", "a"]}, "keep"),
        ({"keep": ["a", "b."]}, "keep[1]"),
        ({"keep": [str(number) for number in range(11)]}, "keep"),
        ({"keep": "level"}, "keep"),
        ({"tie_breaks": [{"field": "a"}] * 4}, "tie_breaks"),
        ({"tie_breaks": [{"field": ""}]}, "tie_breaks[0].field"),
        ({"tie_breaks": [{"field": "a", "order": "up"}]}, "tie_breaks[0].order"),
        ({"tie_breaks": [{"order": "asc"}]}, "tie_breaks[0].field"),
        ({"tie_breaks": [{"field": "a"}], "operator": "sum"}, "tie_breaks"),
        ({"tie_breaks": [{"field": "a"}], "operator": "count"}, "tie_breaks"),
        ({"tiers": [{"id": "a", "top_percent": 5}, {"id": "b", "top_percent": 5}]}, "tiers[1]"),
        ({"tiers": [{"id": "a", "top_percent": 50}, {"id": "b", "top_percent": 5}]}, "tiers[1]"),
        ({"tiers": [{"id": "a", "min_score": 5}, {"id": "b", "min_score": 6}]}, "tiers[1]"),
        ({"tiers": [{"id": "a", "min_score": 6}, {"id": "b", "min_score": 5}], "order": "asc"}, "tiers[1]"),
        ({"tiers": [{"id": "a", "top_percent": 5}, {"id": "b", "min_score": 5}]}, "tiers"),
        ({"tiers": [{"id": "a", "top_percent": 5}, {"id": "a", "top_percent": 6}]}, "tiers"),
        ({"tiers": [{"id": "a"}]}, "tiers[0]"),
        ({"tiers": [{"id": "a", "top_percent": 5, "min_score": 5}]}, "tiers[0]"),
        ({"tiers": [{"id": "a", "top_percent": 0}]}, "tiers[0].top_percent"),
        ({"tiers": [{"id": "a", "top_percent": 100.1}]}, "tiers[0].top_percent"),
        ({"tiers": [{"id": "", "top_percent": 5}]}, "tiers[0].id"),
        ({"tiers": [{"id": "a", "min_score": SCORE_MAX + 1}]}, "tiers[0].min_score"),
        ({"tiers": [{"top_percent": 5}]}, "tiers[0].id"),
        ({"tiers": [{"id": str(number), "min_score": -number} for number in range(21)]}, "tiers"),
        ({"plausibility": {}}, "plausibility"),
        ({"plausibility": []}, "plausibility"),
        ({"plausibility": {"colour": 1}}, "plausibility.colour"),
        ({"plausibility": {"score_min": SCORE_MAX + 1}}, "plausibility.score_min"),
        ({"plausibility": {"score_min": 1.5}}, "plausibility.score_min"),
        ({"plausibility": {"score_min": 2, "score_max": 1}}, "plausibility.score_max"),
        ({"plausibility": {"duration_field": "a"}}, "plausibility.duration_field"),
        ({"plausibility": {"duration_field": "a..b", "duration_min_seconds": 1}}, "plausibility.duration_field"),
        ({"plausibility": {"duration_min_seconds": 5}}, "plausibility.duration_field"),
        ({"plausibility": {"duration_field": "a", "duration_min_seconds": 0}}, "plausibility.duration_min_seconds"),
        ({"plausibility": {"duration_field": "a", "duration_min_seconds": 1e9}}, "plausibility.duration_min_seconds"),
        ({"plausibility": {"duration_field": "a", "duration_min_seconds": "5"}}, "plausibility.duration_min_seconds"),
        ({"plausibility": {"events_per_minute_max": 0}}, "plausibility.events_per_minute_max"),
        ({"plausibility": {"events_per_minute_max": 1_000_001}}, "plausibility.events_per_minute_max"),
        ({"plausibility": {"events_per_minute_max": True}}, "plausibility.events_per_minute_max"),
        ({"plausibility": {"gain_per_minute_max": 0}}, "plausibility.gain_per_minute_max"),
        ({"plausibility": {"gain_per_minute_max": SCORE_MAX + 1}}, "plausibility.gain_per_minute_max"),
        ({"plausibility": {"gain_per_minute_max": 5}, "operator": "count"}, "plausibility.gain_per_minute_max"),
        ({"plausibility": {"gain_per_minute_max": 5}, "operator": "latest"}, "plausibility.gain_per_minute_max"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse(**values)
    assert caught.value.status == 422
    assert field in [error.path for error in caught.value.errors]
    assert all(error.message for error in caught.value.errors)


def test_a_missing_field_is_named() -> None:
    for name in ("event_type", "operator"):
        body = {key: value for key, value in GOOD.items() if key != name}
        with pytest.raises(InvalidError) as caught:
            parse_definition(msgspec.json.encode(body))
        assert [error.path for error in caught.value.errors] == [name]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        parse(event_type="no good", field="", title="", min_score=2, max_score=1)
    assert [error.path for error in caught.value.errors] == ["event_type", "title", "field", "max_score"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b'{"event_type": NaN}', b'{"title":"\\ud800"}', b"\xff"],
)
def test_a_body_that_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_definition(body)


@pytest.mark.parametrize("body", [b'{"where":{"a":' + b"[" * 100_000, b"[" * 100_000, b'{"a":' * 100_000])
def test_a_depth_bomb_is_refused(body: bytes) -> None:
    with pytest.raises((MalformedError, InvalidError)):
        parse_definition(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5"])
def test_a_body_that_is_no_object_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidError):
        parse_definition(body)


@pytest.mark.parametrize("key", ["a", "A", "9", "weekly.top-10_v2", "x" * 64])
def test_keys(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize("key", ["", "x" * 65, "-a", ".", "..", "_a", "a/b", "a b", "ä", "a\n", "a\x00", "user"])
def test_keys_that_are_refused(key: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_key(key)
    assert [error.path for error in caught.value.errors] == ["key"]


@pytest.mark.parametrize(
    ("wanted", "found", "belongs"),
    [
        (True, True, True),
        (True, 1, False),
        (True, 1.0, False),
        (True, "true", False),
        (1, True, False),
        (1, 1, True),
        (1, 1.0, True),
        (1.5, 1.5, True),
        (1, "1", False),
        (0, False, False),
        (False, 0, False),
        (False, None, False),
        ("ranked", "ranked", True),
        ("ranked", "Ranked", False),
        ("ranked", ["ranked"], False),
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        (None, {}, False),
    ],
)
def test_where_compares_as_json_does(wanted: Any, found: Any, belongs: bool) -> None:
    assert rule(where={"a.b": wanted}).belongs({"a": {"b": found}}) is belongs


def test_a_missing_field_meets_null_and_nothing_else() -> None:
    for payload in ({}, {"a": {}}, {"a": 5}, {"a": None}):
        assert rule(where={"a.b": None}).belongs(payload)
        assert not rule(where={"a.b": False}).belongs(payload)


def test_every_condition_must_hold() -> None:
    both = rule(where={"mode": "ranked", "level": 3})
    assert both.belongs({"mode": "ranked", "level": 3})
    assert not both.belongs({"mode": "ranked", "level": 4})
    assert not both.belongs({"level": 3})


def test_limits_are_inclusive() -> None:
    limited = rule(min_score=-5, max_score=5)
    assert [score(limited, {"score": value}) for value in (-5, 0, 5.0)] == [-5, 0, 5]
    for value, reason in ((-6, "below_min_score"), (6, "above_max_score")):
        with pytest.raises(UnrankedError) as caught:
            score(limited, {"score": value})
        assert caught.value.reason == reason


def test_count_counts_presence_of_any_value_but_null() -> None:
    counting = rule(operator="count")
    assert [score(counting, {"score": value}) for value in (0, False, "", "text", [], 0.5, 2**60)] == [1] * 7
    for payload in ({}, {"score": None}):
        with pytest.raises(UnrankedError) as caught:
            score(counting, payload)
        assert caught.value.reason == "missing_field"
    assert score(rule(operator="count", field=None), {}) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"event_type": "other"},
        {"operator": "sum"},
        {"field": "points"},
        {"order": "asc"},
        {"where": {"a": 1}},
        {"min_score": 0},
        {"max_score": 0},
    ],
)
def test_what_decides_scores_is_a_rule(values: dict[str, Any]) -> None:
    assert parse(**values).rules() != parse().rules()


def test_what_does_not_decide_scores_is_no_rule() -> None:
    assert parse(title="New", visibility="private").rules() == parse().rules()
    assert parse(where={}).rules() == parse().rules()
    assert parse(where={"a": 1, "b": 2}).rules() == parse(where={"b": 2, "a": 1}).rules()
    assert parse(where={"a": 1}).rules() == parse(where={"a": 1.0}).rules()


def test_true_and_one_are_different_rules() -> None:
    assert parse(where={"a": True}).rules() != parse(where={"a": 1}).rules()
    assert parse(where={"a": False}).rules() != parse(where={"a": 0}).rules()
    assert parse(where={"a": None}).rules() != parse().rules()
