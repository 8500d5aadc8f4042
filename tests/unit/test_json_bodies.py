"""What is said of a body that is no JSON: the mistake, and where to look for it."""

from datetime import UTC, datetime, timedelta

import pytest

from grandstand.domain.errors import FieldError, InvalidError, MalformedError
from grandstand.domain.events import EventLimits, read_batch
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.domain.tournaments import TournamentDefinition
from grandstand.operations.tournament_bodies import read_patch

LIMITS = EventLimits(batch_max=100, payload_max_bytes=1024, past=None, future=None)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BROKEN = [
    (b'{"a": 1,}', "trailing comma in object at column 9"),
    (b'{\n  "a": 1,\n  "b": [1, 2,]\n}', "trailing comma in array in line 3, column 14"),
    (b"{'a': 1}", " at column 2"),
    (b'{"a": 1}\n{"a": 2}\n', "there is text after its end in line 2, column 1"),
    (b'{"a": True}', "invalid character at column 7"),
    (b'{"a": 1', "it ends too early"),
    (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
]


@pytest.mark.parametrize(("body", "said"), BROKEN)
def test_a_mistake_is_named_with_its_place(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as found:
        decode_body(body, dict)
    assert said in found.value.detail


@pytest.mark.parametrize(("body", "said"), BROKEN)
def test_so_it_is_of_events(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as found:
        read_batch(body, LIMITS, NOON)
    assert said in found.value.detail


@pytest.mark.parametrize(
    ("body", "said"), [(b"", "empty"), (b'{"a": "\xff"}', "not UTF-8"), (b'{"a":' * 100_000, "nests too deeply")]
)
def test_what_has_no_place_is_named(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as found:
        decode_body(body, dict)
    assert said in found.value.detail


def test_a_number_that_is_too_large_is_not_taken_for_broken_text() -> None:
    with pytest.raises(MalformedError) as found:
        read_patch(b'{"max_players": 1e999}')
    assert "a number out of range" in found.value.detail


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        (b'{"event_type": "t", "operator": "max"}', "operator", "must be one of best, count, latest, sum"),
        (
            b'{"event_type": "t", "operator": "best", "tie_breaks": [{"field": "a"}, {"field": "b", "order": "up"}]}',
            "tie_breaks[1].order",
            "must be one of asc, desc",
        ),
        (
            b'{"event_type": "t", "operator": "count", "min_score": "5"}',
            "min_score",
            "Expected `int | null`, got `str`",
        ),
    ],
)
def test_what_may_stand_in_place_of_a_wrong_value_is_said(body: bytes, path: str, said: str) -> None:
    with pytest.raises(InvalidError) as found:
        decode_body(body, LeaderboardDefinition)
    assert found.value.errors == [FieldError(path, said)]


@pytest.mark.parametrize("value", [b'"31/01/2026"', b"1769860800"])
def test_a_time_of_another_form_is_told_the_right_one(value: bytes) -> None:
    body = b'{"event_type": "t", "operator": "count", "starts_at": "2027-01-31T18:00:00Z", "ends_at": %s}' % value
    with pytest.raises(InvalidError) as found:
        decode_body(body, TournamentDefinition)
    assert found.value.errors == [
        FieldError("ends_at", "must be an RFC 3339 time with its offset, like 2027-01-31T18:00:00Z")
    ]


def test_times_beyond_the_limits_are_told_what_is_taken() -> None:
    limits = EventLimits(batch_max=100, payload_max_bytes=1024, past=timedelta(days=30), future=timedelta(minutes=10))
    times = ("2026-01-31T12:10:01Z", "2026-01-01T11:59:59Z")
    body = ",".join(f'{{"event_type":"t","user_id":"u","occurred_at":"{time}"}}' for time in times)
    ahead, old = (found.message for found in read_batch(f"[{body}]".encode(), limits, NOON).rejected)
    assert "2026-01-31T12:10:00Z" in ahead
    assert "2026-01-01T12:00:00Z" in old
    assert "/api/events/import" in old
