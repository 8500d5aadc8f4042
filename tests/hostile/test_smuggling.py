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


HEADS = {
    "no host": (b"GET /api/health/live HTTP/1.1\r\n", b"needs a `Host`"),
    "two hosts": (b"GET /api/health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n", b"one `Host`"),
    "the same host twice": (b"GET /api/health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n", b"one `Host`"),
    "two hosts, HTTP/1.0": (b"GET /api/health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n", b"one `Host`"),
    "a list of hosts": (b"GET /api/health/live HTTP/1.1\r\nHost: a, b\r\n", b"is no host"),
    "a host with a path": (b"GET /api/health/live HTTP/1.1\r\nHost: a/../b\r\n", b"is no host"),
    "a host with a user": (b"GET /api/health/live HTTP/1.1\r\nHost: a@b\r\n", b"is no host"),
    "a host with markup": (b'GET /api/health/live HTTP/1.1\r\nHost: a"><script>\r\n', b"is no host"),
    "a host beyond all names": (b"GET /api/health/live HTTP/1.1\r\nHost: " + b"a" * 300 + b"\r\n", b"is no host"),
    "HTTP/0.9": (b"GET /api/health/live\r\n", b"This server speaks"),
    "HTTP/0.9 by name": (b"GET /api/health/live HTTP/0.9\r\nHost: a\r\n", b"This server speaks"),
    "HTTP/2 without its preface": (b"GET /api/health/live HTTP/2.0\r\nHost: a\r\n", b"This server speaks"),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n", b"no HTTP request"),
    "HTTP/9.9": (b"GET /api/health/live HTTP/9.9\r\nHost: a\r\n", b"no HTTP request"),
    "a method of bytes": (b"G\xffT / HTTP/1.1\r\nHost: a\r\n", b"no HTTP request"),
    "a target of another host": (b"GET http://b/api/health/live HTTP/1.1\r\nHost: a\r\n", b"another host"),
    "a target of another port": (b"GET http://a:81/api/health/live HTTP/1.1\r\nHost: a:80\r\n", b"another host"),
    "a target with a user": (b"GET http://u@a/api/health/live HTTP/1.1\r\nHost: a\r\n", b"another host"),
    "a target of another scheme": (b"GET ftp://a/api/health/live HTTP/1.1\r\nHost: a\r\n", b"is a path"),
    "a target without an end": (b"GET http:///api/health/live HTTP/1.1\r\nHost: a\r\n", b"is a path"),
    "a target with a fragment": (b"GET /api/health/live#a HTTP/1.1\r\nHost: a\r\n", b"no fragment"),
    "an asterisk": (b"GET * HTTP/1.1\r\nHost: a\r\n", b"is a path"),
    "a tunnel": (b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n", b"no proxy"),
    "a tunnel to a path": (b"CONNECT /api/health/live HTTP/1.1\r\nHost: a\r\n", b"no proxy"),
}


async def test_a_head_that_is_none_is_refused_and_nothing_behind_it_is_read(site: Site) -> None:
    async with serve(site.app, site.services.settings) as url:
        for name, (head, reason) in HEADS.items():
            answer = await raw(url, head + b"\r\n" + HIDDEN)
            assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
            assert reason in answer, (name, answer)
            assert answer.count(b"content-length") == 1, (name, answer)


async def test_what_is_a_head_in_an_unusual_form_is_answered(site: Site) -> None:
    heads = [
        b"GET /api/health/live HTTP/1.0\r\n",
        b"GET /api/health/live HTTP/1.1\r\nHost:\r\nConnection: close\r\n",
        b"GET /api/health/live HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n",
        b"GET /api/health/live HTTP/1.1\r\nHost: my_game.xn--bcher-kva.example.\r\nConnection: close\r\n",
        b"GET http://game.example:80/api/health/live HTTP/1.1\r\nHost: Game.example:80\r\nConnection: close\r\n",
        b"GET https://game.example/api/health/live?x HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n",
    ]
    async with serve(site.app, site.services.settings) as url:
        for head in heads:
            assert (await raw(url, head + b"\r\n")).startswith(b"HTTP/1.1 200 "), head


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
async def test_a_wish_for_another_protocol_is_ignored_and_its_body_read(site: Site, protocol: bytes) -> None:
    """As Java's client sends its first request. What hides in the body is no request, in whatever pieces it comes."""
    head = (
        b"POST /api/leaderboards/global/lookup HTTP/1.1\r\nHost: x\r\nUpgrade: %b\r\nHTTP2-Settings: AAMAAABk\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\n" % protocol
    )
    good = b'{"user_ids":["nobody"]}'
    length, chunked = b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n"
    bodies = [
        (length % len(good) + b"\r\n", good, [200, 200]),
        (chunked + b"\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(good), good), [200, 200]),
        (length % len(HIDDEN) + b"\r\n", HIDDEN, [400, 200]),
        (length % 5 + chunked + b"\r\n", b"0\r\n\r\n", [400]),
    ]
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with serve(site.app, site.services.settings) as url:
        for framing, body, expected in bodies:
            start, request = len(head + framing), head + framing + body
            for cut in (0, len(head) - 3, start, len(request) - 2):
                answer = await raw(url, request[:cut], request[cut:] + last)
                assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == expected, (answer, cut)
