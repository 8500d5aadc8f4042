"""Cuts a JSON text into its elements without reading them, for documents that a parser gives up on as a whole.

One lone surrogate, one `NaN` or one depth bomb makes every parser refuse the whole document. The brackets and quotes
still say where one event ends and the next begins, so the good neighbours can be taken. No recursion, and the work is
linear in the length: the patterns are possessive and never go back.
"""

import re
from collections.abc import Iterator

import msgspec

from grandstand.domain.errors import MalformedError

SPACE = b" \t\r\n"
BRACKETS_MAX = 50_000
"""Groups of brackets that are looked at in one document, which bounds the time (about 0.03 s) of one request."""

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# Each pattern skips what does not matter and stops at what does: at the first level commas matter, below only brackets.
# A quote as a stop means a string that does not end.
_NEXT_AT_TOP = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb')*+([\[{]++|[\]}]++|,|"|\Z)', re.DOTALL)
_NEXT_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb')*+([\[{]++|[\]}]++|"|\Z)', re.DOTALL)
_CLOSERS = {b"[": b"]", b"{": b"}"}
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:(.*)\Z", re.DOTALL)
_SURROGATE = re.compile(rb"\\(?:u[dD][89abcdefABCDEF][0-9a-fA-F]{2}|.)", re.DOTALL)

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that it cannot read."""


def cut_elements(text: bytes) -> list[bytes]:
    """Cut a JSON array (which begins with its bracket) into the texts of its elements.

    Raises:
        MalformedError: quotes or brackets do not balance, a value is missing, or there is text after the end.

    """
    try:
        return [bytes(raw) for raw in _decode_elements(text)]
    except DECODE_ERRORS:
        return list(_cut(text))


def cut_members(text: bytes) -> dict[str, bytes]:
    """Cut a JSON object (which begins with its brace) into the texts of its values. Of equal names the last counts.

    Members whose name cannot be read are left out.

    Raises:
        MalformedError: as for `cut_elements`.

    """
    try:
        return {name: bytes(raw) for name, raw in _decode_members(text).items()}
    except DECODE_ERRORS:
        members: dict[str, bytes] = {}
        for part in _cut(text):
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
        text = _SURROGATE.sub(lambda match: match[0] if len(match[0]) == 2 else rb"\u0020", text)
    try:
        _decode_raw(text)
    except RecursionError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _cut(text: bytes) -> Iterator[bytes]:
    text = text.rstrip(SPACE)
    depth, start, position = 1, 1, 1
    for _ in range(BRACKETS_MAX):
        match = (_NEXT_AT_TOP if depth == 1 else _NEXT_INSIDE).match(text, position)
        stop = match[1] if match is not None else b'"'
        position = match.end() if match is not None else position
        if stop == b",":
            yield _sound(text[start : position - 1])
            start = position
        elif stop[:1] in (b"[", b"{"):
            depth += len(stop)
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
