"""Requests that two servers in a row could read differently: refused, or read as one request and never as two."""

import pytest

from tests.api.conftest import Site, serve
from tests.api.test_over_the_wire import raw

pytestmark = pytest.mark.anyio
HIDDEN = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
"""What an attacker wants to be taken for a request of its own, in the name of whoever comes next."""

SHAPES = {
    "length and chunks": (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(HIDDEN) + 5),
        HIDDEN,
    ),
    "chunks and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", HIDDEN),
    "two lengths": (b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN), HIDDEN),
    "two equal lengths": (b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", HIDDEN),
    "a list of lengths": (b"Content-Length: 0, %d\r\n\r\n" % len(HIDDEN), HIDDEN),
    "a signed length": (b"Content-Length: +0\r\n\r\n", HIDDEN),
    "a negative length": (b"Content-Length: -1\r\n\r\n", HIDDEN),
    "a length in hex": (b"Content-Length: 0x0\r\n\r\n", HIDDEN),
    "a length that overflows": (b"Content-Length: 18446744073709551616\r\n\r\n", HIDDEN),
    "a space before the colon": (b"Content-Length : 0\r\n\r\n", HIDDEN),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HIDDEN),
    "chunked and another": (b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", HIDDEN),
    "a coding that is none": (b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", HIDDEN),
    "a tab before chunked": (b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", HIDDEN),
    "a folded line": (b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", HIDDEN),
    "a fold before the headers": (b" Content-Length: 0\r\n\r\n", HIDDEN),
    "bare line feeds": (b"Content-Length: 0\n\n", HIDDEN),
    "a bare carriage return": (b"X: a\rContent-Length: 0\r\n\r\n", HIDDEN),
    "a NUL in a header": (b"X: a\x00b\r\nContent-Length: 0\r\n\r\n", HIDDEN),
    "a chunk size with a sign": (b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n", HIDDEN),
    "a chunk size that overflows": (b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", HIDDEN),
    "a chunk that ends without CRLF": (b"Transfer-Encoding: chunked\r\n\r\n1\r\naX0\r\n\r\n", HIDDEN),
    "chunk ends with bare line feeds": (b"Transfer-Encoding: chunked\r\n\r\n0\n\n", HIDDEN),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_shape_is_refused_and_what_it_hides_is_not_answered(site: Site, shape: str) -> None:
    head, hidden = SHAPES[shape]
    request = b"POST /api/leaderboards/global/lookup HTTP/1.1\r\nHost: x\r\n" + head
    async with serve(site.app, site.services.settings) as url:
        answer = await raw(url, request + hidden)
        statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert 200 not in statuses, answer
        assert statuses[-1:] in ([400], []), answer
        assert len(statuses) <= 2
        # Before a proxy that shares the connection among clients, nothing must follow.
        assert (await raw(url, HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).startswith(
            b"HTTP/1.1 200"
        )


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api/health/live HTTP/9.9",
        b"G\xffT / HTTP/1.1",
    ],
    ids=["version", "method"],
)
async def test_a_request_line_that_is_none_is_refused(site: Site, line: bytes) -> None:
    async with serve(site.app, site.services.settings) as url:
        answer = await raw(url, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 "), answer
