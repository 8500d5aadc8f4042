"""A signature holds for one event of one session, and for nothing that differs in any byte of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grandstand.domain.event_model import Event, decode_events, encode_events
from grandstand.domain.event_signatures import SignatureCheck, sign_event, signing_key_of
from grandstand.domain.events import EventLimits, read_batch

SECRET = bytes(range(32))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMITS = EventLimits(100, 16_384, timedelta(days=30), timedelta(minutes=10))
IDENTIFIERS = st.text(min_size=1, max_size=20).filter(lambda text: all(c.isprintable() for c in text))
EVENTS = st.builds(
    Event,
    event_type=st.from_regex(r"[a-f0-9_.:-]{1,20}", fullmatch=True),
    user_id=IDENTIFIERS,
    payload=st.dictionaries(st.text(max_size=5).filter(lambda key: "\x00" not in key), st.integers(-9, 9)).map(
        lambda value: msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())
    ),
    id=st.uuids().filter(lambda value: value != UUID(int=0)),
    occurred_at=st.timedeltas(timedelta(0), timedelta(days=20)).map(lambda age: NOW - age),
)


def check(session: str | None = "s1", user_id: str = "ann", *, is_required: bool = False) -> SignatureCheck:
    return SignatureCheck(session, user_id, SECRET, is_required=is_required)


def key(session: str = "s1", user_id: str = "ann") -> str:
    return signing_key_of(session, user_id, SECRET)


def signed(event: Event, signing_key: str) -> Event:
    return msgspec.structs.replace(event, signature=sign_event(event, signing_key))


def codes_of(event: Event, signatures: SignatureCheck | None) -> list[str]:
    body = msgspec.json.encode(event)
    return [each.code for each in read_batch(b"[" + body + b"]", LIMITS, NOW, None, signatures).rejected]


@given(event=EVENTS)
def test_what_its_session_signed_is_taken_and_the_signature_goes_no_further(event: Event) -> None:
    body = b"[" + msgspec.json.encode(signed(event, key(user_id=event.user_id))) + b"]"
    taken = read_batch(body, LIMITS, NOW, event.user_id, check(user_id=event.user_id, is_required=True))
    assert not taken.rejected
    (streamed,) = decode_events(encode_events([*taken.high, *taken.low]))
    assert not streamed.lacks_signature
    assert streamed.signature is msgspec.UNSET


@given(event=EVENTS, other=EVENTS, data=st.data())
def test_any_change_is_noticed(event: Event, other: Event, data: st.DataObject) -> None:
    """Each field, any byte of the signature, the session and the user."""
    before = signed(event, key(user_id=event.user_id))
    field = data.draw(st.sampled_from(["event_type", "user_id", "payload", "id", "occurred_at"]))
    assume(bytes(getattr(event, field)) != bytes(getattr(other, field)) if field == "payload" else True)
    assume(getattr(event, field) != getattr(other, field))
    changed = msgspec.structs.replace(before, **{field: getattr(other, field)})
    assert codes_of(changed, check(user_id=event.user_id)) == ["signature_invalid"]
    signature = str(before.signature)
    at = data.draw(st.integers(0, 63))
    flipped = signature[:at] + ("0" if signature[at] != "0" else "1") + signature[at + 1 :]
    assert codes_of(msgspec.structs.replace(before, signature=flipped), check(user_id=event.user_id)) == [
        "signature_invalid"
    ]
    assert codes_of(before, check("s2", event.user_id)) == ["signature_invalid"]
    assert codes_of(before, check("s1", event.user_id + "x")) == ["signature_invalid"]
    assert codes_of(before, check(None, event.user_id)) == ["signature_invalid"]


EVENT = Event("game_ended", "ann", msgspec.Raw(b'{"score":1}'), uuid4(), NOW)


@pytest.mark.parametrize(
    "signature", ["", "0" * 63, "0" * 65, "g" * 64, "é" * 64, "none", 5, True, {}, [], "\x00" * 64, "0" * 64 + "\n"]
)
def test_no_other_text_passes_for_a_signature(signature: Any) -> None:
    body = json.dumps(json.loads(msgspec.json.encode(EVENT)) | {"signature": signature}).encode()
    (rejection,) = read_batch(body, LIMITS, NOW, None, check()).rejected
    assert rejection.code == "signature_invalid"


@pytest.mark.parametrize("missing", ["id", "occurred_at"])
def test_a_signed_event_has_an_id_and_a_time_of_its_own(missing: str) -> None:
    document = json.loads(msgspec.json.encode(signed(EVENT, key())))
    for shape in ({name: value for name, value in document.items() if name != missing}, document | {missing: None}):
        (rejection,) = read_batch(json.dumps(shape).encode(), LIMITS, NOW, None, check()).rejected
        assert rejection.code == "signature_invalid"


def test_upper_case_and_another_offset_say_the_same() -> None:
    document = json.loads(msgspec.json.encode(signed(EVENT, key())))
    document |= {
        "signature": document["signature"].upper(),
        "id": document["id"].upper(),
        "occurred_at": "2026-11-24T14:00:00.000+02:00",
    }
    body = json.dumps(document).encode().replace(b'{"score": 1}', b' {"score":1} ')
    assert not read_batch(body, LIMITS, NOW, None, check(is_required=True)).rejected


def test_only_players_are_asked_and_only_where_it_is_asked_for() -> None:
    wrong = msgspec.structs.replace(EVENT, signature="0" * 64)
    assert codes_of(wrong, None) == [], "a game server's word needs no signature"
    assert codes_of(EVENT, check()) == []
    assert codes_of(msgspec.structs.replace(EVENT, signature=None), check()) == []
    assert codes_of(EVENT, check(is_required=True)) == ["signature_missing"]
    unsigned = read_batch(msgspec.json.encode(EVENT), LIMITS, NOW, None, check())
    (streamed,) = decode_events(encode_events(unsigned.high))
    assert streamed.lacks_signature


def test_neighbours_of_a_bad_signature_are_taken() -> None:
    good = signed(EVENT, key())
    bad = msgspec.structs.replace(good, payload=msgspec.Raw(b'{"score":2}'))
    outcome = read_batch(msgspec.json.encode([bad, good]), LIMITS, NOW, "ann", check())
    assert [each.index for each in outcome.rejected] == [0]
    assert len(outcome.high) == 1
