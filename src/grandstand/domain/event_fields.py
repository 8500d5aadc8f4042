"""Reads one event field by field, to say which of them is wrong.

Only an event that the typed pass could not read comes here, so clear words count for more than speed.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from grandstand.domain.errors import MalformedError
from grandstand.domain.event_model import MISSING_ID, MISSING_TIME, NO_PAYLOAD, AwareTime, Event, EventError
from grandstand.domain.json_bodies import mistake_in
from grandstand.domain.json_slices import DECODE_ERRORS, cut_members
from grandstand.domain.payloads import too_deep, unreadable

_decode_event = msgspec.json.Decoder(Event).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_id = msgspec.json.Decoder(UUID | None).decode
_EXPLAINED_BYTES_MAX = 524_288
"""Bytes of an event that is taken apart to say what is wrong with it; usual ones have some hundreds."""

_decode_time = msgspec.json.Decoder(AwareTime | None).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_signature = msgspec.json.Decoder(str | None).decode


def read_event(text: bytes) -> Event:
    """Read the JSON text of one event. `id` and `occurred_at` may be null, which means that they are missing.

    Raises:
        EventError: it is not an object, or one of its fields is missing or of the wrong kind.

    """
    try:
        return _decode_event(text)
    except DECODE_ERRORS:
        pass
    if text[:1] != b"{":
        raise EventError("invalid_event", "An event must be a JSON object.")
    if len(text) > _EXPLAINED_BYTES_MAX:
        raise EventError("invalid_event", "The event is not valid, and too large to say what is wrong with it.")
    try:
        members = cut_members(text)
    except MalformedError:
        raise EventError("invalid_event", f"The event is not valid JSON: {mistake_in(text)}.") from None
    return Event(
        event_type=_read(members, "event_type", _decode_text, "a string"),
        user_id=_read(members, "user_id", _decode_text, "a string"),
        payload=_read_payload(members),
        id=_read(members, "id", _decode_id, "a UUID", MISSING_ID),
        occurred_at=_read(
            members, "occurred_at", _decode_time, "an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z",
            MISSING_TIME,
        ),
        signature=_read_signature(members),
    )  # fmt: skip


def _read(members: dict[str, bytes], name: str, decode: Callable[[bytes], Any], kind: str, default: Any = None) -> Any:
    raw = members.get(name)
    if raw is None:
        if default is None:
            raise EventError(f"invalid_{name}", f"`{name}` is missing.")
        return default
    try:
        value = decode(raw)
    except msgspec.ValidationError:
        raise EventError(f"invalid_{name}", f"`{name}` must be {kind}.") from None
    except DECODE_ERRORS:
        raise EventError(
            f"invalid_{name}", f"`{name}` cannot be read: it is not valid UTF-8, or holds a lone surrogate or no JSON."
        ) from None
    return default if value is None else value


def _read_signature(members: dict[str, bytes]) -> str | None:
    try:
        signature: str | None = _decode_signature(members.get("signature", b"null"))
    except DECODE_ERRORS:
        raise EventError("signature_invalid", "`signature` must be 64 hexadecimal digits.") from None
    return signature


def _read_payload(members: dict[str, bytes]) -> msgspec.Raw:
    raw = members.get("payload")
    if raw is None:
        return NO_PAYLOAD
    try:
        return _decode_raw(raw)
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable() from None
