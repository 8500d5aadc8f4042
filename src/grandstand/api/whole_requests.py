"""Requests that arrived as a whole and are answered later, without ASGI: what all of them need.

The server takes the answer when it is there (`Respond`); until then the connection counts as busy.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec

from grandstand.api.at_once import Whole
from grandstand.api.problems import RateLimitedError, reply_of, reply_of_unexpected
from grandstand.api.replies import JSON, NO_STORE, PRIVATE, Headers, Reply, headers_of
from grandstand.api.request_counts import RequestCounts
from grandstand.domain.errors import GrandstandError

LIMITED_ROUTE = "limited"
"""What requests over their limit are counted as."""

Respond = Callable[[Whole], None]
"""Sends the answer, if its client is still there."""


class Begun(msgspec.Struct):
    """A request that is being answered: what it is counted as, since when, and what sends the answer."""

    method: str
    path: str
    route: str
    began_at: float
    respond: Respond


class WholeRequests:
    """Sends and counts the answers of one process."""

    def __init__(self, counts: RequestCounts) -> None:
        self._counts = counts
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, begun: Begun, reply: Reply, more: Headers = ()) -> None:
        """Send an answer, with `more` headers, once."""
        self._send(begun, begun.route, reply, more)

    def refuse(self, begun: Begun, error: BaseException) -> None:
        """Send the answer of a request that was not let in."""
        route = LIMITED_ROUTE if isinstance(error, RateLimitedError) else begun.route
        self._send(begun, route, refusal_of(begun, error), ())

    def run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let a task do what has to wait."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send(self, begun: Begun, status: int, whole: Whole) -> None:
        """Send an answer that was made before, once."""
        begun.respond(whole)
        self._counts.add(begun.route, status, time.perf_counter() - begun.began_at)

    def _send(self, begun: Begun, route: str, reply: Reply, more: Headers) -> None:
        begun.respond(whole_of(reply, more))
        self._counts.add(route, reply.status, time.perf_counter() - begun.began_at)


def whole_of(reply: Reply, more: Headers = ()) -> Whole:
    """Return an answer, with `more` headers, as it is sent."""
    if reply.body and reply.media_type is JSON:
        own = _OFTEN.get(id(reply.headers)) or _lines(reply.headers)
        lines = b"".join((_BODY_LINES % len(reply.body), own, _lines(more) if more else b""))
    else:
        lines = _lines((*headers_of(reply), *more))
    return Whole(_status_line(reply.status), lines, reply.body)


def refusal_of(begun: Begun, error: BaseException) -> Reply:
    """Return the answer to what could not be done; a fault of ours is logged, too."""
    if isinstance(error, GrandstandError):
        return reply_of(error)
    if not isinstance(error, Exception):
        raise error
    return reply_of_unexpected(error, begun.method, begun.path)


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_BODY_LINES = _lines(((b"content-type", JSON.encode()), (b"content-length", b"%d")))
"""What `headers_of` puts before the headers of an answer in JSON, with a gap for its length."""

_OFTEN = {id(headers): _lines(headers) for headers in (NO_STORE, PRIVATE)}
"""The lines of headers that most answers have, by what they are: to look for what they say costs as much as these."""


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
