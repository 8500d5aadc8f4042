"""The order of a board, as numbers and bytes that sort by themselves.

A rank index keeps every entry at (`position_score`, `member`), both ascending, so the first entry has rank 1 on
every board: the score is negated where more is better, and the member begins with the tie-breaks and the time when the
score was reached, each as bytes that sort like what they stand for, so equal scores stand in the order of tie-breaks,
then of time, then of the user's bytes. A sorted set compares members as bytes, and PostgreSQL compares `tie_key` and
`user_id COLLATE "C"` the same way: both give one order.
"""

import math
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from grandstand.domain.leaderboards import Order
from grandstand.domain.scores import look_up

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BITS = struct.Struct(">Q")
_DOUBLE = struct.Struct(">d")
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_NO_VALUE = b"\xff" * 8
TIE_BREAK_BYTES = 8
"""Length of the tie key for each tie-break."""

TIME_BYTES = 8


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


def tie_key(payload: object, tie_breaks: "Sequence[tuple[tuple[str, ...], Order]]") -> bytes:
    """Return bytes that order equal scores by payload fields of one event, the better value first.

    A field that is missing or not a number stands behind every number.
    """
    return b"".join(_tie_bytes(look_up(payload, path), order) for path, order in tie_breaks)


def _tie_bytes(value: object, order: Order) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NO_VALUE
    try:
        number = float(value)
    except OverflowError:
        return _NO_VALUE
    if not math.isfinite(number):
        return _NO_VALUE
    # The bits of doubles sort like the numbers once negative ones are inverted; -0.0 must be 0.0.
    (bits,) = _BITS.unpack(_DOUBLE.pack(-number if order == "desc" else number))
    if number == 0:
        bits = 0
    return _BITS.pack(bits ^ _ALL if bits & _SIGN else bits | _SIGN)


def member(tie: bytes, achieved_at: datetime, user_id: str) -> bytes:
    """Return the bytes that stand for one entry in a rank index: its prefix, then the user."""
    return prefix(tie, achieved_at) + user_id.encode()


def prefix(tie: bytes, achieved_at: datetime) -> bytes:
    """Return what orders equal scores: the tie key, then the earlier `achieved_at` first."""
    return tie + _BITS.pack(to_microseconds(achieved_at) + _SIGN)


def read_member(data: bytes, tie_bytes: int) -> tuple[bytes, datetime, str]:
    """Return (tie key, `achieved_at`, `user_id`) of a member whose tie key has `tie_bytes` bytes."""
    (shifted,) = _BITS.unpack_from(data, tie_bytes)
    # As `from_microseconds`, without the call: a busy process does this several ten thousand times a second.
    achieved_at = _EPOCH + timedelta(0, 0, shifted - _SIGN)
    return data[:tie_bytes], achieved_at, data[tie_bytes + TIME_BYTES :].decode()


def percentile(rank: int, total: int) -> float:
    """Return the share, in percent, of ranked players that the holder of `rank` is at or above."""
    return 100 * (total - rank + 1) / total


def top_ranks(total: int, percent: float) -> int:
    """Return how many ranks are within the top `percent` of `total`: the share, rounded up, of exact decimals."""
    return math.ceil(Fraction(str(percent)) * total / 100)
