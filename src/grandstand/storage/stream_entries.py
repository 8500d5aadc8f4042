"""What an entry of the event stream says, whoever wrote it: a worker must get past each of them.

`lua/append.lua` gives each `n` (events), `r` (received at, in microseconds), `e` (the events) and, with traces, `t`. An
entry without events becomes a block that cannot be read, which ends as a dead letter.
"""

from datetime import datetime
from typing import NamedTuple

import structlog

from grandstand.domain.ranking import from_microseconds

_NEEDED = {b"n", b"r", b"e"}
_KNOWN = {*_NEEDED, b"t"}
_EVENTS_MAX = 2**31 - 1
_MICROSECONDS_MAX = 253_402_300_799_999_999
"""The end of the year 9999."""

_DIGITS_MAX = 18
_SHOWN_BYTES = 500
_log = structlog.get_logger(__name__)

Fields = dict[bytes, bytes]


class Entry(NamedTuple):
    """What an entry says; see `Block`. `kept` is as `pack_block` made it."""

    events: int
    received_at: datetime
    kept: bytes
    traces: bytes


def read_entry(entry_id: bytes, fields: Fields) -> Entry:
    """Return what an entry says, and a guess for what it does not."""
    kept = fields.get(b"e")
    if kept is None:
        named = b", ".join(fields)[:_SHOWN_BYTES]
        kept = b"not a block of events: an entry of the stream with no field e, but with " + named
    if fields.keys() - _KNOWN or not fields.keys() >= _NEEDED:
        _log.error("stream_entry_odd", entry_id=entry_id.decode())
    events = _number(fields, b"n", _EVENTS_MAX) or 1
    return Entry(events, received_at_of(entry_id, fields), kept, fields.get(b"t", b""))


def received_at_of(entry_id: bytes, fields: Fields) -> datetime:
    """Return when the events were received; where that is not said, when the server took them."""
    microseconds = _number(fields, b"r", _MICROSECONDS_MAX)
    if microseconds is None:
        microseconds = min(1000 * int(entry_id.partition(b"-")[0]), _MICROSECONDS_MAX)
    return from_microseconds(microseconds)


def _number(fields: Fields, name: bytes, most: int) -> int | None:
    text = fields.get(name, b"")
    if not text.isdigit() or len(text) > _DIGITS_MAX:
        return None
    return min(int(text), most)
