"""A finished answer, and how it is sent: raw on the fast paths, as a Litestar response elsewhere."""

from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

import msgspec
from litestar import Response
from litestar.response import Stream
from litestar.types import Send

JSON = "application/json"
Headers = tuple[tuple[bytes, bytes], ...]

_encoder = msgspec.json.Encoder()


def _decoded(headers: Headers) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


class Reply(NamedTuple):
    """An answer whose body is encoded already."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Headers = ()

    def as_response(self) -> Response[bytes]:
        """Return it for Litestar."""
        # Litestar adds this to every text; twice is a header that strict readers, Prometheus among them, refuse.
        media_type = self.media_type.removesuffix("; charset=utf-8")
        return Response(self.body, status_code=self.status, media_type=media_type, headers=_decoded(self.headers))


_PART_BYTES = 65_536


class FileReply(NamedTuple):
    """An answer that is read from a file while it is sent, so it takes little memory; the file is closed then."""

    file: SpooledTemporaryFile[bytes]
    media_type: str = JSON
    headers: Headers = ()
    status: int = HTTPStatus.OK

    def as_response(self) -> Stream:
        """Return it for Litestar."""
        return Stream(
            self._parts(), status_code=self.status, media_type=self.media_type, headers=_decoded(self.headers)
        )

    async def _parts(self) -> AsyncIterator[bytes]:
        with self.file:
            while part := self.file.read(_PART_BYTES):
                yield part


NO_STORE: Headers = ((b"cache-control", b"no-store"),)
PRIVATE: Headers = ((b"cache-control", b"private, no-store"), (b"vary", b"Authorization"))


def encode(content: Any) -> bytes:
    """Return content (structs, dictionaries, lists) as JSON."""
    return _encoder.encode(content)


def json_reply(content: Any, status: int = 200, headers: Headers = NO_STORE) -> Reply:
    """Return a reply that carries content as JSON."""
    return Reply(status, _encoder.encode(content), JSON, headers)


async def send_reply(send: Send, reply: Reply, more: Headers = ()) -> None:
    """Send a reply, with `more` headers, as raw ASGI messages."""
    headers = headers_of(reply)
    if more:
        headers = (*headers, *more)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


def headers_of(reply: Reply) -> Headers:
    """Return all headers of a reply, those of its body first."""
    if reply.status == HTTPStatus.NOT_MODIFIED:  # its length would be that of the page which the client has
        return reply.headers
    return (
        (b"content-type", _media_type(reply.media_type)),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    )


@lru_cache(maxsize=16)
def _media_type(media_type: str) -> bytes:
    return media_type.encode()
