"""Events as PostgreSQL's COPY takes them: made once a batch, for the events table and for the queue of the rollups.

The driver's own encoder asks of every value what it is and takes most of its time for times, of which an event has two;
columns of ready fields cost a third of that and serve both tables. The format is that of
https://www.postgresql.org/docs/current/sql-copy.html (binary), each value as its type's send function gives it.
"""

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat

from grandstand.domain.event_model import StreamedEvent

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EVENT = struct.pack(">h", 6)
_QUEUED = struct.pack(">h", 7)
_UUID = struct.pack(">i", 16)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_TEXT_OID, _TIME_OID, _UUID_OID = 25, 1184, 2950
_ID_LENGTH = 36
_CHUNK_BYTES = 262_144

_pack_length = struct.Struct(">i").pack
_pack_time = struct.Struct(">iq").pack
_pack_jsonb = struct.Struct(">ib").pack
_pack_array = struct.Struct(">iiiii").pack


class EventRows:
    """Some events, received in one partition's time, in ascending order of their ids."""

    EVENT_COLUMNS = ("id", "received_at", "occurred_at", "event_type", "user_id", "payload")
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
        # Blocks and types are few and events many.
        received = {moment: _time(moment) for moment in {received_at for _, received_at in events}}
        types = {text: _text(text) for text in {event.event_type for event, _ in events}}
        self._ids = _uuids(self.ids)
        self._received = [received[received_at] for _, received_at in events]
        self._types = [types[event.event_type] for event, _ in events]
        # Written out, for a call of a function costs as much as what it does here.
        self._occurred = [_pack_time(8, (event.occurred_at - _EPOCH) // _MICROSECOND) for event, _ in events]
        users = [event.user_id.encode() for event, _ in events]
        self._users = [_pack_length(len(data)) + data for data in users]
        payloads = [bytes(event.payload) for event, _ in events]
        self._payloads = [_pack_jsonb(len(data) + 1, 1) + data for data in payloads]

    def __len__(self) -> int:
        return len(self.ids)

    def for_events(self) -> AsyncIterator[bytes]:
        """Yield the rows of the events table, columns as in `EVENT_COLUMNS`."""
        rows = zip(
            repeat(_EVENT), self._ids, self._received, self._occurred, self._types, self._users, self._payloads,
            strict=False,
        )  # fmt: skip
        return _chunks(chain.from_iterable(rows))

    def for_queue(self, first_day: date, until_day: date) -> AsyncIterator[bytes]:
        """Yield the one row of the rollups' queue for a partition of these days, columns as in `QUEUE_COLUMNS`."""
        return _chunks(
            (
                _QUEUED,
                struct.pack(">ii", 4, (first_day - _EPOCH_DAY).days),
                struct.pack(">ii", 4, (until_day - _EPOCH_DAY).days),
                struct.pack(">ii", 4, len(self)),
                _array(_TEXT_OID, self._types),
                _array(_TEXT_OID, self._users),
                _array(_TIME_OID, self._occurred),
                _array(_UUID_OID, self._ids),
            )
        )


def _uuids(ids: Sequence[str]) -> list[bytes]:
    data = bytes.fromhex("".join(ids).replace("-", ""))
    if len(data) != 16 * len(ids) or any(len(each) != _ID_LENGTH for each in ids):
        raise ValueError("An event's id is no UUID in its usual form.")
    return [_UUID + data[start : start + 16] for start in range(0, len(data), 16)]


def _time(moment: datetime) -> bytes:
    return _pack_time(8, (moment - _EPOCH) // _MICROSECOND)


def _text(text: str) -> bytes:
    data = text.encode()
    return _pack_length(len(data)) + data


def _array(type_oid: int, fields: Sequence[bytes]) -> bytes:
    data = b"".join(fields)
    return _pack_length(len(data) + 20) + _pack_array(1, 0, type_oid, len(fields), 1) + data


async def _chunks(fields: Iterable[bytes]) -> AsyncIterator[bytes]:
    # COPY's data may be cut anywhere; pieces of this size keep the connection's buffer small.
    data = memoryview(b"".join(chain((_HEADER,), fields, (_TRAILER,))))
    for start in range(0, len(data), _CHUNK_BYTES):
        yield bytes(data[start : start + _CHUNK_BYTES])
