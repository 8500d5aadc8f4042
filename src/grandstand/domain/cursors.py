"""Opaque cursors: where a page of a ranking ended, as a position that stays meaningful while scores change."""

import base64
import binascii

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.ranking import TIE_KEY_BYTES, Position, read_member
from grandstand.domain.scores import SCORE_MAX

_CURSOR_LENGTH_MAX = 2_000
_decode = msgspec.msgpack.Decoder(tuple[int, int, bytes]).decode


def write_cursor(ranking_id: int, position: Position) -> str:
    """Return the cursor that continues behind `position`."""
    packed = msgspec.msgpack.encode((ranking_id, position.position_score, position.member))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(cursor: str, ranking_id: int) -> Position:
    """Return the position that a cursor of this ranking continues behind.

    Raises:
        InvalidError: the text is no cursor, or one of another ranking (of another board, or of a board made anew).

    """
    try:
        if len(cursor) > _CURSOR_LENGTH_MAX:
            raise ValueError("too long")
        packed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        written_for, position_score, member = _decode(packed)
        if written_for != ranking_id or abs(position_score) > SCORE_MAX or len(member) <= TIE_KEY_BYTES:
            raise ValueError("not of this ranking")
        _, user_id = read_member(member)
        if "\x00" in user_id:
            raise ValueError("no user has this id")
    except (ValueError, OverflowError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")]) from error
    return Position(position_score, member)
