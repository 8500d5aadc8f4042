"""Cursors: exact, bound to one ranking, and harmless whatever is sent as one."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandstand.domain.cursors import Place, read_cursor, write_cursor
from grandstand.domain.errors import InvalidError
from grandstand.domain.ranking import Position, member, prefix, read_member
from grandstand.domain.scores import SCORE_MAX

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)
PLACE = Place(Position(-5, member(b"", NOON, "ann")), 9)
MEMBER = PLACE.position.member


def packed(*parts: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).rstrip(b"=").decode()


@given(
    st.integers(1, 2**63 - 1),
    st.integers(-SCORE_MAX, SCORE_MAX),
    st.sampled_from([0, 8, 16, 24]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.datetimes(timezones=st.just(UTC)),
    USERS,
    st.integers(1, 2**53),
)
def test_a_cursor_comes_back_as_the_same_place(
    ranking_id: int, score: int, tie: bytes, at: datetime, user_id: str, rank: int
) -> None:
    place = Place(Position(score, member(tie, at, user_id)), rank)
    cursor = write_cursor(ranking_id, place)
    assert read_cursor(cursor, ranking_id, len(tie)) == place
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?#% ")


def test_a_cursor_of_another_ranking_is_refused() -> None:
    with pytest.raises(InvalidError) as caught:
        read_cursor(write_cursor(7, PLACE), 8, 0)
    assert [error.path for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "=",
        "A",
        "!!!!",
        "null",
        "0",
        "-1",
        "ä",
        "\x00",
        "\ud800",
        "a" * 2001,
        "A" * 2000,
        packed(),
        packed(7),
        packed(7, -5),
        packed(7, -5, MEMBER),
        packed(7, -5, MEMBER, 0),
        packed(7, -5, MEMBER, -1),
        packed(7, -5, MEMBER, 2**53 + 1),
        packed(7, -5, MEMBER, "1"),
        packed(7, -5, MEMBER, 1, 1),
        packed("7", -5, MEMBER, 1),
        packed(7, "-5", MEMBER, 1),
        packed(7, -5.0, MEMBER, 1),
        packed(7, None, MEMBER, 1),
        packed(7, True, MEMBER, 1),
        packed(7, -5, "text that is long enough", 1),
        packed(7, -5, b"", 1),
        packed(7, -5, b"short", 1),
        packed(7, -5, prefix(b"", NOON), 1),
        packed(7, -5, prefix(b"", NOON) + b"\xff\xfe", 1),
        packed(7, -5, prefix(b"", NOON) + b"\xed\xa0\x80", 1),
        packed(7, -5, prefix(b"", NOON) + b"a\x00", 1),
        packed(7, -5, b"\xff" * 8 + b"ann", 1),
        packed(7, -5, b"\x00" * 8 + b"ann", 1),
        packed(7, SCORE_MAX + 1, MEMBER, 1),
        packed(7, -SCORE_MAX - 1, MEMBER, 1),
        packed(7, 2**64 - 1, MEMBER, 1),
        write_cursor(7, PLACE) + "\n",
        write_cursor(7, PLACE) + "AAAA",
        write_cursor(7, PLACE)[:-1],
    ],
)
def test_hostile_cursors_are_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_cursor(cursor, 7, 0)
    assert [error.path for error in caught.value.errors] == ["cursor"]


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"\x93\x07\xfb\xc4\x0b" + data))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    cursor = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    try:
        place = read_cursor(cursor, 7, 0)
    except InvalidError:
        return
    tie, at, user_id = read_member(place.position.member, 0)
    assert member(tie, at, user_id) == place.position.member


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(cursor: str) -> None:
    try:
        read_cursor(cursor, 7, 0)
    except InvalidError:
        return
    raise AssertionError("a text that is no cursor was taken for one")
