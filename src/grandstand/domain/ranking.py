"""The order of a board, as numbers and bytes that sort by themselves.

A rank index keeps every entry at (`position_score`, `member`), both ascending, so the first entry has rank 1 on
every board: the score is negated where more is better, and the member begins with the time when the score was
reached, so equal scores stand in the order of time and then of the user's bytes. A sorted set compares members as
bytes, and PostgreSQL compares `user_id COLLATE "C"` the same way: both give one order.
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from grandstand.domain.leaderboards import Order

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = struct.Struct(">Q")
_SIGN = 1 << 63
TIE_KEY_BYTES = _TIME.size


class Position(NamedTuple):
    """Where an entry stands: compares like the board does, lower is ahead."""

    position_score: int
    member: bytes


def direction(order: Order) -> int:
    """Return the factor that makes a lower product the better one: -1 where a higher score is better."""
    return -1 if order == "desc" else 1


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 UTC, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the moment that lies `microseconds` after 1970 UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def tie_key(achieved_at: datetime) -> bytes:
    """Return bytes that order equal scores: the earlier `achieved_at` first. The first part of a member."""
    return _TIME.pack(to_microseconds(achieved_at) + _SIGN)


def member(achieved_at: datetime, user_id: str) -> bytes:
    """Return the bytes that stand for one entry in a rank index."""
    return tie_key(achieved_at) + user_id.encode()


def read_member(data: bytes) -> tuple[datetime, str]:
    """Return (`achieved_at`, `user_id`) of a member."""
    (shifted,) = _TIME.unpack_from(data)
    return from_microseconds(shifted - _SIGN), data[TIE_KEY_BYTES:].decode()


def percentile(rank: int, total: int) -> float:
    """Return the share, in percent, of ranked players that the holder of `rank` is at or above."""
    return 100 * (total - rank + 1) / total
