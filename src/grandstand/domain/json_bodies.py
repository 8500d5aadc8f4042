"""Reads JSON bodies into structs, with one way of saying what is wrong with them."""

from typing import TypeVar

import msgspec

from grandstand.domain.errors import InvalidError, MalformedError, field_error

T = TypeVar("T")


def decode_body(body: bytes, kind: type[T], *, whole: str = "$") -> T:
    """Return a body as a `kind`; `whole` is the path of a wrong value that has none of its own.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: it is JSON of another form; the error names the field.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidError([field_error(str(error), whole=whole)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The body is not valid JSON.") from None
