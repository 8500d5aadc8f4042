"""Ids for events that come without one, so that a line counts once however often it is sent.

The id of a line follows from the content of its file and its number: sending the file again, or going on after a
failure, makes the same ids. They rise with the line number, which keeps the index of ids in PostgreSQL compact.
"""

import hashlib
from uuid import UUID

import msgspec

_LINE_BITS = 40
_VARIANT = 0b10 << 62
_VERSION = 8 << 76


class EventIds:
    """The ids of one source. `digest` stands for its content, `meaning` for how its lines become events."""

    def __init__(self, digest: bytes, meaning: bytes = b"") -> None:
        self.seed = hashlib.blake2b(meaning, key=digest, digest_size=32, person=b"gs-import").digest()
        bits = int.from_bytes(self.seed[:11], "big")
        # UUIDv8 (RFC 9562): 48 bits, the version, 12 bits, the variant, the line number in 40 bits, 22 bits.
        high, middle, low = bits >> 40, (bits >> 28) & 0xFFF, bits & 0x3FFFFF
        self._base = high << 80 | _VERSION | middle << 64 | _VARIANT | low

    def of_line(self, line: int) -> str:
        """Return the id of the event on a line (numbers from 1 to 2^40 - 1)."""
        return str(UUID(int=self._base | line << (62 - _LINE_BITS)))


class _Head(msgspec.Struct, gc=False):
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_head = msgspec.json.Decoder(_Head).decode


def with_id(event: bytes, event_id: str) -> bytes:
    """Return the JSON text of an event with an `id`: its own, or `event_id` when it has none.

    What is no JSON object comes back as it is; the server says what is wrong with it.
    """
    try:
        own = _decode_head(event).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return event
    if own is not msgspec.UNSET and bytes(own) != b"null":
        return event
    # At the end, where it wins over an `"id": null`: of equal names the last counts.
    head = event.rstrip()[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    return b'%s%s"id":"%s"}' % (head, comma, event_id.encode())
