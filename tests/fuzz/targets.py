"""What is fuzzed: each target takes any bytes, and fails when the code under it breaks a promise on them."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import UNSET

from grandstand.api.decoding import DECODERS
from grandstand.api.problems import REJECTION_CODES
from grandstand.domain.cursors import read_cursor, write_cursor
from grandstand.domain.errors import InvalidError, MalformedError, TooLargeError
from grandstand.domain.event_model import NOT_SIGNED, Event
from grandstand.domain.event_signatures import SignatureCheck, sign_event, signing_key_of
from grandstand.domain.events import Accepted, EventLimits, decode_events, encode_events, judge, read_batch
from grandstand.domain.payloads import PAYLOAD_DEPTH_MAX

Target = Callable[[bytes], None]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SCORES = {"game_ended": (("score",), ("a", "b"))}
LIMITS = EventLimits(5, 2_000, timedelta(days=30), timedelta(seconds=600), SCORES)
HISTORY = EventLimits(1_000, 2_000, None, None, SCORES)
SECRET = b"k" * 32
DECODED_MAX = 4 * 1_048_576


def events(data: bytes) -> None:
    """The body of `POST /api/events`: a refusal of the contract, or events that the stream and the worker can take."""
    try:
        outcome = read_batch(data, LIMITS, NOW, "ann" if data[-1:] == b" " else None)
    except (MalformedError, InvalidError, TooLargeError):
        return
    check(outcome)
    assert len(outcome.high) + len(outcome.low) + len(outcome.rejected) <= LIMITS.batch_max
    # Each event fares alone as it does among others, which are looked at together first.
    taken = [*outcome.high, *outcome.low]
    for event in taken:
        alone = judge([encode_events([event])[1:-1]], LIMITS, NOW)
        assert len(alone.high) + len(alone.low) == 1


def lines(data: bytes) -> None:
    """The lines of an import."""
    check(judge(data.split(b"\n"), HISTORY, NOW))


def check(outcome: Accepted) -> None:
    taken = [*outcome.high, *outcome.low]
    assert all(each.code in REJECTION_CODES for each in outcome.rejected)
    for found, event in zip(decode_events(encode_events(taken)), taken, strict=True):
        assert (found.event_type, found.user_id, found.id) == (event.event_type, event.user_id, str(event.id))
        assert found.occurred_at == event.occurred_at
        payload = bytes(found.payload)
        assert len(payload) <= LIMITS.payload_max_bytes
        assert isinstance(json.loads(payload), dict)
        assert b"\\u0000" not in payload.replace(b"\\\\", b"")
        assert depth_of(json.loads(payload)) <= PAYLOAD_DEPTH_MAX


def depth_of(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def cursors(data: bytes) -> None:
    """A cursor: refused, or a place that says the same when it is written again."""
    # As it came, and with the outer layer right, which leads further in.
    for text in (data.decode("utf-8", "replace"), base64.urlsafe_b64encode(data).rstrip(b"=").decode()):
        for tie_bytes in (0, 16):
            try:
                place = read_cursor(text, 1, tie_bytes)
            except InvalidError:
                continue
            assert read_cursor(write_cursor(1, place), 1, tie_bytes) == place


def signatures(data: bytes) -> None:
    """What a session sends: taken as signed by the signature of this session over what it says, and by no other."""
    try:
        unsigned = read_batch(data, LIMITS, NOW, "ann", _check())
        needed = read_batch(data, LIMITS, NOW, "ann", _check(is_required=True))
    except (MalformedError, InvalidError, TooLargeError):
        return
    check(unsigned)
    # Whatever stands there as a signature, nobody made one.
    assert needed.high + needed.low == []
    for event in (*unsigned.high, *unsigned.low):
        assert event.signature == NOT_SIGNED
        for session in ("session", "other"):
            event.signature = sign_event(event, signing_key_of(session, "ann", SECRET))
            taken = _taken(event)
            assert len(taken) == (session == "session")
            assert all(found.signature is UNSET for found in taken)
        event.signature = sign_event(event, signing_key_of("session", "ann", SECRET))
        event.event_type = "other" if event.event_type != "other" else "another"
        assert _taken(event) == [], "it was changed on its way"


def _check(*, is_required: bool = False) -> SignatureCheck:
    return SignatureCheck("session", "ann", SECRET, is_required=is_required)


def _taken(event: Event) -> list[Event]:
    outcome = read_batch(encode_events([event]), LIMITS, NOW, "ann", _check(is_required=True))
    return [*outcome.high, *outcome.low]


def encodings(data: bytes) -> None:
    """A compressed body: pieces of bounded size, or malformed."""
    decoder = DECODERS[b"gzip" if data[:1] < b"\x80" else b"zstd"]()
    size = 0
    try:
        for start in range(1, len(data), 37):
            for piece in decoder.feed(data[start : start + 37]):
                assert len(piece) <= DECODED_MAX
                size += len(piece)
                if size > DECODED_MAX:
                    return
        decoder.finish()
    except MalformedError:
        return


TARGETS: dict[str, Target] = {target.__name__: target for target in (events, lines, cursors, encodings, signatures)}
