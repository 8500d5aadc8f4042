"""The event itself: its fields, the rules for each, and the form that travels through the stream."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated
from uuid import UUID

import msgspec

EVENT_TYPE_LENGTH_MAX = 50
USER_ID_LENGTH_MAX = 255
OWN_PREFIX = "grandstand."
"""Event types that begin with it are the server's own; nobody sends them."""


MISSING_ID = UUID(int=0)
"""Marks, by identity, an event that came without an id."""

OLDEST = datetime(1900, 1, 1, tzinfo=UTC)
NEWEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Times of events lie between these, whatever limits are lifted: beyond them are mistakes, on which clients, time zones
and the database choke."""

MISSING_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""Marks, by identity, an event that came without a time."""

NO_PAYLOAD = msgspec.Raw(b"{}")

NOT_SIGNED = "none"
"""In the stream: what stands in place of the signature of a player's event that came without one.

What was signed rightly, and what a game server sent, has nothing there.
"""


class EventError(Exception):
    """An event that cannot be taken; `code` is the stable code, `message` a sentence for the sender."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]

_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,50}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Event(msgspec.Struct, gc=False):
    """One gameplay event. The same struct is decoded from a request and encoded again for the stream.

    `payload` is the untouched JSON text of an object; `occurred_at` is aware. `gc=False`: it never holds a cycle.
    """

    event_type: str
    user_id: str
    payload: msgspec.Raw = NO_PAYLOAD
    id: UUID = MISSING_ID
    occurred_at: AwareTime = MISSING_TIME
    signature: str | msgspec.UnsetType | None = msgspec.UNSET


class StreamedEvent(msgspec.Struct, gc=False):
    """An event as a worker takes it from the stream. Its id stays text, in the one form that the encoder writes.

    Nothing computes with ids there: they are compared and handed to the database, and texts cost less than objects.
    """

    event_type: str
    user_id: str
    payload: msgspec.Raw
    id: str
    occurred_at: AwareTime
    signature: str | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def lacks_signature(self) -> bool:
        """Whether it came from a player's client and was not signed."""
        return self.signature == NOT_SIGNED


_NO_PAYLOAD = msgspec.Raw(b"{}")


def stored_event(event_type: str, user_id: str, event_id: UUID, occurred_at: datetime) -> StreamedEvent:
    """Return a stored event as scoring takes it: the payload is handed over beside it, decoded."""
    return StreamedEvent(
        event_type=event_type, user_id=user_id, payload=_NO_PAYLOAD, id=str(event_id), occurred_at=occurred_at
    )


_encoder = msgspec.json.Encoder()
_cut_entry = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_events = msgspec.json.Decoder(list[StreamedEvent]).decode


def encode_events(events: Sequence[Event]) -> bytes:
    """Return the events as they are kept in a stream entry: a JSON array."""
    return _encoder.encode(events)


def decode_events(entry: bytes) -> list[StreamedEvent]:
    """Return the events of a stream entry. Their payloads share the memory of `entry`.

    Raises:
        msgspec.DecodeError: the entry was not written by `encode_events`.
    """
    return _decode_events(entry)


def cut_entry(entry: bytes) -> list[bytes]:
    """Return the texts of the events of a stream entry, byte for byte, whatever each of them holds.

    Raises:
        msgspec.DecodeError: the entry is no JSON array.
    """
    return [bytes(event) for event in _cut_entry(entry)]


def join_entry(events: Sequence[bytes]) -> bytes:
    """Return the stream entry of events that `cut_entry` gave."""
    return b"[" + b",".join(events) + b"]"


def is_event_type(text: str) -> bool:
    """Tell whether a text may be an event type: 1 to 50 of `a-z A-Z 0-9 _ . : -`, not one of our own."""
    # Its length first: what is remembered must be small, and anybody can send a text of a MiB.
    return len(text) <= EVENT_TYPE_LENGTH_MAX and _is_short_event_type(text)


@lru_cache(maxsize=1024)
def _is_short_event_type(text: str) -> bool:
    return _EVENT_TYPE.match(text) is not None and not text.startswith(OWN_PREFIX)


def is_user_id(text: str) -> bool:
    """Tell whether a text may be a user id: 1 to 255 characters, none of them a control character."""
    # Printable is the usual case and one fast test; of the rest, control characters are searched for.
    return 0 < len(text) <= USER_ID_LENGTH_MAX and (text.isprintable() or _CONTROL.search(text) is None)
