"""Cuts a JSON text into its elements without reading them, for documents that a parser gives up on as a whole.

One lone surrogate, one `NaN` or one depth bomb makes every parser refuse the whole document. The brackets and quotes
still say where one event ends and the next begins, so the good neighbours can be taken. No recursion, and the work is
linear in the length: the patterns are possessive and never go back.
"""

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from grandstand.domain.errors import MalformedError

SPACE = b" \t\r\n"
BRACKETS_MAX = 4_000
"""Groups of brackets that are looked at one by one, which bounds the time (some 2 ms) that one request takes. What is
nested as payloads are is skipped as a whole and does not count."""

MEMBERS_MAX = 1_000
"""Members of an object that is taken apart. An event has five."""

_LEVELS_SKIPPED = 6
_STRING = rb'"(?:[^"\\]++|\\.)*+"'


def _nested(levels: int) -> bytes:
    """Return the pattern of a bracketed value with so many levels at most. It fails without going back."""
    inner = b"|" + _nested(levels - 1) if levels > 1 else b""
    return rb'[\[{](?:[^"\[\]{}]++|' + _STRING + inner + rb")*+[\]}]"


_SKIPPED = _STRING + b"|" + _nested(_LEVELS_SKIPPED)
# Each pattern skips what does not matter and stops at what does: at the first level commas matter, below only brackets.
# A quote as a stop means a string that does not end.
_NEXT_AT_TOP = re.compile(rb'(?:[^"\[\]{},]++|' + _SKIPPED + rb')*+([\[{]++|[\]}]++|,|"|\Z)', re.DOTALL)
# Objects that only hold one another (`{"a":{"a":`) are one group, as arrays are (`[[[`).
_OPENERS = rb'[\[{]++(?:\s*+"[^"\\\[\]{}]*+"\s*+:\s*+[\[{]++)*+'
_NEXT_INSIDE = re.compile(
    rb'(?:[^"\[\]{}]++|' + _SKIPPED + rb")*+(" + _OPENERS + rb'|[\]}]++|"|\Z)',
    re.DOTALL,
)
_CLOSERS = {b"[": b"]", b"{": b"}"}
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:(.*)\Z", re.DOTALL)

_decode_name = msgspec.json.Decoder(str).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it cannot read."""


def cut_elements(text: bytes, elements_max: int) -> list[bytes]:
    """Cut a JSON array (which begins with its bracket) into the texts of its elements.

    Of an array with more than `elements_max` of them, that many and one more are returned; the rest is not looked at.

    Raises:
        MalformedError: quotes or brackets do not balance, a value is missing, or there is text after the end.

    """
    return list(islice(_cut(text), elements_max + 1))


def cut_members(text: bytes) -> dict[str, bytes]:
    """Cut a JSON object (which begins with its brace) into the texts of its values. Of equal names the last counts.

    Members whose name cannot be read are left out.

    Raises:
        MalformedError: as for `cut_elements`.

    """
    members: dict[str, bytes] = {}
    for number, part in enumerate(_cut(text), start=1):
        if number > MEMBERS_MAX:
            raise MalformedError("The body is not valid JSON, or an object has too many members to be taken apart.")
        match = _MEMBER.match(part)
        if match is None:
            continue
        try:
            members[_decode_name(match[1])] = match[2].strip(SPACE)
        except DECODE_ERRORS:
            continue
    return members


def is_json(text: bytes) -> bool:
    """Tell whether a text has the grammar of JSON, be its values ever so unusable (lone surrogates, any depth)."""
    if b"\\u" in text:
        # Escaped backslashes go first, so that each that is left begins an escape; then what may be half a surrogate
        # pair becomes another character. Nothing is done for each escape by itself: a body may be full of them.
        text = text.replace(rb"\\", b"__").replace(rb"\ud", rb"\u0").replace(rb"\uD", rb"\u0")
    try:
        _decode_raw(text)
    except RecursionError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _cut(text: bytes) -> Iterator[bytes]:
    text = text.rstrip(SPACE)
    depth, start, position, brackets = 1, 1, 1, 0
    while brackets < BRACKETS_MAX:
        match = (_NEXT_AT_TOP if depth == 1 else _NEXT_INSIDE).match(text, position)
        stop = match[1] if match is not None else b'"'
        position = match.end() if match is not None else position
        if stop == b",":
            yield _sound(text[start : position - 1])
            start = position
            continue
        brackets += 1
        if stop[:1] in (b"[", b"{"):
            # Counting is slow where nearly everything counts.
            depth += stop.count(b"[") + stop.count(b"{") if b":" in stop else len(stop)
        elif stop[:1] in (b"]", b"}"):
            depth -= len(stop)
        else:
            reason = "a string does not end" if stop else "it ends too early"
            raise MalformedError(f"The body is not valid JSON: {reason}.")
        if depth <= 0:
            break
    else:
        raise MalformedError("The body is not valid JSON, and has too many brackets to be taken apart.")
    if depth < 0 or position != len(text) or text[-1:] != _CLOSERS[text[:1]]:
        raise MalformedError("The body is not valid JSON: its brackets do not match, or there is text after its end.")
    last = text[start : position - 1]
    if start > 1 or last.strip(SPACE):
        yield _sound(last)


def _sound(part: bytes) -> bytes:
    part = part.strip(SPACE)
    if not part:
        raise MalformedError("The body is not valid JSON: a value is missing between commas.")
    return part
