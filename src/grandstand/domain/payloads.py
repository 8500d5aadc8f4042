"""What a payload may hold: everything that JSON has and that PostgreSQL's `jsonb` takes, and nothing else.

Whatever passes here is acknowledged and stored later, when nobody is left to complain to. So the checks are those of
the strictest reader behind us: valid UTF-8, no NUL, no lone surrogates, numbers within the range of `numeric`, and a
nesting that no parser's stack minds.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from grandstand.domain.event_model import EventError
from grandstand.domain.scores import SCORE_MAX, InexactFloat, look_up, read_float

PAYLOAD_DEPTH_MAX = 64
"""Nesting levels of a payload; real payloads have a handful, deeper ones are attacks on parsers behind us."""

NUMBER_LENGTH_MAX = 400
"""Characters of a number that is no integer: every double has fewer, and `numeric` takes many more."""

ScorePaths = tuple[tuple[str, ...], ...]
"""Where the scores of an event type stand in its payload: for each, the names from the outside in."""

_EXPONENT_DIGITS_MAX = 4
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_NUL_ESCAPE = re.compile(rb"\\(?:u0000|(?P<other>.))", re.DOTALL)


def may_hold_nul(text: bytes) -> bool:
    """Tell whether an escaped NUL may stand in a text: one cheap look for a whole batch."""
    return b"\\u0000" in text


def check_payload(payload: msgspec.Raw, bytes_max: int, *, nul_possible: bool) -> dict[str, Any]:
    """Check a payload so completely that nothing behind the stream can choke on it; return it decoded.

    `nul_possible` is what `may_hold_nul` says of the payload, or of a text that contains it.

    Raises:
        EventError: the payload is not an object, or holds something that cannot be stored.

    """
    size = len(payload)
    if size > bytes_max:
        raise EventError("payload_too_large", f"`payload` has {size} bytes; at most {bytes_max} are taken.")
    if nul_possible and _holds_nul(bytes(payload)):
        raise EventError("invalid_payload", "`payload` holds a NUL character, which cannot be stored.")
    if size > PAYLOAD_DEPTH_MAX and _is_too_deep(bytes(payload)):
        raise too_deep()
    try:
        return _decode_object(payload)
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        if bytes(payload).lstrip()[:1] != b"{":
            raise EventError("invalid_payload", "`payload` must be a JSON object.") from None
        raise EventError("invalid_payload", "`payload` holds a number that is out of range.") from None
    except UnicodeDecodeError:
        raise EventError("invalid_payload", "`payload` is not valid UTF-8.") from None
    except msgspec.DecodeError:
        raise unreadable() from None


def are_small_objects(payloads: Sequence[msgspec.Raw], bytes_max: int) -> list[dict[str, Any]] | None:
    """Check many payloads in one go, each as `check_payload` does; return them decoded, or None if one may not pass.

    None of them may hold an escaped NUL.
    """
    if max(map(len, payloads)) > bytes_max:
        return None
    text = b"[" + b",".join(payloads) + b"]"
    # The brackets of all of them together: where there are more, each has to be looked at by itself.
    if text.count(b"{") + text.count(b"[") - len(payloads) > PAYLOAD_DEPTH_MAX and any(
        len(payload) > PAYLOAD_DEPTH_MAX and _is_too_deep(bytes(payload)) for payload in payloads
    ):
        return None
    try:
        found = _decode_objects(text)
    except (RecursionError, UnicodeDecodeError, msgspec.MsgspecError):
        return None
    return found if len(found) == len(payloads) else None


def too_deep() -> EventError:
    """Return the refusal of a payload that is nested too deeply."""
    return EventError("payload_too_deep", f"`payload` nests deeper than {PAYLOAD_DEPTH_MAX} levels.")


def unreadable() -> EventError:
    """Return the refusal of a payload that no JSON reader takes."""
    return EventError("invalid_payload", "`payload` is not valid JSON (a lone surrogate, NaN, or a broken value).")


def find_huge_score(payload: dict[str, Any], paths: ScorePaths) -> str | None:
    """Return the first of the paths, dotted, that holds what would not be ranked exactly, or None.

    That is an integer which is too large, or a number that only reads like an integer, since a double keeps 16 digits.
    Fractions, texts and missing values are not scores at all: they are stored and not ranked.
    """
    for path in paths:
        value = look_up(payload, path)
        if type(value) is InexactFloat:
            return ".".join(path)
        is_whole = type(value) is int or (type(value) is float and value.is_integer())
        if is_whole and not -SCORE_MAX <= value <= SCORE_MAX:
            return ".".join(path)
    return None


def read_number(text: str) -> float:
    """Read a number with a fraction or an exponent. Integers do not come here: msgspec takes up to 4,300 digits.

    Raises:
        ValueError: it is out of range, or longer than any that means something.
    """
    value = float(text)
    if value - value != 0.0:  # infinite
        raise ValueError
    if value == 0.0 or len(text) > NUMBER_LENGTH_MAX:
        exponent = text.lower().partition("e")[2].lstrip("+-")
        if len(text) > NUMBER_LENGTH_MAX or len(exponent) > _EXPONENT_DIGITS_MAX:
            raise ValueError
    return read_float(text) if value.is_integer() else value


_decode_object = msgspec.json.Decoder(dict[str, Any], float_hook=read_number).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, Any]], float_hook=read_number).decode


def _is_too_deep(text: bytes) -> bool:
    if text.count(b"{") + text.count(b"[") <= PAYLOAD_DEPTH_MAX:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in (b"[", b"{"):
            depth += 1
            if depth > PAYLOAD_DEPTH_MAX:
                return True
        elif match[0] in (b"]", b"}"):
            depth -= 1
    return False


def _holds_nul(text: bytes) -> bool:
    """Tell a NUL escape from an escaped backslash before `u0000`: escapes are read from left to right."""
    return may_hold_nul(text) and any(match["other"] is None for match in _NUL_ESCAPE.finditer(text))
