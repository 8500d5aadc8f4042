"""Reading batches: properties that hold for any body, and cutting documents apart."""

import contextlib
import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grandstand.domain.errors import GrandstandError, InvalidError, MalformedError, TooLargeError
from grandstand.domain.event_model import is_event_type
from grandstand.domain.events import Accepted, EventLimits, decode_events, encode_events, read_batch
from grandstand.domain.ids import new_ids
from grandstand.domain.json_slices import cut_elements, cut_members

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMITS = EventLimits(100, 16384, timedelta(days=30), timedelta(minutes=10), {"game_ended": (("score",),)})
GOOD = b'{"event_type":"game_ended","user_id":"ann","payload":{"score":7}}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
valid_events = st.fixed_dictionaries(
    {
        "event_type": st.from_regex(r"[A-Za-z0-9_.:-]{1,50}", fullmatch=True),
        "user_id": st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=255),
    },
    optional={
        "payload": st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=9).filter(
                lambda name: name != "score"
            ),
            st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
            max_size=5,
        ),
        "id": st.uuids().map(str),
        "occurred_at": st.datetimes(
            NOW.replace(day=1, tzinfo=None), NOW.replace(tzinfo=None), timezones=st.just(UTC)
        ).map(datetime.isoformat),
    },
)  # fmt: skip


@given(st.lists(valid_events, min_size=1, max_size=8), st.booleans())
def test_valid_events_are_taken_as_they_are_and_survive_the_stream(
    sent: list[dict[str, Any]], ascii_only: bool
) -> None:
    body = json.dumps(sent, ensure_ascii=ascii_only).encode()
    outcome = read_batch(body, LIMITS, NOW)
    assert not outcome.rejected
    events = decode_events(encode_events(outcome.high + outcome.low))
    assert len(events) == len(sent)
    assert len({event.id for event in events}) >= len({each["id"] for each in sent if "id" in each})
    ordered = [each for each in sent if each["event_type"] == "game_ended"]
    ordered += [each for each in sent if each["event_type"] != "game_ended"]
    for event, each in zip(events, ordered, strict=True):
        assert (event.event_type, event.user_id) == (each["event_type"], each["user_id"])
        assert json.loads(bytes(event.payload)) == each.get("payload", {})
        assert event.occurred_at == datetime.fromisoformat(each.get("occurred_at", NOW.isoformat()))
        assert event.occurred_at.tzinfo is not None
        if "id" in each:
            assert str(event.id) == each["id"]


@given(
    st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
)
@example(b"\xef\xbb\xbf{}")
@example(b'{"events":[{"events":[]}]}')
def test_whatever_comes_is_taken_or_refused_with_a_reason(body: bytes) -> None:
    try:
        outcome = read_batch(body, LIMITS, NOW)
    except (MalformedError, InvalidError, TooLargeError):
        return
    assert outcome.high or outcome.low or outcome.rejected
    assert all(rejection.message for rejection in outcome.rejected)


@given(
    st.lists(
        st.sampled_from([GOOD, b'{"a":"\\ud800"}', b"NaN", b"[" * 2000 + b"]" * 2000, b"7"]), min_size=1, max_size=9
    )
)
def test_good_neighbours_are_taken_wherever_the_bad_ones_stand(parts: list[bytes]) -> None:
    body = b"[" + b", ".join(parts) + b"]"
    good = parts.count(GOOD)
    try:
        outcome = read_batch(body, LIMITS, NOW)
    except MalformedError:
        assert set(parts) == {b"NaN"}
        return
    assert len(outcome.high) == good
    assert [each.index for each in outcome.rejected] == [place for place, part in enumerate(parts) if part != GOOD]


ODD_EVENTS = [
    GOOD,
    b'{"event_type":"game_ended","user_id":"bob"}',
    b'{"event_type":"a b","user_id":"ann"}',
    b'{"event_type":"grandstand.score","user_id":"ann"}',
    b'{"event_type":"x","user_id":""}',
    b'{"event_type":"x","user_id":"a\xc2\x85"}',
    b'{"event_type":"x","user_id":"\xc2\xad\xf0\x9f\x8f\x86"}',
    b'{"event_type":"x","user_id":"' + b"u" * 256 + b'"}',
    b'{"event_type":"x","user_id":"ann","occurred_at":"2026-10-01T00:00:00Z"}',
    b'{"event_type":"x","user_id":"ann","occurred_at":"2026-11-24T12:10:00.000001Z"}',
    b'{"event_type":"x","user_id":"ann","signature":null}',
    b'{"event_type":"x","user_id":"ann","payload":[]}',
    b'{"event_type":"x","user_id":"ann","payload":{"a":1e999}}',
    b'{"event_type":"x","user_id":"ann","payload":{"a":"\\ud800"}}',
    b'{"event_type":"x","user_id":"ann","payload":{"a":' + b"[" * 63 + b"]" * 63 + b"}}",
    b'{"event_type":"x","user_id":"ann","payload":{"a":' + b"[" * 64 + b"]" * 64 + b"}}",
    b'{"event_type":"x","user_id":"ann","payload":{"a":"' + b"x" * 16_384 + b'"}}',
    b'{"event_type":"game_ended","user_id":"ann","payload":{"score":9007199254740992}}',
    b'{"event_type":"other","user_id":"ann","payload":{"score":9007199254740992}}',
]


@pytest.mark.parametrize("only_user_id", [None, "ann"])
@pytest.mark.parametrize("odd", ODD_EVENTS, ids=range(len(ODD_EVENTS)))
def test_an_event_fares_the_same_alone_and_among_many_good_ones(odd: bytes, only_user_id: str | None) -> None:
    """Large batches are looked at as a whole first; one event is not."""
    fates = []
    for before, after in ((0, 0), (9, 0), (0, 9), (5, 70)):
        body = b"[" + b",".join([GOOD] * before + [odd] + [GOOD] * after) + b"]"
        outcome = Accepted([], [], [])
        try:
            outcome = read_batch(body, LIMITS, NOW, only_user_id)
        except MalformedError:
            assert before + after == 0
        assert len(outcome.high) + len(outcome.low) + len(outcome.rejected) in (before + after + 1, 0)
        assert all(each.index == before for each in outcome.rejected)
        fates.append([(each.code, each.message) for each in outcome.rejected])
    assert fates[1:] == [fates[0]] * 3


@given(st.lists(json_values, max_size=6))
def test_cutting_an_array_gives_its_elements(values: list[Any]) -> None:
    text = json.dumps(values, indent=1).encode()
    parts = cut_elements(text[:-1] + (b"," if values else b"") + b' {"broken": nope}]', 100)
    assert len(parts) == len(values) + 1
    assert all(json.dumps(json.loads(part)) == json.dumps(value) for part, value in zip(parts, values, strict=False))


def test_cutting_an_object_gives_its_members() -> None:
    members = cut_members(b'{"a": {"x": [1, "]}"]}, "b\\"": nope, "\\ud800": 1, "a": "\\ud800" }')
    assert members == {"a": b'"\\ud800"', 'b"': b"nope"}


@pytest.mark.parametrize(
    "text",
    [b'["' + b'\\"' * 500_000, b"[" * 1_000_000, b"[" + b"[]," * 300_000, b'[{"a":"' + b"\\\\" * 500_000 + b"}]",
     b"[" + b'{"a":' * 200_000 + b"}" * 200_000 + b"]", b"[" + b'"\\ud800",' * 100_000 + b"1]"],
    ids=["quotes", "open brackets", "many brackets", "backslashes", "objects", "surrogates"],
)  # fmt: skip
def test_a_mebibyte_of_malice_costs_little_time(text: bytes) -> None:
    # The processor's time: what else the machine does is no cost of the text.
    began_at = time.process_time()
    with contextlib.suppress(GrandstandError):
        assert not read_batch(text, LIMITS, NOW).high
    assert time.process_time() - began_at < 2.0


def test_escapes_cost_no_more_because_one_may_be_a_surrogate() -> None:
    def spent_seconds(text: bytes) -> float:
        began_at = time.process_time()
        with pytest.raises(GrandstandError):
            read_batch(text, LIMITS, NOW)
        return time.process_time() - began_at

    many = b"\\n" * 500_000
    usual = min(spent_seconds(b'["' + many) for _ in range(3))
    assert min(spent_seconds(b'["\\u0041' + many) for _ in range(3)) < 4 * usual


def test_made_ids_are_time_ordered_uuids_of_version_7() -> None:
    ids = new_ids(300, NOW) + new_ids(300, NOW + timedelta(milliseconds=1))
    assert ids == sorted(set(ids))
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert ids[0].int >> 80 == int(NOW.timestamp() * 1000)
    assert new_ids(0, NOW) == []


@settings(max_examples=30)
@given(st.integers(-(2**70), 2**70) | st.floats() | st.booleans() | st.text() | st.none())
def test_only_whole_numbers_beyond_the_limit_are_refused_as_scores(score: Any) -> None:
    whole = (
        isinstance(score, int | float) and not isinstance(score, bool) and score == score and abs(score) != float("inf")
    )
    huge = whole and score == int(score) and abs(score) > 2**53 - 1
    body = json.dumps([{"event_type": "game_ended", "user_id": "u", "payload": {"score": score}}, json.loads(GOOD)])
    rejected = read_batch(body.encode("utf-8", "surrogatepass"), LIMITS, NOW).rejected
    assert ("score_out_of_range" in [each.code for each in rejected]) == huge


def test_what_is_remembered_of_types_is_small() -> None:
    """Anybody can send a type of a MiB, again and again."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(50):
            assert not is_event_type("x" * 100_000 + str(number))
        grown_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown_bytes < 1_000_000, "5 MB of texts were judged"
