"""Folds give one result for every order, every grouping of the same events."""

import random
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandstand.domain.folding import Tally, Value, combine
from tests.support.core import NOON

OPERATORS = ["best", "latest", "sum", "count"]
VALUES = st.lists(
    st.builds(
        lambda score, tie, minute, number: (score, tie, minute, number),
        st.integers(-(2**53), 2**53) | st.integers(-2, 2),
        st.sampled_from([b"", b"\x00", b"\xff"]),
        st.integers(-2, 2),
        st.integers(0, 2**128 - 1),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda item: item[3],
).map(
    lambda items: [
        Value(score, tie, NOON + timedelta(minutes=minute), UUID(int=n), f"metadata of {n}")
        for score, tie, minute, n in items
    ]
)


def expected(operator: str, order: str, values: list[Value]) -> Value:
    if operator == "best":
        top = max(value.score for value in values) if order == "desc" else min(value.score for value in values)
        return min((value for value in values if value.score == top), key=lambda value: value[1:4])
    last = max(values, key=lambda value: value[2:4])
    return last if operator == "latest" else Value(sum(value.score for value in values), *last[1:])


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("operator", OPERATORS)
@given(values=VALUES, seed=st.integers(0, 2**32))
def test_any_order_and_grouping_comes_to_the_same(operator: str, order: str, values: list[Value], seed: int) -> None:
    randomly = random.Random(seed)
    parts = list(values)
    while len(parts) > 1:
        one = parts.pop(randomly.randrange(len(parts)))
        other = parts.pop(randomly.randrange(len(parts)))
        parts.append(combine(operator, order, one, other))  # type: ignore[arg-type]
    assert parts == [expected(operator, order, values)]


@pytest.mark.parametrize("operator", OPERATORS)
@given(values=VALUES)
def test_a_tally_keeps_users_apart(operator: str, values: list[Value]) -> None:
    tally = Tally(operator, "desc")  # type: ignore[arg-type]
    for value in values:
        tally.add("ann", value)
    tally.add("bob", values[0])
    assert tally.values == {"ann": expected(operator, "desc", values), "bob": values[0]}


def test_sums_are_exact_far_beyond_what_is_served() -> None:
    tally = Tally("sum", "desc")
    for number in range(3000):
        tally.add("ann", Value(2**53 - 1, b"", NOON, UUID(int=number), None))
    tally.add("ann", Value(-1, b"", NOON, UUID(int=9999), None))
    assert tally.values["ann"].score == 3000 * (2**53 - 1) - 1
