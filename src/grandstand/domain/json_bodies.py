"""Reads JSON bodies into structs, with one way of saying what is wrong with them."""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from grandstand.domain.errors import FieldError, InvalidError, MalformedError, field_error

T = TypeVar("T")

_NEWLINE = b"\n"
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_STEP = re.compile(r"[^.\[\]]+")
_PLACED = re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)\Z")


def decode_body(body: bytes, kind: type[T], *, whole: str = "$", decode: Callable[[bytes], T] | None = None) -> T:
    """Return a body as a `kind`; `whole` is the path of a wrong value that has none of its own.

    `decode` stands in for the usual decoder of the kind.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: it is JSON of another form; the error names the field.
    """
    try:
        return msgspec.json.decode(body, type=kind) if decode is None else decode(body)
    except msgspec.ValidationError as error:
        raise InvalidError([wrong_value(error, kind, whole)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise not_json(body) from None


def wrong_value(error: msgspec.ValidationError, kind: type[Any], whole: str = "$") -> FieldError:
    """Return which value of a document is no value of a `kind`, and what it must be; `whole` as for `decode_body`."""
    found = field_error(str(error), whole)
    if found.message.startswith("Invalid enum value") and (choices := _choices(kind, found.path)):
        return FieldError(found.path, f"must be one of {', '.join(map(str, choices))}")
    return found


def _choices(kind: type[Any], path: str) -> tuple[Any, ...]:
    """Return the values that may stand at a path, such as `tie_breaks[0].order`; none where any may."""
    types: list[inspect.Type] = [inspect.type_info(kind)]
    for step in _STEP.findall(path):
        types = [inner for each in types for inner in _inside(each, step)]
    return tuple(value for each in types if isinstance(each, inspect.LiteralType) for value in each.values)


def _inside(outer: inspect.Type, step: str) -> Iterator[inspect.Type]:
    inner: list[inspect.Type] = []
    if isinstance(outer, inspect.StructType):
        inner = [field.type for field in outer.fields if field.encode_name == step]
    elif isinstance(outer, inspect.CollectionType):
        inner = [outer.item_type]
    for each in inner:
        yield from each.types if isinstance(each, inspect.UnionType) else (each,)


def not_json(body: bytes) -> MalformedError:
    """Return the refusal of a body that a decoder gave up on: what is wrong with it, and in which line and column."""
    if not body.strip():
        return MalformedError("The body is empty; send JSON.")
    if body.startswith(BYTE_ORDER_MARKS):
        return MalformedError("The body begins with a byte order mark; send plain UTF-8.")
    return MalformedError(f"The body is not valid JSON: {mistake_in(body)}.")


def mistake_in(text: bytes) -> str:
    """Return what is wrong with a text that a decoder gave up on, and in which line and column."""
    try:
        _decode_raw(text)
    except RecursionError:
        return "it nests too deeply"
    except msgspec.DecodeError as error:
        placed = _PLACED.match(str(error))
        if placed:
            return _explain(text, placed[1], int(placed[2]))
        # Of half a surrogate pair it says the same, and no place either.
        return "it ends too early" + (" or has a lone surrogate" if b"\\u" in text else "")
    try:
        text.decode()
    except UnicodeDecodeError:
        return "it holds text that is not UTF-8"
    # Grammar is all that was looked at here.
    return "it has a number out of range, or too many members"


def _explain(text: bytes, mistake: str, position: int) -> str:
    if mistake == "trailing characters":
        # Of these the decoder has read the first one.
        mistake, position = "there is text after its end", position - 1
    column = position - text.rfind(_NEWLINE, 0, position)
    if _NEWLINE not in text:  # as a line of an import, which says itself which one it is
        return f"{mistake} at column {column}"
    return f"{mistake} in line {text.count(_NEWLINE, 0, position) + 1}, column {column}"
