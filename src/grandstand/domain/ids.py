"""Ids that the server makes: UUIDv7, many at once.

They are time-ordered, so the unique index on them stays small in memory at any number of stored events. Libraries
make them one by one, and steps its clock by a millisecond for each: at 100,000 events a second its ids would
run ahead of time by 100 seconds every second. Here a batch shares one moment and is numbered inside it.
"""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_decode_uuids = msgspec.json.Decoder(list[UUID]).decode


def new_ids(count: int, moment: datetime) -> list[UUID]:
    """Return `count` new UUIDv7 of the given moment, in rising order for up to 4,096 of them (RFC 9562, method 1).

    60 bits of each are random, so two processes do not meet.
    """
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    start = f"{milliseconds:012x}7"
    noise = os.urandom(8 * count).hex()
    texts = [f"{start}{index & 0xFFF:03x}8{noise[16 * index : 16 * index + 15]}" for index in range(count)]
    # Parsing them as JSON in one go is five times as fast as calling UUID() for each.
    return _decode_uuids('["' + '","'.join(texts) + '"]') if texts else []
