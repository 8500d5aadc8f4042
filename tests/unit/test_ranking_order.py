"""Bytes and numbers that sort as a board does."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grandstand.domain.ranking import (
    TIME_BYTES,
    Position,
    direction,
    from_microseconds,
    member,
    percentile,
    prefix,
    read_member,
    to_microseconds,
)

TIMES = st.datetimes(timezones=st.just(UTC))
USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@given(TIMES, TIMES)
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(1970, 1, 1, tzinfo=UTC))
@example(datetime(2026, 1, 1, 0, 0, 0, 1, UTC), datetime(2026, 1, 1, tzinfo=UTC))
@example(FIRST, LAST)
def test_prefixes_sort_as_times_do(one: datetime, other: datetime) -> None:
    assert (prefix(b"", one) < prefix(b"", other)) == (one < other)
    assert (prefix(b"", one) == prefix(b"", other)) == (one == other)


@given(TIMES, USERS, st.binary(max_size=24))
@example(FIRST, "a", b"")
@example(LAST, "\U0010ffff" * 255, b"\xff" * 24)
def test_a_member_holds_ties_time_and_user_exactly(at: datetime, user_id: str, tie: bytes) -> None:
    assert len(prefix(tie, at)) == len(tie) + TIME_BYTES
    assert read_member(member(tie, at, user_id), len(tie)) == (tie, at, user_id)


@given(st.lists(st.tuples(TIMES, USERS), max_size=20))
@example([(FIRST, "\uffff"), (FIRST, "\U00010000"), (FIRST, "\ue000"), (FIRST, "z"), (FIRST, "zz"), (FIRST, "é")])
def test_members_sort_by_time_and_then_by_the_bytes_of_the_user(rows: list[tuple[datetime, str]]) -> None:
    by_rule = sorted(rows, key=lambda row: (row[0], row[1].encode()))
    assert sorted(rows, key=lambda row: member(b"", *row)) == by_rule


def test_utf_8_order_is_not_utf_16_order() -> None:
    inside, beyond = "\uffff", "\U00010000"
    assert inside.encode("utf-16-be") > beyond.encode("utf-16-be")
    assert member(b"", FIRST, inside) < member(b"", FIRST, beyond)


@given(st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53))
def test_a_better_score_stands_before_a_worse_one(one: int, other: int) -> None:
    for order, is_better in (("desc", one > other), ("asc", one < other)):
        factor = direction(order)  # type: ignore[arg-type]
        assert (Position(one * factor, b"") < Position(other * factor, b"")) == is_better


@given(TIMES)
def test_microseconds_are_exact(at: datetime) -> None:
    assert from_microseconds(to_microseconds(at)) == at


@pytest.mark.parametrize(("rank", "total", "share"), [(1, 1, 100), (1, 4, 100), (4, 4, 25), (3, 4, 50), (2, 200, 99.5)])
def test_percentile_is_the_share_at_or_below(rank: int, total: int, share: float) -> None:
    assert percentile(rank, total) == share
