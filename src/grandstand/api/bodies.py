"""Reads request bodies: whole within a limit, or as a stream of decoded pieces; never more than is needed in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable

from litestar.types import HTTPScope, Receive

from grandstand.api.decoding import DECODERS, Decoder
from grandstand.api.problems import RequestTimeoutError
from grandstand.api.request_heads import RawHeaders
from grandstand.domain.errors import TooLargeError, UnsupportedMediaTypeError

JSON_TYPES = frozenset({b"", b"application/json"})
LINE_TYPES = JSON_TYPES | {
    b"application/x-ndjson",
    b"application/ndjson",
    b"application/jsonl",
    b"application/octet-stream",
    b"text/plain",
}
BODY_TIMEOUT_SECONDS = 60.0
"""Longest time between the first and the last byte of a body that is read as a whole."""

PIECE_TIMEOUT_SECONDS = 60.0
"""Longest silence of a client that streams a body."""

USUAL_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
"""Content types that are JSON without a closer look, as most clients write it."""

_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})


class ClientGoneError(Exception):
    """The client closed the connection before its body was complete; there is nobody to answer."""


async def read_body(scope: HTTPScope, receive: Receive, bytes_max: int) -> bytes:
    """Return a JSON request's whole body, decoded.

    Raises:
        UnsupportedMediaTypeError: not JSON, or an encoding that is not read here.
        TooLargeError: `body_too_large`, as soon as it is known: from the header, while reading, or while decoding.
        MalformedError: the encoding is broken.
        RequestTimeoutError: it did not arrive in time.
        ClientGoneError: the client is gone.
    """
    decoder = _check_headers(scope["headers"], JSON_TYPES, bytes_max)
    message = await receive()
    if decoder is None and message["type"] == "http.request" and not message.get("more_body"):
        body = message["body"]
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    pieces: list[bytes] = []
    size = received = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            while True:
                if message["type"] != "http.request":
                    raise ClientGoneError
                data = message["body"]
                received += len(data)
                if received > bytes_max:
                    raise _too_large(bytes_max)
                for piece in (data,) if decoder is None else decoder.feed(data):
                    size += len(piece)
                    if size > bytes_max:
                        raise _too_large(bytes_max)
                    pieces.append(piece)
                if not message.get("more_body"):
                    break
                message = await receive()
    except TimeoutError:
        raise RequestTimeoutError(f"The body did not arrive within {BODY_TIMEOUT_SECONDS:.0f} seconds.") from None
    if decoder is not None:
        decoder.finish()
    return b"".join(pieces)


def check_whole_body(headers: RawHeaders, body: bytes, bytes_max: int) -> None:
    """Check a JSON request's body that has arrived as a whole, and is not encoded.

    Raises:
        UnsupportedMediaTypeError, TooLargeError: as for `read_body`.
    """
    _check_headers(headers, JSON_TYPES, bytes_max)
    if len(body) > bytes_max:
        raise _too_large(bytes_max)


async def stream_body(scope: HTTPScope, receive: Receive) -> AsyncIterator[bytes]:
    """Yield the decoded pieces of a body of lines, each of bounded size; the client waits while they are worked on.

    Raises:
        UnsupportedMediaTypeError, MalformedError, RequestTimeoutError, ClientGoneError: as for `read_body`.
    """
    decoder = _check_headers(scope["headers"], LINE_TYPES, None) or DECODERS[b""]()
    while True:
        try:
            async with asyncio.timeout(PIECE_TIMEOUT_SECONDS):
                message = await receive()
        except TimeoutError:
            raise RequestTimeoutError(f"Nothing arrived for {PIECE_TIMEOUT_SECONDS:.0f} seconds.") from None
        if message["type"] != "http.request":
            raise ClientGoneError
        for piece in decoder.feed(message["body"]):
            yield piece
        if not message.get("more_body"):
            decoder.finish()
            return


def _check_headers(
    headers: Iterable[tuple[bytes, bytes]], types: Collection[bytes], bytes_max: int | None
) -> Decoder | None:
    """Check what the headers say of the body; return its decoder, or None for a body that is not encoded."""
    encoding = b""
    for name, value in headers:
        if name == b"content-type":
            if value not in USUAL_TYPES:
                _check_type(value, types)
        elif name == b"content-length":
            if bytes_max is not None and value.isdigit() and int(value[:20]) > bytes_max:
                raise _too_large(bytes_max)
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    if not encoding:
        return None
    make = DECODERS.get(encoding)
    if make is None:
        raise UnsupportedMediaTypeError("This content encoding is not read; send plain bytes, gzip or zstd.")
    return make()


def _check_type(value: bytes, types: Collection[bytes]) -> None:
    media_type, *parameters = [part.strip() for part in value.lower().split(b";")]
    if media_type not in types:
        wanted = "application/json" if types is JSON_TYPES else "application/x-ndjson"
        raise UnsupportedMediaTypeError(f"`Content-Type` is {_shown(media_type)}; send {wanted}.")
    for parameter in parameters:
        name, _, text = parameter.partition(b"=")
        if name.strip() == b"charset" and text.strip().strip(b'"') not in _CHARSETS:
            raise UnsupportedMediaTypeError("JSON is read in UTF-8 only.")


def _shown(media_type: bytes) -> str:
    """Return a client's text as it may stand in an answer: `curl -d` sends a form's type unless it is told another."""
    return ascii(media_type[:64].decode("latin-1"))


def _too_large(bytes_max: int) -> TooLargeError:
    return TooLargeError("body_too_large", f"The body has more than {bytes_max} bytes once decoded.")
