"""Opaque cursors: where a page of a ranking ended, as a position that stays meaningful while scores change."""

import base64
import binascii
from typing import NamedTuple

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.ranking import TIME_BYTES, Position, read_member
from grandstand.domain.scores import SCORE_MAX

_CURSOR_LENGTH_MAX = 2_000
_RANK_MAX = 2**53
_decode = msgspec.msgpack.Decoder(tuple[int, int, bytes, int]).decode


class Place(NamedTuple):
    """Where a page ended: the last entry's position, and the rank it had (which still holds in an archive)."""

    position: Position
    rank: int


def write_cursor(ranking_id: int, place: Place) -> str:
    """Return the cursor that continues behind `place`."""
    packed = msgspec.msgpack.encode((ranking_id, place.position.position_score, place.position.member, place.rank))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(cursor: str, ranking_id: int, tie_bytes: int) -> Place:
    """Return the place that a cursor of this ranking continues behind.

    Raises:
        InvalidError: the text is no cursor, or one of another ranking (another board, period or part of it).
    """
    try:
        if len(cursor) > _CURSOR_LENGTH_MAX:
            raise ValueError("too long")
        packed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        written_for, position_score, member, rank = _decode(packed)
        if written_for != ranking_id or abs(position_score) > SCORE_MAX or len(member) <= tie_bytes + TIME_BYTES:
            raise ValueError("not of this ranking")
        *_, user_id = read_member(member, tie_bytes)
        if "\x00" in user_id or not 1 <= rank <= _RANK_MAX:
            raise ValueError("no entry is there")
    except (ValueError, OverflowError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")]) from error
    return Place(Position(position_score, member), rank)
