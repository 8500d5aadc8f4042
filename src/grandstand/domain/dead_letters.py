"""Dead letters: what is kept of an event that could not be processed, and why it could not."""

import hashlib
import re
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast, get_args
from uuid import UUID

import msgspec

from grandstand.domain.event_model import EVENT_TYPE_LENGTH_MAX, USER_ID_LENGTH_MAX, AwareTime

Form = Literal["event", "block"]
"""What a body is: one event, or a block of events that cannot be taken apart."""

LetterStatus = Literal["dead", "replayed"]
LETTER_STATUSES: tuple[LetterStatus, ...] = get_args(LetterStatus)

ERROR_LENGTH_MAX = 100
MESSAGE_LENGTH_MAX = 500
_ID_LENGTH_MAX = 100
_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


class WorkerLostError(Exception):
    """The worker that processed this died of it, as those before."""


class Read(NamedTuple):
    """What could be read of a body, fit to be stored as text; None where nothing could."""

    event_id: str | None = None
    event_type: str | None = None
    user_id: str | None = None
    occurred_at: datetime | None = None


class Reason(NamedTuple):
    """Why an event failed: the class of the error, and the first line of what it says. Both are bounded."""

    error: str
    message: str


def read_loosely(form: Form, body: bytes) -> Read:
    """Return what can be read of a body that may be anything."""
    if form == "block":
        return Read()
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Read()
    return Read(
        _text(found, "id", _ID_LENGTH_MAX),
        _text(found, "event_type", EVENT_TYPE_LENGTH_MAX),
        _text(found, "user_id", USER_ID_LENGTH_MAX),
        cast("datetime | None", _value(found, "occurred_at", AwareTime)),
    )


def source_of(place: str, block_id: str, event_id: str | None, body: bytes) -> str:
    """Return the name under which an event is a dead letter once: its id, or where it stood when it has no good one.

    `place` names the stream and priority of its block.
    """
    try:
        return f"event:{UUID(event_id or '')}"
    except ValueError:
        return f"block:{place}:{block_id}:{hashlib.sha256(body).hexdigest()[:32]}"


def reason_of(error: BaseException) -> Reason:
    """Return why an event failed, without passwords of URLs."""
    line = next(iter(str(error).strip().splitlines()), "")
    message = _PASSWORD.sub(r"\1…@", clean(line, MESSAGE_LENGTH_MAX))
    return Reason(type(error).__name__[:ERROR_LENGTH_MAX], message)


def clean(text: str, length_max: int) -> str:
    """Return a text as every database column takes it: short, without NUL and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:length_max]


def _text(found: dict[str, msgspec.Raw], name: str, length_max: int) -> str | None:
    text = _value(found, name, str)
    return clean(text, length_max) if isinstance(text, str) else None


def _value(found: dict[str, msgspec.Raw], name: str, kind: Any) -> object:
    try:
        return msgspec.json.decode(found[name], type=kind)
    except (KeyError, msgspec.MsgspecError, ValueError):
        return None
