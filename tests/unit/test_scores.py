"""What a payload value is worth as a score, and what it is not."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandstand.domain.scores import SCORE_MAX, UnrankedError, look_up, read_score

decode = msgspec.json.decode


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("5", 5),
        ("5.0", 5),
        ("5e3", 5000),
        ("-17", -17),
        ("9007199254740991", SCORE_MAX),
        ("9007199254740991.0", SCORE_MAX),
        ("-9007199254740991", -SCORE_MAX),
    ],
)
def test_whole_numbers_are_scores(text: str, score: int) -> None:
    found = read_score(decode(text))
    assert found == score
    assert type(found) is int


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("null", "missing_field"),
        ("true", "not_a_number"),
        ("false", "not_a_number"),
        ('"5"', "not_a_number"),
        ("[]", "not_a_number"),
        ("{}", "not_a_number"),
        ("0.5", "not_an_integer"),
        ("-1e-300", "not_an_integer"),
        ("9007199254740992", "out_of_range"),
        ("-9007199254740992", "out_of_range"),
        ("9007199254740992.0", "out_of_range"),
        ("1e300", "out_of_range"),
        ("1" + "0" * 400, "out_of_range"),
    ],
)
def test_everything_else_says_why_not(text: str, reason: str) -> None:
    with pytest.raises(UnrankedError) as caught:
        read_score(decode(text))
    assert caught.value.reason == reason


def test_numbers_that_are_not_finite_are_no_scores() -> None:
    for value in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(UnrankedError):
            read_score(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_VALUES, st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
def test_a_path_leads_through_objects_only(payload: object, path: list[str]) -> None:
    expected: object = payload
    for name in path:
        expected = expected.get(name) if isinstance(expected, dict) else None
    assert look_up(decode(json.dumps(payload)), tuple(path)) == expected


def test_a_path_does_not_index_arrays_or_texts() -> None:
    assert look_up({"a": ["x"]}, ("a", "0")) is None
    assert look_up({"a": "text"}, ("a", "0")) is None
    assert look_up({"a": {"b": None}}, ("a", "b", "c")) is None
