"""What all lists are asked by: how many at most, and opaque cursors of those that are read by a fixed-size key."""

import base64
import binascii

from grandstand.domain.errors import FieldError, InvalidError


def check_limit(limit: int, limit_max: int) -> None:
    """Let pass how many are wanted in one answer.

    Raises:
        InvalidError: that is none, or more than `limit_max`.
    """
    if not 1 <= limit <= limit_max:
        raise InvalidError([FieldError("limit", f"must be between 1 and {limit_max}")])


def write_list_cursor(key: bytes) -> str:
    """Return the cursor that continues behind a key."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def read_list_cursor(cursor: str, size_bytes: int) -> bytes:
    """Return the key that a cursor continues behind.

    Raises:
        InvalidError: the text is no cursor of such a list.
    """
    try:
        key = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if len(key) != size_bytes:
            raise ValueError("of another length")
    except (ValueError, binascii.Error):
        message = "is not a cursor of this list; begin again without one"
        raise InvalidError([FieldError("cursor", message)]) from None
    return key
