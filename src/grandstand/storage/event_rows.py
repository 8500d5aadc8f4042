"""Events as PostgreSQL's COPY takes them: made once a batch, for the events table and for the queue of the rollups.

The driver's own encoder asks of every value what it is and takes most of its time for times, of which an event has two;
columns of ready fields cost a fraction of that and serve both tables. The format is that of
https://www.postgresql.org/docs/current/sql-copy.html (binary), each value as its type's send function gives it.
"""

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from operator import floordiv, sub

import msgspec

from grandstand.domain.event_model import StreamedEvent

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EVENT = struct.pack(">h", 6)
_QUEUED = struct.pack(">h", 7)
_UUID_HEAD = struct.pack(">i", 16).hex()
_UUID_BYTES = 20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_TEXT_OID, _TIME_OID, _UUID_OID = 25, 1184, 2950
_ID_LENGTH = 36
_JSONB_VERSION = 1

_CHUNK_FIELDS = 7_000
"""Fields of one piece of COPY's data, a thousand rows: some 256 KiB, which keeps the connection's buffer small."""

_pack_length = struct.Struct(">i").pack
_pack_time = struct.Struct(">iq").pack
_pack_jsonb = struct.Struct(">ib").pack
_pack_array = struct.Struct(">iiiii").pack


class EventRows:
    """Some events, received in one partition's time, in ascending order of their ids.

    All is done column by column, in calls that run over the whole of one: a step in Python for each event would cost
    several times what is done in it.
    """

    EVENT_COLUMNS = ("received_at", "id", "occurred_at", "event_type", "user_id", "payload")
    QUEUE_COLUMNS = (
        "received_month",
        "received_until",
        "events",
        "event_types",
        "user_ids",
        "occurred_at",
        "event_ids",
    )

    def __init__(self, events: Sequence[tuple[StreamedEvent, datetime]]) -> None:
        """Take (event, received_at) pairs, sorted by id.

        Raises:
            ValueError: an id is no UUID in its one form of text, or a text cannot be encoded.
        """
        self.ids = [event.id for event, _ in events]
        self._uuids = _uuids(self.ids)
        # A row begins with how many fields it has. Blocks and types are few, and events many.
        received = {moment: _EVENT + _time(moment) for moment in {received_at for _, received_at in events}}
        self._begins = [received[received_at] for _, received_at in events]
        self._occurred = _times([event.occurred_at for event, _ in events])
        types = {text: _text(text) for text in {event.event_type for event, _ in events}}
        self._types = [types[event.event_type] for event, _ in events]
        users = [event.user_id.encode() for event, _ in events]
        self._users = [head + data for head, data in zip(_heads(users, _pack_length), users, strict=True)]
        # Joined from where the block has them, and not copied before.
        self._payloads = [event.payload for event, _ in events]
        self._payload_heads = _heads(self._payloads, _jsonb_head)

    def __len__(self) -> int:
        return len(self.ids)

    def for_events(self) -> AsyncIterator[bytes]:
        """Yield the rows of the events table, columns as in `EVENT_COLUMNS`."""
        ids = [self._uuids[start : start + _UUID_BYTES] for start in range(0, len(self._uuids), _UUID_BYTES)]
        columns: tuple[list[bytes] | list[msgspec.Raw], ...] = (
            self._begins, ids, self._occurred, self._types, self._users, self._payload_heads, self._payloads,
        )  # fmt: skip
        fields = [b""] * (len(columns) * len(self))
        for number, column in enumerate(columns):
            fields[number :: len(columns)] = column
        return _chunks(fields)

    def for_queue(self, first_day: date, until_day: date) -> AsyncIterator[bytes]:
        """Yield the one row of the rollups' queue for a partition of these days, columns as in `QUEUE_COLUMNS`."""
        count = len(self)
        return _chunks(
            (
                _QUEUED,
                struct.pack(">ii", 4, (first_day - _EPOCH_DAY).days),
                struct.pack(">ii", 4, (until_day - _EPOCH_DAY).days),
                struct.pack(">ii", 4, count),
                *_array(_TEXT_OID, count, b"".join(self._types)),
                *_array(_TEXT_OID, count, b"".join(self._users)),
                *_array(_TIME_OID, count, b"".join(self._occurred)),
                *_array(_UUID_OID, count, self._uuids),
            )
        )


def _heads(values: Sequence[bytes], make: Callable[[int], bytes]) -> list[bytes]:
    """Return what stands before each value and follows from its length, of which there are few."""
    lengths = list(map(len, values))
    made = {length: make(length) for length in set(lengths)}
    return [made[length] for length in lengths]


def _uuids(ids: Sequence[str]) -> bytes:
    """Return the fields of ids, one behind the other."""
    if not ids:
        return b""
    data = bytes.fromhex((_UUID_HEAD + _UUID_HEAD.join(ids)).replace("-", ""))
    if len(data) != _UUID_BYTES * len(ids) or set(map(len, ids)) != {_ID_LENGTH}:
        raise ValueError("An event's id is no UUID in its usual form.")
    return data


def _times(moments: Sequence[datetime]) -> list[bytes]:
    microseconds = map(floordiv, map(sub, moments, repeat(_EPOCH)), repeat(_MICROSECOND))
    return list(map(_pack_time, repeat(8), microseconds))


def _time(moment: datetime) -> bytes:
    return _pack_time(8, (moment - _EPOCH) // _MICROSECOND)


def _text(text: str) -> bytes:
    data = text.encode()
    return _pack_length(len(data)) + data


def _jsonb_head(length: int) -> bytes:
    return _pack_jsonb(length + 1, _JSONB_VERSION)


def _array(type_oid: int, count: int, fields: bytes) -> tuple[bytes, bytes, bytes]:
    return _pack_length(len(fields) + 20), _pack_array(1, 0, type_oid, count, 1), fields


async def _chunks(fields: Sequence[bytes]) -> AsyncIterator[bytes]:
    # COPY's data may be cut anywhere.
    yield _HEADER
    for start in range(0, len(fields), _CHUNK_FIELDS):
        yield b"".join(fields[start : start + _CHUNK_FIELDS])
    yield _TRAILER
